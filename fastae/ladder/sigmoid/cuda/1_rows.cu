// A thread for eight elements of a row: neighbouring threads take neighbouring rows.
//
// Idea: σ(z + bias), element by element. Memory is moved in sectors of 32 bytes, and the 32 threads of a warp
// execute each instruction together: they read an element in each of 32 rows and write as many, which are 64
// sectors; their bias is the same, one more sector.
//
// Hint: for each of the thread's columns, from first to last, σ of the element and its column's bias; nothing in
// rows that are not there.

__device__ real sigmoid(real t) { return real(1) / (real(1) + exp(-t)); }  // e^-t may be infinite; 1 / infinity is 0

// launch bias_sigmoid: grid (ceil(m / 32), ceil(n / 64)), block (32, 8)
extern "C" __global__ void bias_sigmoid(int m, int n, const real* z, long long z_stride, const real* bias, real* out,
                                        long long out_stride) {
  const int row = blockIdx.x * 32 + threadIdx.x, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  if (row >= m) return;
  // idea
  for (int col = first; col < min(first + 8, n); ++col)
    out[row * out_stride + col] = sigmoid(z[row * z_stride + col] + bias[col]);
  // end
}
