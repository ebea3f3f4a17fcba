// The contract's kernels with a thread for each element, other than the activations', and column_sum.
#include "sums.cuh"

// out = 2 * scale * (z - x) * z * (1 - z)
extern "C" __global__ void mse_gradient(int rows, int cols, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = gradient_of_pixel<false>(z[r * z_stride + c], x[r * x_stride + c], number(scale, scale_at));
  });
}

// out = scale * (z - x)
extern "C" __global__ void bce_gradient(int rows, int cols, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = gradient_of_pixel<true>(z[r * z_stride + c], x[r * x_stride + c], number(scale, scale_at));
  });
}

// out = alpha * (sum of the rows of delta) + beta * out, the old out unread if beta is 0; a block for 32 columns
extern "C" __global__ void column_sum(int rows, int cols, const real* delta, long long delta_stride, real* out,
                                      real alpha, const real* alpha_at, real beta, const real* beta_at) {
  __shared__ real parts[THREADS];
  alpha = number(alpha, alpha_at);
  beta = number(beta, beta_at);
  for (int col = blockIdx.x * WARP; col < cols; col += gridDim.x * WARP)
    column_sums(parts, delta, delta_stride, rows, cols, col, [&](int c, real sum) {
      out[c] = beta == real(0) ? alpha * sum : alpha * sum + beta * out[c];
    });
}

// y += alpha * x
extern "C" __global__ void axpy(int rows, int cols, real alpha, const real* alpha_at, const real* x,
                                long long x_stride, real* y, long long y_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    y[r * y_stride + c] += number(alpha, alpha_at) * x[r * x_stride + c];
  });
}

// row i of out = row order[cursor[0] + offset + i] of the images, divided by 255
extern "C" __global__ void gather(int rows, int cols, const unsigned char* images, long long images_stride,
                                  const long long* order, const long long* cursor, long long offset, real* out,
                                  long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = images[order[cursor[0] + offset + r] * images_stride + c] / real(255);
  });
}

// row i of out = row order[cursor[0] + offset + i] of the samples, which are floats
extern "C" __global__ void take(int rows, int cols, const real* samples, long long samples_stride,
                                const long long* order, const long long* cursor, long long offset, real* out,
                                long long out_stride) {
  each_element(rows, cols, [&](long long r, long long c) {
    out[r * out_stride + c] = samples[order[cursor[0] + offset + r] * samples_stride + c];
  });
}

// cursor[0] += n
extern "C" __global__ void advance(int rows, int cols, long long* cursor, long long n) {
  if (blockIdx.x == 0 && threadIdx.x == 0) cursor[0] += n;
}
