// A warp's piece of a tile by the tensor cores: inputs rounded to TF32 (10 bits of mantissa), sums in float32. A warp
// multiplies 16 x 8 by 8 x 8 at once, each lane holding some elements of each matrix. (PTX ISA, mma.m16n8k8.)
#pragma once

#define PIECES 2  // of 16 x 16, that a warp has in the largest tile
#define WARPS (THREADS / WARP)

// sums += a b, for the whole warp; compute capability 8.0 and newer
__device__ inline void multiply_accumulate(float (&sums)[4], const float (&a)[4], const float (&b)[2]) {
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

struct Piece {
  int across, pieces, group, groups, warp, row, pair;
  float sums[PIECES][2][4] = {};  // of two halves of 8 columns each

  __device__ explicit Piece(int tile) {
    across = tile / 16, pieces = across * across, warp = threadIdx.x / WARP;
    group = warp / min(pieces, WARPS), groups = WARPS / min(pieces, WARPS);
    row = threadIdx.x % WARP / 4, pair = threadIdx.x % 4;
  }

  // Add a slice's products, this group's share of them.
  template <bool ALONG_A, bool ALONG_B>
  __device__ void multiply(const Slices& slices, int tile, int depth) {
    for (int k = 8 * group; k < depth; k += 8 * groups)
#pragma unroll
      for (int p = 0; p < PIECES; ++p) {
        if (piece(p) >= pieces) continue;
        const int r = first_row(p) + row;
        const float a[4] = {at<ALONG_A>(slices.a, tile, r, k + pair), at<ALONG_A>(slices.a, tile, r + 8, k + pair),
                            at<ALONG_A>(slices.a, tile, r, k + pair + 4), at<ALONG_A>(slices.a, tile, r + 8, k + pair + 4)};
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int c = first_col(p) + 8 * half + row;
          const float b[2] = {at<ALONG_B>(slices.b, tile, c, k + pair), at<ALONG_B>(slices.b, tile, c, k + pair + 4)};
          multiply_accumulate(sums[p][half], a, b);
        }
      }
  }

  // Let f(row, col, sum) be called for each sum, row and column within the tile.
  template <bool ALONG_A, bool ALONG_B, class F>
  __device__ void each_sum(F f) const {
#pragma unroll
    for (int p = 0; p < PIECES; ++p) {
      if (piece(p) >= pieces) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          f(first_row(p) + row + 8 * (i / 2), first_col(p) + 8 * half + 2 * pair + i % 2, sums[p][half][i]);
    }
  }

 private:
  __device__ int piece(int p) const { return warp % min(pieces, WARPS) + p * WARPS; }
  __device__ int first_row(int p) const { return piece(p) / across * 16; }
  __device__ int first_col(int p) const { return piece(p) % across * 16; }

  template <bool ALONG>
  __device__ static float at(const Quad* slice, int tile, int line, int k) {
    const float* elements = reinterpret_cast<const float*>(slice);
    return ALONG ? elements[line * (SLICE / tile + PAD) + k] : elements[k * (tile + PAD) + line];
  }
};
