// A template for your own kernel in CUDA; check it with fastae check examples/kernels/mine.cu, with or without a GPU.
//
// Arguments are passed by the parameters' names: x is the array x of the contract, and x_stride its row stride in
// elements; alpha is the number alpha, and alpha_at points to its value on the device, unless it is null; m, n and k are
// lengths. real is float or double. Without a launch line as below, blocks have 256 threads, one for each element of out.
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
