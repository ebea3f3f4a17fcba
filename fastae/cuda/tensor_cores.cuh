// A warp's piece of a tile by the tensor cores: inputs rounded to TF32 (10 bits of mantissa), sums in float32. A warp
// multiplies 16 x 8 by 8 x 8 at once, each lane holding some elements of each matrix. (PTX ISA, mma.m16n8k8.)
#pragma once

#define PIECES (SUMS / 8)  // of 16 x 16, of a warp in the largest tile
#define WARPS (THREADS / WARP)
#define LOG_WARPS 3

// sums += a b, for the whole warp; compute capability 8.0 and newer
__device__ inline void multiply_accumulate(float* sums, const float (&a)[4], const float (&b)[2]) {
#ifdef __CUDA_ARCH__
  unsigned ra[4], rb[2];
#pragma unroll
  for (int i = 0; i < 4; ++i) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(ra[i]) : "f"(a[i]));
#pragma unroll
  for (int i = 0; i < 2; ++i) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rb[i]) : "f"(b[i]));
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
#else
  emulated_mma_tf32(sums, a, b);
#endif
}

template <int SIDE>  // not used here
struct Piece {
  static constexpr int LOG_ROUNDS = 0;
  const int log_across, pieces, log_warps;    // pieces of 16 x 16; warps of a group
  const int team, groups, group, warp, row, pair;  // threads of a group
  float sums[SUMS] = {};  // of two pieces, two halves of 8 columns, 4 each

  __device__ explicit Piece(int log)
      : log_across(log - 4),
        pieces(1 << 2 * log_across),
        log_warps(min(2 * log_across, LOG_WARPS)),
        team(WARP << log_warps),
        groups(WARPS >> log_warps),
        group(over(threadIdx.x / WARP, log_warps)),
        warp(rest(threadIdx.x / WARP, log_warps)),
        row(threadIdx.x % WARP / 4),
        pair(threadIdx.x % 4) {}

  // Add this group's share of a slice's products.
  template <bool ALONG_A, bool ALONG_B>
  __device__ void multiply(const Slices& slices, int log, int depth) {
    for (int k = 8 * group; k < depth; k += 8 * groups)
#pragma unroll
      for (int p = 0; p < PIECES; ++p) {
        const int piece = warp + p * WARPS;
        if (piece >= pieces) continue;
        const int r = over(piece, log_across) * 16 + row;
        const float a[4] = {at<ALONG_A>(slices.a, log, r, k + pair), at<ALONG_A>(slices.a, log, r + 8, k + pair),
                            at<ALONG_A>(slices.a, log, r, k + pair + 4), at<ALONG_A>(slices.a, log, r + 8, k + pair + 4)};
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int c = rest(piece, log_across) * 16 + 8 * half + row;
          const float b[2] = {at<ALONG_B>(slices.b, log, c, k + pair), at<ALONG_B>(slices.b, log, c, k + pair + 4)};
          multiply_accumulate(sums + 8 * p + 4 * half, a, b);
        }
      }
  }

  __device__ int row_of(int, int number, bool) const { return number; }

  // The place in shared memory of the first group's sum for a row and a column of the tile.
  __device__ int slot(int row, int col, bool, bool) const {
    const int piece = (row / 16 << log_across) + col / 16, lane = row % 8 * 4 + col % 8 / 2;
    const int s = piece / WARPS * 8 + col % 16 / 8 * 4 + row % 16 / 8 * 2 + col % 2;
    return s * SUM_STRIDE + piece % WARPS * WARP + lane;
  }

 private:
  template <bool ALONG>
  __device__ static float at(const Quad* slice, int log, int line, int k) {
    const float* elements = reinterpret_cast<const float*>(slice);
    return ALONG ? elements[line * ((SLICE >> log) + PAD) + k] : elements[k * ((1 << log) + PAD) + line];
  }
};
