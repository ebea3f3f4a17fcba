// The step's convolutions that are products: one factor is read from images patch by patch.
//
//                     forward              backward               update
//   convolution       patches(a) W         fold(d W^T)            patches(a)^T d
//   transposed        fold(a W^T)          patches(d) W           patches(d)^T a
//
// Folds are in folds.cu, after a product of matmul.cu. Channels are last, so a layer's output is a matrix with a row for
// each pixel.
#include "operations.cuh"
#include "patches.cuh"

// y = f(patches(a) W + b), forward through a convolution
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolution_forward(int tile, int rows, int cols, int depth, const real* a, long long a_stride, const real* W,
                        long long W_stride, const real* b, real* y, long long y_stride, long long height, long long width,
                        long long kernel, long long stride, long long padding) {
  __shared__ Shared shared;
  const Geometry g(height, width, kernel, stride, padding, depth / (kernel * kernel));
  const Patches patches = {a, a_stride, g, 0, rows, depth};
  int before = 0;
  forward_all(shared, tile, patches, {W, W_stride, depth, cols}, b, y, y_stride, before);
}

// out = (patches(d) W) * f', the derivative from y: backward through a transposed convolution
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    transposed_backward(int tile, int rows, int cols, int depth, const real* d, long long d_stride, const real* W,
                        long long W_stride, const real* y, long long y_stride, real* out, long long out_stride,
                        long long height, long long width, long long kernel, long long stride, long long padding) {
  __shared__ Shared shared;
  const Geometry g(height, width, kernel, stride, padding, depth / (kernel * kernel));
  const Patches patches = {d, d_stride, g, 0, rows, depth};
  const Matrix weights = {W, W_stride, depth, cols};
  int before = 0;
  product<false, false>(shared, tile, rows, cols, depth, patches, weights, before, [&](int row, int col, real sum) {
    out[row * out_stride + col] = through<ACTIVATION>(sum, y[row * y_stride + col]);
  });
}

// Parts of gradients: parts[s] = patches(x)^T pixels and bias_parts[s] = the column sums of d, each over the s-th share
// of the rows. A convolution has few weights, hence few tiles, and sums over all pixels. With shares of the rows more than
// one multiprocessor works on a tile; `descend_by_parts` of folds.cu adds the parts up.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    gradients(int tile, int rows, int cols, int depth, int d_rows, int channels, int shares, int bias_shares,
              const real* x, long long x_stride, const real* pixels, long long pixels_stride, const real* d,
              long long d_stride, real* parts, long long parts_stride, real* bias_parts, long long bias_parts_stride,
              long long height, long long width, long long kernel, long long stride, long long padding) {
  __shared__ Shared shared;
  const Geometry g(height, width, kernel, stride, padding, rows / (kernel * kernel));
  int before = 0;
  const int share = (depth + shares - 1) / shares, tiles = tiles_of(tile, rows, cols);
  for (int s = 0; s < shares; ++s) {
    const int first = s * share, count = max(0, min(share, depth - first));
    const Patches patches = {x, x_stride, g, first, count, rows};
    const Matrix others = {pixels + first * pixels_stride, pixels_stride, count, cols};
    real* const part = parts + s * parts_stride;
    product_tiles<true, false>(shared, tile, 0, tiles, count, patches, others, before,
                               [&](int row, int col, real sum) { part[row * cols + col] = sum; });
  }
  const int bias_share = (d_rows + bias_shares - 1) / bias_shares;
  for (int s = 0; s < bias_shares; ++s) {
    const int first = s * bias_share, count = max(0, min(bias_share, d_rows - first));
    each_task(0, (channels + WARP - 1) / WARP, before, [&](int task) {
      column_sums(shared.column_parts, d + first * d_stride, d_stride, count, channels, task * WARP,
                  [&](int col, real sum) { bias_parts[s * bias_parts_stride + col] = sum; });
    });
  }
}
