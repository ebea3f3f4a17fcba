// A thread's piece of a tile by multiply-adds: 4 x 4 sums, for which 8 quads read from shared memory are worth 64 of them.
#pragma once

#define SIDE 4

struct Piece {
  const int across, x, y, groups, group;
  real sums[SUMS] = {};

  __device__ explicit Piece(int tile)
      : across(tile / SIDE),
        x(threadIdx.x % across),
        y(threadIdx.x / across % across),
        groups(THREADS / (across * across)),
        group(threadIdx.x / (across * across)) {}

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
            sums[i * SIDE + j] += (ALONG_A ? a[i].v[step] : a[step].v[i]) * (ALONG_B ? b[j].v[step] : b[step].v[j]);
    }
  }

  // Where in shared memory the first group's sum for a row and a column of the tile is.
  __device__ int slot(int row, int col, bool along_a, bool along_b) const {
    const int owner_y = along_a ? row % across : row / SIDE, i = along_a ? row / across : row % SIDE;
    const int owner_x = along_b ? col % across : col / SIDE, j = along_b ? col / across : col % SIDE;
    return (i * SIDE + j) * SUM_STRIDE + owner_y * across + owner_x;
  }

 private:
  // Four lines by four steps along the summed dimension, of which the first is k. A thread's lines are neighbours if a
  // quad runs across them, and far apart if it runs along the summed dimension, so that neighbouring threads read
  // neighbouring lines.
  template <bool ALONG>
  __device__ void read(const Quad* slice, int length, int first, int k, Quad (&lines)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      lines[i] = slice[ALONG ? ((length + PAD) * (first + i * across) + k) / 4
                             : ((length + PAD) * (k + i) + first * SIDE) / 4];
  }
};
