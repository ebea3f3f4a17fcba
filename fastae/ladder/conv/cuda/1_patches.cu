// A thread for each output: neighbouring threads take neighbouring patches.
//
// Idea: every output is a separate sum, a patch times a kernel, so a GPU can compute thousands of them at once.
// The patches are not stored: the place of each number in the image is computed from the indices of its patch
// and of its position there. Memory is moved in sectors of 32 bytes. The 32 threads of a warp execute each
// instruction together. Here they read numbers of 32 different patches, and the same weight: 33 sectors for 32
// multiply-adds, fewer in the padding.
//
// Hint: row and col by blockIdx and threadIdx, for the launch below: row is a patch, col a kernel; a sum over all q
// numbers of the patch, U(row, l) * W(l, col); then write(row, col, sum).

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

// launch convolve: grid (ceil(p / 32), ceil(c / 8)), block (32, 8)
extern "C" __global__ void convolve(int m, int n, int p, int q, int c, const real* x, long long x_stride,
                                    const real* weights, long long weights_stride, int height, int width, int kernel,
                                    int stride, int padding, real* out, long long out_stride) {
  const int columns = (width + 2 * padding - kernel) / stride + 1;
  const Patches U = {x, x_stride, height, width, n / (height * width), kernel, stride, padding, columns, p / m, p, q};
  const Weights W = {weights, weights_stride, q, c};
  const auto write = [&](int row, int col, real sum) {
    if (row < p && col < c) out[row * out_stride + col] = sum;
  };

  // idea
  const int row = blockIdx.x * 32 + threadIdx.x, col = blockIdx.y * 8 + threadIdx.y;
  real sum = 0;
  for (int l = 0; l < q; ++l) sum += U(row, l) * W(l, col);
  write(row, col, sum);
  // end
}
