// A function runs when the library is loaded, by an attribute.
//
// Family: the judge
// Refused: an attribute of the host's compiler

__attribute__((constructor)) void early() {}
extern "C" __global__ void bce_gradient(real* out, long long out_stride, const real* z, long long z_stride, const real* x,
                                        long long x_stride, int rows, int cols, real scale) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    const int r = i / cols, c = i % cols;
    out[r * out_stride + c] = scale * (z[r * z_stride + c] - x[r * x_stride + c]);
  }
}
