// Coalesced: neighbouring threads take neighbouring columns, and eight rows of them.
//
// Idea: elements that the threads of a warp read or write together should be side by side in memory. They are
// then moved in the fewest sectors; the access is coalesced. 32 neighbours in a row are 4 sectors: 4 of z, 4 of
// out, 4 of the biases.
//
// Predicted: 5.4 times, from 65 sectors to 12 for 32 elements.
//
// Hint: for each of the thread's rows, from first to last, σ of the element in the thread's column and that
// column's bias.

__device__ real sigmoid(real t) { return real(1) / (real(1) + exp(-t)); }  // e^-t may be infinite; 1 / infinity is 0

// launch bias_sigmoid: grid (ceil(n / 32), ceil(m / 64)), block (32, 8)
extern "C" __global__ void bias_sigmoid(int m, int n, const real* z, long long z_stride, const real* bias, real* out,
                                        long long out_stride) {
  const int col = blockIdx.x * 32 + threadIdx.x, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  if (col >= n) return;
  // idea
  for (int row = first; row < min(first + 8, m); ++row)
    out[row * out_stride + col] = sigmoid(z[row * z_stride + col] + bias[col]);
  // end
}
