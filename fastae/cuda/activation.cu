// The contract's two kernels of one activation, ACTIVATION: a module for each.
#include "activations.cuh"

// out = f(z + bias); out may be z
extern "C" __global__ void bias_activation(int rows, int cols, const real* z, long long z_stride, const real* bias,
                                           real* out, long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = activated<ACTIVATION>(z[r * z_stride + c] + bias[c]);
  });
}

// out = delta * f'; out may be delta
extern "C" __global__ void activation_gradient(int rows, int cols, const real* delta, long long delta_stride,
                                               const real* y, long long y_stride, real* out, long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = through<ACTIVATION>(delta[r * delta_stride + c], y[r * y_stride + c]);
  });
}
