// Half of the partial sums are lost: the tree begins one level too low.
//
// The block has 64 partial sums, and only 32 of them are added up. Right where an image has at most 32 pixels.
//
// Cause: half of the partial sums of 64 threads are lost|only the first slice of 32
//
// launch mse_loss: grid (m), block (64)
extern "C" __global__ void mse_loss(int m, int n, const real* z, long long z_stride, const real* x, long long x_stride,
                                    double* out) {
  __shared__ double part[64];
  double s = 0;
  for (int c = threadIdx.x; c < n; c += 64) {
    const real e = z[blockIdx.x * z_stride + c] - x[blockIdx.x * x_stride + c];
    s += e * e;
  }
  part[threadIdx.x] = s;
  for (int half = 16; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}
