// The guard at the edge of a tile is missing.
//
// Threads beyond the last row or column read and write what is not theirs. Right where rows and columns are multiples of 8.
//
// Cause: out of bounds
//
// launch matmul: grid (ceil(n / 8), ceil(m / 8)), block (8, 8)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  const int row = blockIdx.y * 8 + threadIdx.y, col = blockIdx.x * 8 + threadIdx.x;
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  real sum = 0;
  for (int l = 0; l < k; ++l)
    sum += (trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) *
           (trans_b ? b[col * b_stride + l] : b[l * b_stride + col]);
  real* at = out + row * out_stride + col;
  *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
}
