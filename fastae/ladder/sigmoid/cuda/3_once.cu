// Once: a thread stays in its column, so its bias is read once and kept in a register.
//
// Idea: the compiler must assume that writing to out may change the bias, because C allows both pointers to
// refer to the same memory. So it reads the bias again after every write. We know that they do not overlap, and
// keep the bias in a variable.
//
// Predicted: 1.4 times, from 12 sectors to 8 and 4/8 for 32 elements.
//
// Hint: read the bias before the loop.

__device__ real sigmoid(real t) { return real(1) / (real(1) + exp(-t)); }  // e^-t may be infinite; 1 / infinity is 0

// launch bias_sigmoid: grid (ceil(n / 32), ceil(m / 64)), block (32, 8)
extern "C" __global__ void bias_sigmoid(int m, int n, const real* z, long long z_stride, const real* bias, real* out,
                                        long long out_stride) {
  const int col = blockIdx.x * 32 + threadIdx.x, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  if (col >= n) return;
  // idea
  const real b = bias[col];
  for (int row = first; row < min(first + 8, m); ++row)
    out[row * out_stride + col] = sigmoid(z[row * z_stride + col] + b);
  // end
}
