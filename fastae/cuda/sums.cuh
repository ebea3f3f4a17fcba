// Sums over columns and over pixels, by one block each, always in the same order.
#pragma once
#include "common.cuh"

// The column sums of 32 columns of a matrix, from `col` on: each warp adds up every eighth row, lane by lane a column,
// and the first warp adds up the eight. write(col, sum) is called once for each column that is inside.
template <class T, class Write>
__device__ inline void column_sums(T (&parts)[THREADS], const T* at, long long stride, int rows, int cols, int col,
                                   Write write) {
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, c = col + lane;
  T sum = 0;
  if (c < cols)
    for (int r = warp; r < rows; r += THREADS / WARP) sum += at[r * stride + c];
  __syncthreads();  // nobody needs what is there any more
  parts[threadIdx.x] = sum;
  __syncthreads();  // the warps' sums are there
  if (warp == 0 && c < cols) {
    for (int w = 1; w < THREADS / WARP; ++w) sum += parts[w * WARP + lane];
    write(c, sum);
  }
}

// the sum over all lanes of a warp, in its first lane: 16 lanes add another's, then 8, 4, 2 and 1
__device__ inline double sum_of_lanes(double sum) {
  for (int by = WARP / 2; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
  return sum;
}

// log of s, not below -100; NaN for NaN, which fmax would hide
__device__ inline real floored_log(real s) {
  const real l = log(s);
  return l < real(-100) ? real(-100) : l;
}

// The loss of one pixel, and its gradient with respect to the last pre-activation.
template <bool CROSS_ENTROPY>
__device__ inline real loss_of_pixel(real z, real x) {
  if (CROSS_ENTROPY) return -(x * floored_log(z) + (real(1) - x) * floored_log(real(1) - z));
  return (z - x) * (z - x);
}

template <bool CROSS_ENTROPY>
__device__ inline real gradient_of_pixel(real z, real x, real scale) {
  return CROSS_ENTROPY ? scale * (z - x) : real(2) * scale * (z - x) * (z * (real(1) - z));
}

// losses[image] = the sum over the pixels of the loss of image z against image x, in double precision.
template <bool CROSS_ENTROPY>
__device__ inline void image_loss(double (&parts)[THREADS / WARP], int image, int pixels, const real* z, long long z_stride,
                                  const real* x, long long x_stride, double* losses) {
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  double sum = 0;
  for (int c = threadIdx.x; c < pixels; c += THREADS)
    sum += loss_of_pixel<CROSS_ENTROPY>(z[image * z_stride + c], x[image * x_stride + c]);
  sum = sum_of_lanes(sum);
  __syncthreads();  // nobody needs what is there any more
  if (lane == 0) parts[warp] = sum;
  __syncthreads();  // the warps' sums are there
  if (threadIdx.x == 0) {
    for (int w = 1; w < THREADS / WARP; ++w) sum += parts[w];
    losses[image] = sum;
  }
}
