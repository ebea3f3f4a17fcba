// Tiles: elements that many threads of a block need are read once from global memory, and then from shared
// memory.
//
// Idea: threads in a row of the block read the same row of a, threads in a column the same column of b. So the
// block processes k in slices: its threads copy a slice of a and one of b to shared memory, wait for each other
// at a barrier, and multiply. A second barrier keeps them from copying the next slices before all threads are
// done. Each copied element is used 32 times. (Kirk and Hwu, Programming massively parallel processors, on
// tiling.)
//
// Predicted: 1.2 times. 20 times less is moved, from 5 sectors to 1/4; but now shared memory is the limit: two
// reads for a multiply-add, 2.1 cycles of a warp including the copying, where the 5 sectors took 2.5.
//
// Hint: each thread copies element (y, x) of each slice; a barrier; a loop over l < SLICE; a barrier. No thread
// may return before the last barrier; the zeros that Operand returns add nothing.

#define TILE 32   // side of the tile of out that a block computes
#define SLICE 32  // how far it goes along k at once

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

// launch matmul: grid (ceil(n / 32), ceil(m / 32)), block (32, 32)
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

  const int row = blockIdx.y * TILE, col = blockIdx.x * TILE, x = threadIdx.x, y = threadIdx.y;
  real sum = 0;
  // idea
  __shared__ real as[TILE][SLICE], bs[SLICE][TILE];
  for (int start = 0; start < k; start += SLICE) {
    as[y][x] = A(row + y, start + x);
    bs[y][x] = B(start + y, col + x);
    __syncthreads();  // the slices are complete
    for (int l = 0; l < SLICE; ++l) sum += as[y][l] * bs[l][x];
    __syncthreads();  // all threads are done with them
  }
  // end
  write(row + y, col + x, sum);
}
