// A tile of a matrix product op(a) op(b), by one block of 256 threads.
//
// The block goes along the summed dimension in slices: all threads bring a slice of op(a) and one of op(b) into shared
// memory, wait for each other, and multiply. Meanwhile the next slices are loaded from memory to registers.
// Every thread keeps the sums of a piece of the tile in registers (multiply_adds.cuh; tensor_cores.cuh with -DTF32). The
// pieces of 4 x 4 of a block are one tile of 64 x 64, or 4 of 32 x 32, each for a quarter of the summed dimension, or 16
// of 16 x 16, or 64 of 8 x 8: a smaller tile shares the sum among groups of threads, whose sums are added at the end,
// always in the same order. Small tiles are for small products, which would not give every multiprocessor a large one.
// Pieces of 8 x 8 are for large products: they read half as much of shared memory for a multiply-add.
// (Kirk and Hwu, Programming massively parallel processors, on tiling and on thread coarsening; NVIDIA's CUTLASS calls
// the shared sum "sliced-K".)
#pragma once
#include "common.cuh"

#ifndef PIECE
#define PIECE 0  // side of a thread's piece, or 0: as the tile says
#endif

#define SUMS 16                           // of a thread in shared memory at once
#define SUM_STRIDE (THREADS + 9)          // in shared memory, so that the sums of a line of the tile are in different banks
#define LOG_SLICE (sizeof(real) == 4 ? 11 : 10)
#define SLICE (1 << LOG_SLICE)            // elements of a slice, which is tile x (SLICE / tile)
#define QUADS (SLICE / THREADS / 4)       // of each slice, by each thread
#define PAD 4                             // elements after each line of a slice, so that lines begin in different banks
#define SLICE_ROOM (SLICE + PAD * SLICE / 8)

struct Slices {
  Quad a[SLICE_ROOM / 4], b[SLICE_ROOM / 4];
};

union Shared {  // used for one at a time: threads wait until all have finished with the one before
  Slices slices;
  real sums[SUMS * SUM_STRIDE];
  real column_parts[THREADS];
  double loss_column_parts[THREADS];
  double loss_parts[THREADS / WARP];
};

// A slice is lines of 2^log elements that are contiguous in memory, from (row, col) of the matrix on.
template <class M>
__device__ inline void fetch(const M& m, int row, int col, int log, bool in_quads, Quad (&kept)[QUADS]) {
#pragma unroll
  for (int i = 0; i < QUADS; ++i) {
    const int at = 4 * (threadIdx.x + i * THREADS);
    kept[i] = m.quad(row + over(at, log), col + rest(at, log), in_quads);
  }
}

__device__ inline void put(const Quad (&kept)[QUADS], Quad* slice, int log) {
#pragma unroll
  for (int i = 0; i < QUADS; ++i) {
    const int at = 4 * (threadIdx.x + i * THREADS);
    slice[(over(at, log) * ((1 << log) + PAD) + rest(at, log)) / 4] = kept[i];
  }
}

#ifdef TF32
#include "tensor_cores.cuh"
#else
#include "multiply_adds.cuh"
#endif

// How a product is cut, in one number of the host's: the tile's side plus 256 times that of a thread's piece.
__device__ inline int side_of(int tile) { return tile & 255; }
__device__ inline int piece_of(int tile) { return PIECE ? PIECE : tile >> 8; }

// Compute the tile whose first element is (row, col) of op(a) op(b), and call write(row, col, sum) once for each of its
// elements that is inside. op transposes if TRANS is true; depth is the length of the summed dimension; the tile's side is
// 2^log. a and b are Matrix, or Patches, which are read like one.
template <int SIDE, bool TRANS_A, bool TRANS_B, class A, class B, class Write>
__device__ inline void product_tile(Shared& shared, int log, int row, int col, int depth, const A& a, const B& b,
                                    Write write) {
  constexpr bool ALONG_A = !TRANS_A, ALONG_B = TRANS_B;  // do lines in memory run along the summed dimension?
  const int log_deep = LOG_SLICE - log, deep = 1 << log_deep;  // how far a slice reaches along the summed dimension
  const int rows = ALONG_A ? a.rows : a.cols, cols = ALONG_B ? b.rows : b.cols;
  const bool quads_a = a.in_quads(), quads_b = b.in_quads();
  Piece<SIDE> piece(log);
  Quad next_a[QUADS], next_b[QUADS];

  for (int start = 0; start < depth + deep; start += deep) {
    if (start > 0) {
      __syncthreads();  // nobody needs the slices before these any more
      put(next_a, shared.slices.a, ALONG_A ? log_deep : log);
      put(next_b, shared.slices.b, ALONG_B ? log_deep : log);
      __syncthreads();  // the slices are there
    }
    if (start < depth) {
      fetch(a, ALONG_A ? row : start, ALONG_A ? start : row, ALONG_A ? log_deep : log, quads_a, next_a);
      fetch(b, ALONG_B ? col : start, ALONG_B ? start : col, ALONG_B ? log_deep : log, quads_b, next_b);
    }
    if (start > 0) piece.template multiply<ALONG_A, ALONG_B>(shared.slices, log, min(deep, depth - start + deep));
  }

  // The groups' sums are added up in shared memory, SUMS of every thread at a time: some rows of the tile.
  constexpr int LOG_ROUNDS = Piece<SIDE>::LOG_ROUNDS;
#pragma unroll 1
  for (int round = 0; round < 1 << LOG_ROUNDS; ++round) {
    __syncthreads();  // nobody needs the last slices, or the sums before these, any more
#pragma unroll
    for (int s = 0; s < SUMS; ++s) shared.sums[s * SUM_STRIDE + threadIdx.x] = piece.sums[s];
    __syncthreads();  // the groups' sums are there
    for (int i = threadIdx.x; i < 1 << (2 * log - LOG_ROUNDS); i += THREADS) {  // neighbouring threads, neighbouring columns
      const int r = piece.row_of(round, over(i, log), ALONG_A), c = rest(i, log);
      if (row + r >= rows || col + c >= cols) continue;
      const int slot = piece.slot(r, c, ALONG_A, ALONG_B);
      real sum = 0;
      for (int group = 0; group < piece.groups; ++group) sum += shared.sums[slot + group * piece.team];
      write(row + r, col + c, sum);
    }
    // Registers cannot be indexed by the round, so the next sums are moved to the place of these.
#pragma unroll
    for (int s = 0; s + SUMS < SUMS << LOG_ROUNDS; ++s) piece.sums[s] = piece.sums[s + SUMS];
  }
}

// Some tiles of a product, dealt to the blocks.
template <bool TRANS_A, bool TRANS_B, class A, class B, class Write>
__device__ inline void product_tiles(Shared& shared, int tile, int first, int count, int depth, const A& a, const B& b,
                                     int& before, Write write) {
  const int side = side_of(tile), log = __ffs(side) - 1, cols = TRANS_B ? b.rows : b.cols;
  const int across = (cols + side - 1) / side;
  each_task(first, count, before, [&](int task) {
    const int row = task / across * side, col = task % across * side;
    if (piece_of(tile) == 8) product_tile<8, TRANS_A, TRANS_B>(shared, log, row, col, depth, a, b, write);
    else product_tile<4, TRANS_A, TRANS_B>(shared, log, row, col, depth, a, b, write);
  });
}

__device__ inline int tiles_of(int tile, int rows, int cols) {
  const int side = side_of(tile);
  return (rows + side - 1) / side * ((cols + side - 1) / side);
}

// All tiles of a product.
template <bool TRANS_A, bool TRANS_B, class A, class B, class Write>
__device__ inline void product(Shared& shared, int tile, int rows, int cols, int depth, const A& a, const B& b, int& before,
                               Write write) {
  product_tiles<TRANS_A, TRANS_B>(shared, tile, 0, tiles_of(tile, rows, cols), depth, a, b, before, write);
}
