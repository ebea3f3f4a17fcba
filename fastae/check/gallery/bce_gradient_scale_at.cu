// scale on the device is not read.
//
// Right as long as scale is a number. Where it is the place on the device that holds the number, scale itself is 0.
//
// Cause: scale_at is not read: the scale is on the device there
//
// launch bce_gradient: grid (ceil(n / 64), m), block (64)
extern "C" __global__ void bce_gradient(int m, int n, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  const int row = blockIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
  if (col < n) out[row * out_stride + col] = scale * (z[row * z_stride + col] - x[row * x_stride + col]);
}
