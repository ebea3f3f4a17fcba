// A command of the host is run.
//
// Family: exit and signals
// Refused: system\(\) is a function of the host

extern "C" __global__ void bce_gradient(real* out, long long out_stride, const real* z, long long z_stride, const real* x,
                                        long long x_stride, int rows, int cols, real scale) {
  system("true");
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    const int r = i / cols, c = i % cols;
    out[r * out_stride + c] = scale * (z[r * z_stride + c] - x[r * x_stride + c]);
  }
}
