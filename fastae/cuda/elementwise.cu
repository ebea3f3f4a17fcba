// The contract's kernels other than matmul and the losses, for matrices with contiguous rows and any row stride.
//
// Compiled with -Dreal=float or -Dreal=double. A matrix is a pointer and its row stride in elements. A number that may
// change between replays of a captured step is two arguments: a value, and the address on the device that is read in
// its place if it is not null.

__device__ inline real number(real value, const real* address) { return address ? *address : value; }

#define EACH_ELEMENT(i, count)                                                                  \
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x, n_ = (count); i < n_; \
       i += (long long)gridDim.x * blockDim.x)

// out = sigma(z + bias); out may be z
extern "C" __global__ void bias_sigmoid(int rows, int cols, const real* z, long long z_stride, const real* bias,
                                        real* out, long long out_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    out[r * out_stride + c] = real(1) / (real(1) + exp(-(z[r * z_stride + c] + bias[c])));
  }
}

// out = delta * y * (1 - y); out may be delta
extern "C" __global__ void sigmoid_gradient(int rows, int cols, const real* delta, long long delta_stride,
                                            const real* y, long long y_stride, real* out, long long out_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    const real s = y[r * y_stride + c];
    out[r * out_stride + c] = delta[r * delta_stride + c] * (s * (real(1) - s));
  }
}

// out = 2 * scale * (z - x) * z * (1 - z)
extern "C" __global__ void mse_gradient(int rows, int cols, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out, long long out_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    const real s = z[r * z_stride + c];
    out[r * out_stride + c] = real(2) * number(scale, scale_at) * (s - x[r * x_stride + c]) * (s * (real(1) - s));
  }
}

// out = scale * (z - x)
extern "C" __global__ void bce_gradient(int rows, int cols, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out, long long out_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    out[r * out_stride + c] = number(scale, scale_at) * (z[r * z_stride + c] - x[r * x_stride + c]);
  }
}

// out = alpha * (sum of the rows of delta) + beta * out, the old out unread if beta is 0; a thread a column
extern "C" __global__ void column_sum(int rows, int cols, const real* delta, long long delta_stride, real* out,
                                      real alpha, const real* alpha_at, real beta, const real* beta_at) {
  alpha = number(alpha, alpha_at);
  beta = number(beta, beta_at);
  EACH_ELEMENT(c, cols) {
    real sum = 0;
    for (int r = 0; r < rows; ++r) sum += delta[r * delta_stride + c];
    out[c] = beta == real(0) ? alpha * sum : alpha * sum + beta * out[c];
  }
}

// y += alpha * x
extern "C" __global__ void axpy(int rows, int cols, real alpha, const real* alpha_at, const real* x,
                                long long x_stride, real* y, long long y_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    y[r * y_stride + c] += number(alpha, alpha_at) * x[r * x_stride + c];
  }
}

// row i of out = row order[cursor[0] + offset + i] of the images, divided by 255
extern "C" __global__ void gather(int rows, int cols, const unsigned char* images, long long images_stride,
                                  const long long* order, const long long* cursor, long long offset, real* out,
                                  long long out_stride) {
  EACH_ELEMENT(i, (long long)rows * cols) {
    const long long r = i / cols, c = i % cols;
    out[r * out_stride + c] = images[order[cursor[0] + offset + r] * images_stride + c] / real(255);
  }
}

// cursor[0] += n
extern "C" __global__ void advance(int rows, int cols, long long* cursor, long long n) {
  if (blockIdx.x == 0 && threadIdx.x == 0) cursor[0] += n;
}
