// A tree of halves over 96 threads: 96, 48, 24, 12, 6, 3, and half of 3 is 1.
//
// The third sum is dropped, a third of all. Halving needs a power of two, or a step that rounds up.
//
// Cause: their number is no power of two
//
// launch mse_loss: grid (m), block (96)
extern "C" __global__ void mse_loss(int m, int n, const real* z, long long z_stride, const real* x, long long x_stride,
                                    double* out) {
  __shared__ double part[96];
  const int row = blockIdx.x, t = threadIdx.x;
  double sum = 0;
  for (int col = t; col < n; col += 96) {
    const double difference = double(z[row * z_stride + col]) - x[row * x_stride + col];
    sum += difference * difference;
  }
  part[t] = sum;
  __syncthreads();
  for (int half = 48; half > 0; half /= 2) {
    if (t < half) part[t] += part[t + half];
    __syncthreads();
  }
  if (t == 0) out[row] = part[0];
}
