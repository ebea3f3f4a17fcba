// alpha on the device is not read.
//
// Right as long as alpha is a number. In training it is the place on the device where the learning rate lies.
//
// Cause: alpha_at is not read: the alpha is on the device there
//
// launch matmul: grid (ceil(n / 8), ceil(m / 8)), block (8, 8)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  __shared__ real A[8][8], B[8][8];
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 8 + y, col = blockIdx.x * 8 + x;
  if (beta_at) beta = *beta_at;
  real sum = 0;
  for (int first = 0; first < k; first += 8) {
    const int p = first + x, q = first + y;
    A[y][x] = row < m && p < k ? (trans_a ? a[p * a_stride + row] : a[row * a_stride + p]) : 0;
    B[y][x] = col < n && q < k ? (trans_b ? b[col * b_stride + q] : b[q * b_stride + col]) : 0;
    __syncthreads();
    for (int l = 0; l < 8; ++l) sum += A[y][l] * B[l][x];
    __syncthreads();
  }
  if (row < m && col < n) {
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
  }
}
