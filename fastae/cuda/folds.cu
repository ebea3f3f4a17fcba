// The step's convolutions that are no products, with a thread for each element that is written.
#include "activations.cuh"
#include "descent.cuh"
#include "patches.cuh"
#include "sums.cuh"

#ifndef BCE
#define BCE 0  // else the loss is the cross-entropy, as in operations.cuh
#endif

// y = f(fold(products) + b), forward through a transposed convolution
extern "C" __global__ void fold_forward(int rows, int cols, const real* products, long long products_stride, const real* b,
                                        real* y, long long y_stride, long long height, long long width, long long kernel,
                                        long long stride, long long padding) {
  const Geometry g(height, width, kernel, stride, padding, cols / (height * width));
  each_folded(rows, products, products_stride, g, [&](long long image, long long col, int channel, real sum) {
    y[image * y_stride + col] = activated<ACTIVATION>(sum + b[channel]);
  });
}

// The same with a sigmoid, and d = the gradient of the loss of y against x with respect to the pre-activations.
extern "C" __global__ void fold_forward_loss(int rows, int cols, const real* products, long long products_stride,
                                             const real* b, real* y, long long y_stride, const real* x, long long x_stride,
                                             real scale, const real* scale_at, real* d, long long d_stride,
                                             long long height, long long width, long long kernel, long long stride,
                                             long long padding) {
  const Geometry g(height, width, kernel, stride, padding, cols / (height * width));
  scale = number(scale, scale_at);
  each_folded(rows, products, products_stride, g, [&](long long image, long long col, int channel, real sum) {
    const real z = y[image * y_stride + col] = sigmoid(sum + b[channel]);
    d[image * d_stride + col] = gradient_of_pixel<BCE>(z, x[image * x_stride + col], scale);
  });
}

// out = fold(products) * f', the derivative from y: backward through a convolution
extern "C" __global__ void fold_backward(int rows, int cols, const real* products, long long products_stride, const real* y,
                                         long long y_stride, real* out, long long out_stride, long long height,
                                         long long width, long long kernel, long long stride, long long padding) {
  const Geometry g(height, width, kernel, stride, padding, cols / (height * width));
  each_folded(rows, products, products_stride, g, [&](long long image, long long col, int, real sum) {
    out[image * out_stride + col] = through<ACTIVATION>(sum, y[image * y_stride + col]);
  });
}

// Update weights and biases by the sums of their gradients' parts, always in the same order; V and c may be null.
extern "C" __global__ void descend_by_parts(int rows, int cols, int channels, int shares, int bias_shares, const real* parts,
                                            long long parts_stride, const real* bias_parts, long long bias_parts_stride,
                                            real* W, long long W_stride, real* b, real* V, long long V_stride, real* c,
                                            const real* rate) {
  __shared__ real column_parts[THREADS];
  each_element(rows, cols, [&](long long row, long long col) {
    const real* part = parts + row * cols + col;
    real sum = 0;
#pragma unroll 8  // loads of parts in flight at once
    for (int s = 0; s < shares; ++s) sum += part[s * parts_stride];
    descend(W + row * W_stride + col, V ? V + row * V_stride + col : nullptr, sum, rate);
  });
  int before = (rows * cols + THREADS - 1) / THREADS;  // blocks for weights
  each_task(0, (channels + WARP - 1) / WARP, before, [&](int task) {
    column_sums(column_parts, bias_parts, bias_parts_stride, bias_shares, channels, task * WARP,
                [&](int col, real sum) { descend(b + col, c ? c + col : nullptr, sum, rate); });
  });
}
