// The step's operations, each a product that ends with the rest of the work on its elements.
//
// forward:  y = f(a W + b), f the activation               (m, inputs) (inputs, outputs) -> (m, outputs)
// forward_loss: the same with a sigmoid, and d = the gradient of the loss of y against x with respect to the
//           pre-activations
// backward: out = (d W^T) * f', the derivative from y      (m, outputs) (inputs, outputs)^T -> (m, inputs)
// update:   W += rate[0] * a^T d, b += rate[0] * (column sums of d); with velocities V and c, which may be null,
//           v = rate[1] * v + gradient first. rate[0] is minus the learning rate, rate[1] the momentum.
//
// The left factor of forward is a Matrix, or Patches, which are read like one.
#pragma once
#include "activations.cuh"
#include "descent.cuh"
#include "sums.cuh"
#include "tile.cuh"

#ifndef BCE
#define BCE 0  // else the loss is the cross-entropy; a module for each: NVIDIA's compiler takes 10 s for persistent.cu
#endif

template <class A = Matrix>
__device__ inline void forward_all(Shared& shared, int tile, const A& a, const Matrix& W, const real* b, real* y,
                                   long long y_stride, int& before) {
  product<false, false>(shared, tile, a.rows, W.cols, a.cols, a, W, before, [&](int row, int col, real sum) {
    y[row * y_stride + col] = activated<ACTIVATION>(sum + b[col]);
  });
}

__device__ inline void forward_loss_all(Shared& shared, int tile, const Matrix& a, const Matrix& W, const real* b, real* y,
                                        long long y_stride, const real* x, long long x_stride, real scale, real* d,
                                        long long d_stride, int& before) {
  product<false, false>(shared, tile, a.rows, W.cols, a.cols, a, W, before, [&](int row, int col, real sum) {
    const real z = y[row * y_stride + col] = sigmoid(sum + b[col]);
    d[row * d_stride + col] = gradient_of_pixel<BCE>(z, x[row * x_stride + col], scale);
  });
}

__device__ inline void backward_all(Shared& shared, int tile, const Matrix& d, const Matrix& W, const real* y,
                                    long long y_stride, real* out, long long out_stride, int& before) {
  product<false, true>(shared, tile, d.rows, W.rows, d.cols, d, W, before, [&](int row, int col, real sum) {
    out[row * out_stride + col] = through<ACTIVATION>(sum, y[row * y_stride + col]);
  });
}

__device__ inline int update_tasks(int tile, int inputs, int outputs) {
  return tiles_of(tile, inputs, outputs) + (outputs + WARP - 1) / WARP;
}

// Some of the tasks of an update: the tiles of the weights, then the biases.
__device__ inline void update_some(Shared& shared, int tile, int first, int count, const Matrix& a, const Matrix& d, real* W,
                                   long long W_stride, real* b, real* V, long long V_stride, real* c, const real* rate,
                                   int& before) {
  const int tiles = tiles_of(tile, a.cols, d.cols), of_weights = max(0, min(count, tiles - first));
  product_tiles<true, false>(shared, tile, first, of_weights, a.rows, a, d, before, [&](int row, int col, real sum) {
    descend(W + row * W_stride + col, V ? V + row * V_stride + col : nullptr, sum, rate);
  });
  each_task(first + of_weights - tiles, count - of_weights, before, [&](int task) {
    column_sums(shared.column_parts, d.at, d.stride, d.rows, d.cols, task * WARP,
                [&](int col, real sum) { descend(b + col, c ? c + col : nullptr, sum, rate); });
  });
}
