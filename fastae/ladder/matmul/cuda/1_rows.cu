// A thread for each element: neighbouring threads take neighbouring rows.
//
// Idea: every element is a separate sum, so a GPU can compute thousands of them at once; a thread computes from
// its indices which element is its own. Memory is moved in sectors of 32 bytes. The 32 threads of a warp execute
// each instruction together. Here they read elements of 32 different rows of a, and the same element of b: 33
// sectors for 32 multiply-adds.
//
// Hint: compute row and col from blockIdx and threadIdx for the launch below; sum over k, where Operand returns
// 0 outside the matrix; then write(row, col, sum).

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
