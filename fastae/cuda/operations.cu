// The step's operations as kernels, for a step that is launched one by one or captured into a graph.
#include "operations.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    forward(int tile, int m, int inputs, int outputs, const real* a, long long a_stride, const real* W, long long W_stride,
            const real* b, real* y, long long y_stride) {
  __shared__ Shared shared;
  int before = 0;
  forward_all(shared, tile, {a, a_stride, m, inputs}, {W, W_stride, inputs, outputs}, b, y, y_stride, before);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    backward(int tile, int m, int inputs, int outputs, const real* d, long long d_stride, const real* W, long long W_stride,
             const real* y, long long y_stride, real* out, long long out_stride) {
  __shared__ Shared shared;
  int before = 0;
  backward_all(shared, tile, {d, d_stride, m, outputs}, {W, W_stride, inputs, outputs}, y, y_stride, out, out_stride, before);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    update(int tile, int m, int inputs, int outputs, const real* a, long long a_stride, const real* d, long long d_stride,
           real* W, long long W_stride, real* b, real* V, long long V_stride, real* c, const real* rate) {
  __shared__ Shared shared;
  int before = 0;
  update_all(shared, tile, {a, a_stride, m, inputs}, {d, d_stride, m, outputs}, W, W_stride, b, V, V_stride, c, rate, before);
}

// The gradient of the loss with respect to the last pre-activations, and the loss of each image: a block an image.
template <bool CROSS_ENTROPY>
__device__ inline void loss_and_gradient(double (&parts)[THREADS / WARP], int m, int pixels, const real* z, long long z_stride, const real* x,
                                         long long x_stride, real scale, real* d, long long d_stride,
                                         double* losses) {
  for (int image = blockIdx.x; image < m; image += gridDim.x) {
    for (int c = threadIdx.x; c < pixels; c += THREADS)
      d[image * d_stride + c] =
          gradient_of_pixel<CROSS_ENTROPY>(z[image * z_stride + c], x[image * x_stride + c], scale);
    image_loss<CROSS_ENTROPY>(parts, image, pixels, z, z_stride, x, x_stride, losses);
  }
}

extern "C" __global__ void mse_loss_gradient(int m, int pixels, const real* z, long long z_stride, const real* x,
                                             long long x_stride, real scale, const real* scale_at, real* d,
                                             long long d_stride, double* losses) {
  __shared__ double parts[THREADS / WARP];
  loss_and_gradient<false>(parts, m, pixels, z, z_stride, x, x_stride, number(scale, scale_at), d, d_stride, losses);
}

extern "C" __global__ void bce_loss_gradient(int m, int pixels, const real* z, long long z_stride, const real* x,
                                             long long x_stride, real scale, const real* scale_at, real* d,
                                             long long d_stride, double* losses) {
  __shared__ double parts[THREADS / WARP];
  loss_and_gradient<true>(parts, m, pixels, z, z_stride, x, x_stride, number(scale, scale_at), d, d_stride, losses);
}
