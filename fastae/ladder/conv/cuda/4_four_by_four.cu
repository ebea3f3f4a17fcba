// Four by four outputs a thread: eight reads serve sixteen multiply-adds.
//
// Idea: a thread of the rung before reads two numbers from shared memory for every multiply-add. With four
// patches and four kernels it reads eight for sixteen. 8 x 16 threads make a tile of 64 patches by 32 kernels; a
// warp is 8 threads by 4, whose 4 patches would lie 16 words apart, two of them in each bank of shared memory.
// With rows of 17 words all four are in different banks.
//
// Predicted: 3.6 times, from 2.13 cycles of a warp for a multiply-add to 0.59: 8 reads for 16, and the fetching, of
// 96 numbers for 2048 multiply-adds.
//
// Hint: for each l, us[ty + 16 i][l] to a[i] and ws[l][tx + 8 i] to b[i]; then all a[i] * b[j] to sums[i][j].
// All 128 threads together loop over the 64 x 16 numbers to copy, and over the 16 x 32 weights.

#define PATCHES 64  // of the tile of out that a block computes
#define KERNELS 32
#define SLICE 16  // how far it goes along the patches at once

struct Patches {  // number q of patch p: row (pixel's row and column, channel) of the patches of all images
  const real* x;
  long long stride;
  int height, width, channels, kernel, step, padding, columns, of_image, count, depth;

  // Number (p, q), fetched from the image; 0 where there is none.
  __device__ real operator()(int p, int q) const {
    if (p >= count || q >= depth) return 0;
    const int patch = p % of_image, tap = q / channels;
    const int i = patch / columns * step - padding + tap / kernel, j = patch % columns * step - padding + tap % kernel;
    if (i < 0 || i >= height || j < 0 || j >= width) return 0;
    return x[p / of_image * stride + (i * width + j) * channels + q % channels];
  }
};

struct Weights {
  const real* at;
  long long stride;
  int depth, kernels;

  // Weight (q, o), 0 where there is none.
  __device__ real operator()(int q, int o) const { return q < depth && o < kernels ? at[q * stride + o] : real(0); }
};

// launch convolve: grid (ceil(c / 32), ceil(p / 64)), block (8, 16)
extern "C" __global__ void convolve(int m, int n, int p, int q, int c, const real* x, long long x_stride,
                                    const real* weights, long long weights_stride, int height, int width, int kernel,
                                    int stride, int padding, real* out, long long out_stride) {
  const int columns = (width + 2 * padding - kernel) / stride + 1;
  const Patches U = {x, x_stride, height, width, n / (height * width), kernel, stride, padding, columns, p / m, p, q};
  const Weights W = {weights, weights_stride, q, c};
  const auto write = [&](int row, int col, real sum) {
    if (row < p && col < c) out[row * out_stride + col] = sum;
  };

  const int row = blockIdx.y * PATCHES, col = blockIdx.x * KERNELS, tx = threadIdx.x, ty = threadIdx.y;
  real sums[4][4] = {};
  // idea
  __shared__ real us[PATCHES][SLICE + 1], ws[SLICE][KERNELS];
  for (int start = 0; start < q; start += SLICE) {
    for (int i = ty * 8 + tx; i < PATCHES * SLICE; i += 128)
      us[i / SLICE][i % SLICE] = U(row + i / SLICE, start + i % SLICE);
    for (int i = ty * 8 + tx; i < SLICE * KERNELS; i += 128)
      ws[i / KERNELS][i % KERNELS] = W(start + i / KERNELS, col + i % KERNELS);
    __syncthreads();  // the slices are complete
    for (int l = 0; l < SLICE; ++l) {
      real a[4], b[4];
      for (int i = 0; i < 4; ++i) a[i] = us[ty + 16 * i][l], b[i] = ws[l][tx + 8 * i];
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sums[i][j] += a[i] * b[j];
    }
    __syncthreads();  // all threads are done with them
  }
  // end
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) write(row + ty + 16 * i, col + tx + 8 * j, sums[i][j]);
}
