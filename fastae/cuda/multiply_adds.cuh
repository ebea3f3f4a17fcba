// A thread's piece of a tile by multiply-adds: 4 x 4 sums, for which 8 quads read from shared memory are worth 64 of them.
#pragma once

#define SIDE 4

struct Piece {
  int x, y, across, group, groups;
  real sums[SIDE][SIDE] = {};

  __device__ explicit Piece(int tile) {
    across = tile / SIDE;
    const int pieces = across * across, me = threadIdx.x;
    group = me / pieces, groups = THREADS / pieces;
    x = me % across, y = me % pieces / across;
  }

  // Add a slice's products, this group's share of them.
  template <bool ALONG_A, bool ALONG_B>
  __device__ void multiply(const Slices& slices, int tile, int depth) {
    const int deep = SLICE / tile;
    for (int k = 4 * group; k < depth; k += 4 * groups) {
      Quad a[4], b[4];
      read<ALONG_A>(slices.a, ALONG_A ? deep : tile, y, k, a);
      read<ALONG_B>(slices.b, ALONG_B ? deep : tile, x, k, b);
#pragma unroll
      for (int step = 0; step < 4; ++step)
#pragma unroll
        for (int i = 0; i < SIDE; ++i)
#pragma unroll
          for (int j = 0; j < SIDE; ++j)
            sums[i][j] += (ALONG_A ? a[i].v[step] : a[step].v[i]) * (ALONG_B ? b[j].v[step] : b[step].v[j]);
    }
  }

  // Let f(row, col, sum) be called for each sum, row and column within the tile.
  template <bool ALONG_A, bool ALONG_B, class F>
  __device__ void each_sum(F f) const {
#pragma unroll
    for (int i = 0; i < SIDE; ++i)
#pragma unroll
      for (int j = 0; j < SIDE; ++j) f(line(y, i, ALONG_A), line(x, j, ALONG_B), sums[i][j]);
  }

 private:
  // A thread's lines are neighbours if a quad runs across them, and far apart if it runs along the summed dimension, so
  // that neighbouring threads read neighbouring lines.
  __device__ int line(int first, int i, bool along) const { return along ? first + i * across : first * SIDE + i; }

  // Four lines by four steps along the summed dimension, of which the first is k.
  template <bool ALONG>
  __device__ void read(const Quad* slice, int length, int first, int k, Quad (&lines)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      lines[i] = slice[ALONG ? ((length + PAD) * line(first, i, true) + k) / 4
                             : ((length + PAD) * (k + i) + first * SIDE) / 4];
  }
};
