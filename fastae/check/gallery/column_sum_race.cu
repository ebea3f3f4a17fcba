// Several blocks add to one sum, and nothing orders them: a race.
//
// Two blocks read the same old sum, and one of the two additions is lost. atomicAdd, or a block for each column, would do.
//
// Cause: a race between two blocks
//
// launch column_sum: grid (m), block (64)
extern "C" __global__ void column_sum(int m, int n, const real* delta, long long delta_stride, real* out, real alpha,
                                      const real* alpha_at, real beta, const real* beta_at) {
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  const int row = blockIdx.x;
  for (int col = threadIdx.x; col < n; col += blockDim.x) {
    const real mine = alpha * delta[row * delta_stride + col];
    if (row > 0)
      out[col] += mine;
    else
      out[col] = beta == real(0) ? mine : mine + beta * out[col];
  }
}
