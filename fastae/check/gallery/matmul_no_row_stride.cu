// The row stride is ignored: the width is taken for it.
//
// Right where rows follow each other without gaps. A block of columns of a wider matrix has gaps.
//
// Cause: the row stride of a is ignored
//
// launch matmul: grid (ceil(n / 8), ceil(m / 8)), block (8, 8)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  const int row = blockIdx.y * 8 + threadIdx.y, col = blockIdx.x * 8 + threadIdx.x;
  if (row >= m || col >= n) return;
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  real sum = 0;
  for (int l = 0; l < k; ++l)
    sum += (trans_a ? a[l * m + row] : a[row * k + l]) *
           (trans_b ? b[col * b_stride + l] : b[l * b_stride + col]);
  real* at = out + row * out_stride + col;
  *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
}
