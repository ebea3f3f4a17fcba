// A kernel of one's own in CUDA, to start from: fastae check examples/kernels/mine.cu, with a GPU or without.
//
// Parameters are found by their names: an array x of the contract is x, its row stride in elements x_stride, a number
// alpha is alpha, and alpha_at the place on the device that holds it instead unless that is null; lengths are m, n and k.
// real is float or double. Without a line as the next, there are blocks of 256 threads, a thread for each element of out.
//
// launch matmul: grid (ceil(n / 16), ceil(m / 16)), block (16, 16)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  const int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  if (row >= m || col >= n) return;
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  real sum = 0;
  for (int l = 0; l < k; ++l)
    sum += (trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) *
           (trans_b ? b[col * b_stride + l] : b[l * b_stride + col]);
  real* at = out + row * out_stride + col;
  *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
}
