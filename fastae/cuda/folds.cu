// The step's operations with convolutions that are not products, a thread for each element that is written.
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
  const int weights = rows * cols;
  each_element(1, weights + channels, [&](long long, long long i) {
    const bool bias = i >= weights;
    const int j = bias ? i - weights : i, count = bias ? bias_shares : shares, row = bias ? 0 : j / cols;
    const real* part = (bias ? bias_parts : parts) + j;
    real sum = 0;
    for (int s = 0; s < count; ++s, part += bias ? bias_parts_stride : parts_stride) sum += *part;
    if (bias) descend(b + j, c ? c + j : nullptr, sum, rate);
    else descend(W + row * W_stride + (j - row * cols), V ? V + row * V_stride + (j - row * cols) : nullptr, sum, rate);
  });
}
