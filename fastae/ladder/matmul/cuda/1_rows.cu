// A thread for each element: neighbouring threads take neighbouring rows.
//
// Idea: every element is a sum of its own, so a GPU can compute thousands at once; from its numbers a thread knows
// which is its own. Memory is moved in sectors of 32 bytes. The 32 threads of a warp, which go step by step
// together, here read an element of 32 different rows of a, and of b the same one: 33 sectors for 32 multiply-adds.
//
// Hint: row and col by blockIdx and threadIdx, for the launch below; a sum over k, to which Operand gives 0 for
// what is outside; then write(row, col, sum).

struct Operand {  // op(x), of so many rows and columns
  const real* at;
  long long stride;
  int trans, rows, cols;

  // Element (i, j), 0 where there is none.
  __device__ real operator()(int i, int j) const {
    if (i >= rows || j >= cols) return 0;
    return trans ? at[j * stride + i] : at[i * stride + j];
  }
};

// launch matmul: grid (ceil(m / 32), ceil(n / 8)), block (32, 8)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  const Operand A = {a, a_stride, trans_a, m, k}, B = {b, b_stride, trans_b, k, n};
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  const auto write = [&](int row, int col, real sum) {
    if (row >= m || col >= n) return;
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
  };

  // idea
  const int row = blockIdx.x * 32 + threadIdx.x, col = blockIdx.y * 8 + threadIdx.y;
  real sum = 0;
  for (int l = 0; l < k; ++l) sum += A(row, l) * B(l, col);
  write(row, col, sum);
  // end
}
