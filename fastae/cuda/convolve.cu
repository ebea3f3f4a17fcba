// The contract's convolve: out = unfold(x) weights, a product that reads the patches from the images.
// (Chetlur et al., cuDNN: Efficient primitives for deep learning, 2014, section 3.)
#include "patches.cuh"
#include "tile.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolve(int tile, int rows, int cols, int depth, const real* x, long long x_stride, const real* weights,
             long long weights_stride, long long height, long long width, long long kernel, long long stride,
             long long padding, real* out, long long out_stride) {
  __shared__ Shared shared;
  const Geometry g(height, width, kernel, stride, padding, depth / (kernel * kernel));
  const Patches patches = {x, x_stride, g, 0, rows, depth};
  const Matrix W = {weights, weights_stride, depth, cols};
  int before = 0;
  product<false, false>(shared, tile, rows, cols, depth, patches, W, before,
                        [&](int row, int col, real sum) { out[row * out_stride + col] = sum; });
}
