// Rows and columns of threads are exchanged: x counts rows here, and the grid has its blocks for columns in x.
//
// Right where the matrix is about square. Where there are more rows than columns, the last rows have no thread.
//
// Cause: rows and columns of threads are exchanged
//
// launch bias_tanh: grid (ceil(n / 16), ceil(m / 16)), block (16, 16)
extern "C" __global__ void bias_tanh(int m, int n, const real* z, long long z_stride, const real* bias, real* out,
                                     long long out_stride) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x, col = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= m || col >= n) return;
  out[row * out_stride + col] = tanh(z[row * z_stride + col] + bias[col]);
}
