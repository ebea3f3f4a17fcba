// A thread's piece of a tile by multiply-adds: 4 x 4 sums, with 64 multiply-adds for 8 quads read from shared memory, or
// 8 x 8, with 256 for 16.
#pragma once

template <int SIDE>
struct Piece {
  static constexpr int FOURS = SIDE / 4;
  static constexpr int LOG_ROUNDS = SIDE == 8 ? 2 : 0;  // of sums through shared memory
  const int log_across, x, y;      // threads along each side of the tile, and this one's place
  const int team, groups, group;   // threads of a group
  real sums[SIDE * SIDE] = {};

  __device__ explicit Piece(int log)
      : log_across(log - (SIDE == 8 ? 3 : 2)),
        x(rest(threadIdx.x, log_across)),
        y(rest(over(threadIdx.x, log_across), log_across)),
        team(1 << 2 * log_across),
        groups(THREADS >> 2 * log_across),
        group(over(threadIdx.x, 2 * log_across)) {}

  // Add this group's share of a slice's products.
  template <bool ALONG_A, bool ALONG_B>
  __device__ void multiply(const Slices& slices, int log, int depth) {
    const int log_deep = LOG_SLICE - log;
#pragma unroll 1  // a second quad's operands would need more registers
    for (int quad = group; 4 * quad < depth; quad += groups) {
      Quad b[FOURS][4];
#pragma unroll
      for (int v = 0; v < FOURS; ++v) read<ALONG_B>(slices.b, ALONG_B ? log_deep : log, x, quad, v, b[v]);
#pragma unroll
      for (int u = 0; u < FOURS; ++u) {
        Quad a[4];
        read<ALONG_A>(slices.a, ALONG_A ? log_deep : log, y, quad, u, a);
#pragma unroll
        for (int step = 0; step < 4; ++step)
#pragma unroll
          for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < SIDE; ++j)
              sums[(4 * u + i) * SIDE + j] += element<ALONG_A>(a, i, step) * element<ALONG_B>(b[j / 4], j % 4, step);
      }
    }
  }

  // The tile's row for a row of a round's sums.
  __device__ int row_of(int round, int number, bool along) const {
    if (LOG_ROUNDS == 0) return number;
    return along ? (2 * round << log_across) + number  // lines 2 round and 2 round + 1 of every piece
                 : 4 * ((round / 2 << log_across) + number / 2) + round % 2 * 2 + number % 2;
  }

  // The place in shared memory of the first group's sum for a row and a column of the tile, in that row's round.
  __device__ int slot(int row, int col, bool along_a, bool along_b) const {
    return (line(row, along_a) * SIDE + line(col, along_b)) % SUMS * SUM_STRIDE + (owner(row, along_a) << log_across) +
           owner(col, along_b);
  }

 private:
  // Four lines by four steps along the summed dimension. A thread's fours are neighbouring lines if a quad runs across
  // them, and far apart if it runs along the summed dimension, so that neighbouring threads read neighbouring lines.
  template <bool ALONG>
  __device__ void read(const Quad* slice, int log, int first, int quad, int four, Quad (&lines)[4]) const {
    const int length = (1 << (log - 2)) + PAD / 4;  // of a line in memory, in quads
#pragma unroll
    for (int i = 0; i < 4; ++i)
      lines[i] = ALONG ? slice[length * (first + (4 * four + i << log_across)) + quad]
                       : slice[length * (4 * quad + i) + first + (four << log_across)];
  }
  template <bool ALONG>
  __device__ static real element(const Quad (&lines)[4], int line, int step) {
    return ALONG ? lines[line].v[step] : lines[step].v[line];
  }
  // The thread along a side that has a line of the tile, and the line's number in it.
  __device__ int owner(int line, bool along) const { return rest(along ? line : line / 4, log_across); }
  __device__ int line(int line, bool along) const {
    return along ? over(line, log_across) : over(line / 4, log_across) * 4 + line % 4;
  }
};
