// One block sets the sums to 0 while others already add to them.
//
// Nothing orders blocks: __syncthreads() holds up the threads of one. An atomic addition is safe from others of its kind,
// not from a plain write.
//
// Cause: a race between two blocks, which nothing orders
//
// launch column_sum: grid (ceil(m / 8)), block (32)
extern "C" __global__ void column_sum(int m, int n, const real* delta, long long delta_stride, real* out, real alpha,
                                      const real* alpha_at, real beta, const real* beta_at) {
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  if (blockIdx.x == 0)
    for (int col = threadIdx.x; col < n; col += 32) out[col] = beta == real(0) ? real(0) : beta * out[col];
  __syncthreads();
  for (int row = blockIdx.x * 8; row < m && row < blockIdx.x * 8 + 8; ++row)
    for (int col = threadIdx.x; col < n; col += 32) atomicAdd(out + col, alpha * delta[row * delta_stride + col]);
}
