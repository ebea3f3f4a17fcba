// The losses of the contract: one sum over pixels for each image, in double precision.
//
// Compiled with -Dreal=float or -Dreal=double. A warp an image: its lanes read neighbouring pixels, each sums every 32nd,
// and the 32 sums are added up by handing them down: 16 lanes take another's, then 8, 4, 2 and 1.

#define WARP 32
#define EACH_IMAGE(r)                                                                                   \
  for (long long r = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / WARP; r < rows; \
       r += (long long)gridDim.x * blockDim.x / WARP)

// the sum over all lanes of a warp, in its first lane
__device__ inline double sum_of_lanes(double sum) {
  for (int by = WARP / 2; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
  return sum;
}

// out[r] = sum of (z - x)^2 over image r
extern "C" __global__ void mse_loss(int rows, int cols, const real* z, long long z_stride, const real* x,
                                    long long x_stride, double* out) {
  const int lane = threadIdx.x % WARP;
  EACH_IMAGE(r) {
    double sum = 0;
    for (int c = lane; c < cols; c += WARP) {
      const real e = z[r * z_stride + c] - x[r * x_stride + c];
      sum += e * e;
    }
    sum = sum_of_lanes(sum);
    if (lane == 0) out[r] = sum;
  }
}

// log of s, not below -100; NaN for NaN, which fmax would hide
__device__ inline real floored_log(real s) {
  const real l = log(s);
  return l < real(-100) ? real(-100) : l;
}

// out[r] = -sum of x log z + (1 - x) log(1 - z) over image r
extern "C" __global__ void bce_loss(int rows, int cols, const real* z, long long z_stride, const real* x,
                                    long long x_stride, double* out) {
  const int lane = threadIdx.x % WARP;
  EACH_IMAGE(r) {
    double sum = 0;
    for (int c = lane; c < cols; c += WARP) {
      const real s = z[r * z_stride + c], t = x[r * x_stride + c];
      sum -= t * floored_log(s) + (real(1) - t) * floored_log(real(1) - s);
    }
    sum = sum_of_lanes(sum);
    if (lane == 0) out[r] = sum;
  }
}
