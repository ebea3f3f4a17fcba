// The contract's unfold and fold, with a thread for each element that is written.
#include "patches.cuh"

// out = a row for each patch of each image, 0 in the padding
extern "C" __global__ void unfold(int rows, int cols, const real* x, long long x_stride, long long height, long long width,
                                  long long kernel, long long stride, long long padding, real* out, long long out_stride) {
  const Geometry g(height, width, kernel, stride, padding, cols / (kernel * kernel));
  const Patches patches = {x, x_stride, g, 0, rows, cols};
  each_element(rows, cols, [&](long long r, long long c) { out[r * out_stride + c] = patches.element(r, c); });
}

// out = for every pixel the sum over the patches that contain it
extern "C" __global__ void fold(int rows, int cols, const real* x, long long x_stride, long long height, long long width,
                                long long kernel, long long stride, long long padding, real* out, long long out_stride) {
  const Geometry g(height, width, kernel, stride, padding, cols / (height * width));
  each_folded(rows, x, x_stride, g,
              [&](long long image, long long col, int, real sum) { out[image * out_stride + col] = sum; });
}
