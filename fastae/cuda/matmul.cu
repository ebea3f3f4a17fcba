// The contract's matmul: out = alpha op(a) op(b) + beta out, the old out unread if beta is 0.
#include "tile.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    matmul(int tile, int rows, int cols, int depth, const real* a, long long a_stride, const real* b, long long b_stride,
           real* out, long long out_stride, int trans_a, int trans_b, real alpha, const real* alpha_at, real beta,
           const real* beta_at) {
  __shared__ Shared shared;
  alpha = number(alpha, alpha_at);
  beta = number(beta, beta_at);
  const Matrix A = {a, a_stride, trans_a ? depth : rows, trans_a ? rows : depth};
  const Matrix B = {b, b_stride, trans_b ? cols : depth, trans_b ? depth : cols};
  const auto write = [&](int row, int col, real sum) {
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
  };
  int before = 0;
  if (trans_a) {
    if (trans_b) product<true, true>(shared, tile, rows, cols, depth, A, B, before, write);
    else product<true, false>(shared, tile, rows, cols, depth, A, B, before, write);
  } else {
    if (trans_b) product<false, true>(shared, tile, rows, cols, depth, A, B, before, write);
    else product<false, false>(shared, tile, rows, cols, depth, A, B, before, write);
  }
}
