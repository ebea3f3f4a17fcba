// The launch has one row of blocks for a kernel that counts rows in y.
//
// The number of threads is right, m · n, but they all lie in x: only the first row is written.
//
// Cause: the launch has one row of blocks: no thread for the other rows
//
// launch tanh_gradient: grid (ceil(m * n / 128)), block (128)
extern "C" __global__ void tanh_gradient(int m, int n, const real* delta, long long delta_stride, const real* y,
                                         long long y_stride, real* out, long long out_stride) {
  const int row = blockIdx.y * blockDim.y + threadIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= m || col >= n) return;
  const real t = y[row * y_stride + col];
  out[row * out_stride + col] = delta[row * delta_stride + col] * (1 - t * t);
}
