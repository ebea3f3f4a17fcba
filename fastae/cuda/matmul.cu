// The contract's matmul: out = alpha op(a) op(b) + beta out, for matrices with contiguous rows and any row stride.
//
// A block computes a TILE x TILE piece of out. It goes along the summed dimension in slices of DEPTH: all threads bring
// a slice of a and of b into shared memory, wait for each other, and every thread adds the slice's products to the
// SIDE x SIDE sums that it keeps in registers. Each element brought from memory is used TILE times.
// (Kirk and Hwu, Programming massively parallel processors, on tiled matrix multiplication.)

#define TILE 32
#define DEPTH 16
#define SIDE 2
#define THREADS (TILE / SIDE)  // along each side of the block

__device__ inline real number(real value, const real* address) { return address ? *address : value; }

extern "C" __global__ void matmul(int rows, int cols, int depth, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  // Two columns more: what the 32 threads of a warp store, two columns of DEPTH, then lies in 32 different banks.
  __shared__ real slice_a[DEPTH][TILE + 2];
  __shared__ real slice_b[DEPTH][TILE + 2];
  const int first_row = blockIdx.y * TILE, first_col = blockIdx.x * TILE;
  const int x = threadIdx.x, y = threadIdx.y, me = y * THREADS + x;
  real sums[SIDE][SIDE] = {};

  for (int start = 0; start < depth; start += DEPTH) {
    for (int i = me; i < TILE * DEPTH; i += THREADS * THREADS) {
      // Neighbouring threads read neighbouring addresses: along k where a row of the array is a row of k.
      const int ka = trans_a ? i / TILE : i % DEPTH, r = trans_a ? i % TILE : i / DEPTH;
      const int row = first_row + r, k_of_a = start + ka;
      slice_a[ka][r] = row < rows && k_of_a < depth ? (trans_a ? a[k_of_a * a_stride + row] : a[row * a_stride + k_of_a])
                                                    : real(0);
      const int kb = trans_b ? i % DEPTH : i / TILE, c = trans_b ? i / DEPTH : i % TILE;
      const int col = first_col + c, k_of_b = start + kb;
      slice_b[kb][c] = col < cols && k_of_b < depth ? (trans_b ? b[col * b_stride + k_of_b] : b[k_of_b * b_stride + col])
                                                    : real(0);
    }
    __syncthreads();  // the slices are there
    for (int k = 0; k < DEPTH; ++k)
      for (int i = 0; i < SIDE; ++i)
        for (int j = 0; j < SIDE; ++j) sums[i][j] += slice_a[k][y + i * THREADS] * slice_b[k][x + j * THREADS];
    __syncthreads();  // nobody needs them any more
  }

  alpha = number(alpha, alpha_at);
  beta = number(beta, beta_at);
  for (int i = 0; i < SIDE; ++i)
    for (int j = 0; j < SIDE; ++j) {
      const int row = first_row + y + i * THREADS, col = first_col + x + j * THREADS;
      if (row >= rows || col >= cols) continue;
      real* at = out + row * out_stride + col;
      *at = beta == real(0) ? alpha * sums[i][j] : alpha * sums[i][j] + beta * *at;
    }
}
