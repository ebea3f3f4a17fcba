// Four passes: each factor is a separate pass over a thread's elements, four neighbours in each of eight rows.
//
// Idea: 2 scale (z − x) z (1 − z), one operation after another as in an array language, with out for the
// intermediate results. Each element costs a thread seven reads of memory and four writes, because nothing is
// kept in a register.
//
// Hint: out is z − x so far, and z times that; now it is multiplied by 1 − z, and by the factor 2 · scale.

// launch mse_gradient: grid (ceil(n / 128), ceil(m / 64)), block (32, 8)
extern "C" __global__ void mse_gradient(int m, int n, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  const int col = (blockIdx.x * 32 + threadIdx.x) * 4, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  const int right = min(col + 4, n), last = min(first + 8, m);
  const real factor = real(2) * (scale_at ? *scale_at : scale);
  for (int row = first; row < last; ++row)
    for (int c = col; c < right; ++c) out[row * out_stride + c] = z[row * z_stride + c] - x[row * x_stride + c];
  for (int row = first; row < last; ++row)
    for (int c = col; c < right; ++c) out[row * out_stride + c] *= z[row * z_stride + c];
  // idea
  for (int row = first; row < last; ++row)
    for (int c = col; c < right; ++c) out[row * out_stride + c] *= real(1) - z[row * z_stride + c];
  for (int row = first; row < last; ++row)
    for (int c = col; c < right; ++c) out[row * out_stride + c] *= factor;
  // end
}
