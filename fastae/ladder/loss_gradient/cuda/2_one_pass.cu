// One pass: each element is finished before the next one is started.
//
// Idea: z and x are read once, out is written once and never read; intermediate results stay in registers.
// Frameworks call this fusion, and fuse kernels for the same reason.
//
// Predicted: 3.7 times, from 11 reads and writes to 3.
//
// Hint: all factors in one expression.

// launch mse_gradient: grid (ceil(n / 128), ceil(m / 64)), block (32, 8)
extern "C" __global__ void mse_gradient(int m, int n, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  const int col = (blockIdx.x * 32 + threadIdx.x) * 4, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  const int right = min(col + 4, n), last = min(first + 8, m);
  const real factor = real(2) * (scale_at ? *scale_at : scale);
  // idea
  for (int row = first; row < last; ++row)
    for (int c = col; c < right; ++c) {
      const real s = z[row * z_stride + c];
      out[row * out_stride + c] = factor * (s - x[row * x_stride + c]) * (s * (real(1) - s));
    }
  // end
}
