// A thread's piece of a tile by multiply-adds: 4 x 4 sums, for which 8 quads read from shared memory are worth 64 of them.
#pragma once

#define SIDE 4

struct Piece {
  const int log_across, x, y;      // threads along each side of the tile, and which of them this one is
  const int team, groups, group;   // threads of a group
  real sums[SUMS] = {};

  __device__ explicit Piece(int log)
      : log_across(log - 2),
        x(rest(threadIdx.x, log_across)),
        y(rest(over(threadIdx.x, log_across), log_across)),
        team(1 << 2 * log_across),
        groups(THREADS >> 2 * log_across),
        group(over(threadIdx.x, 2 * log_across)) {}

  // Add a slice's products, this group's share of them.
  template <bool ALONG_A, bool ALONG_B>
  __device__ void multiply(const Slices& slices, int log, int depth) {
    const int log_deep = LOG_SLICE - log;
    for (int quad = group; 4 * quad < depth; quad += groups) {
      Quad a[4], b[4];
      read<ALONG_A>(slices.a, ALONG_A ? log_deep : log, y, quad, a);
      read<ALONG_B>(slices.b, ALONG_B ? log_deep : log, x, quad, b);
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
    const int owner_y = along_a ? rest(row, log_across) : row / SIDE, i = along_a ? over(row, log_across) : row % SIDE;
    const int owner_x = along_b ? rest(col, log_across) : col / SIDE, j = along_b ? over(col, log_across) : col % SIDE;
    return (i * SIDE + j) * SUM_STRIDE + (owner_y << log_across) + owner_x;
  }

 private:
  // Four lines by four steps along the summed dimension. A thread's lines are neighbours if a quad runs across them, and
  // far apart if it runs along the summed dimension, so that neighbouring threads read neighbouring lines.
  template <bool ALONG>
  __device__ void read(const Quad* slice, int log, int first, int quad, Quad (&lines)[4]) const {
    const int length = (1 << (log - 2)) + PAD / 4;  // of a line in memory, in quads
#pragma unroll
    for (int i = 0; i < 4; ++i)
      lines[i] = slice[ALONG ? length * (first + (i << log_across)) + quad : length * (4 * quad + i) + first];
  }
};
