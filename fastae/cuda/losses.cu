// The contract's losses: a sum over pixels for each image, by one block each.
#include "sums.cuh"

extern "C" __global__ void mse_loss(int rows, int cols, const real* z, long long z_stride, const real* x,
                                    long long x_stride, double* out) {
  __shared__ double parts[THREADS / WARP];
  for (int image = blockIdx.x; image < rows; image += gridDim.x)
    image_loss<false>(parts, image, cols, z, z_stride, x, x_stride, out);
}

extern "C" __global__ void bce_loss(int rows, int cols, const real* z, long long z_stride, const real* x,
                                    long long x_stride, double* out) {
  __shared__ double parts[THREADS / WARP];
  for (int image = blockIdx.x; image < rows; image += gridDim.x)
    image_loss<true>(parts, image, cols, z, z_stride, x, x_stride, out);
}
