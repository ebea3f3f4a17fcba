// What assembly of the host does, nobody sees; the emulator knows PTX alone.
//
// Family: the judge
// Refused: the PTX instruction nop is not emulated

extern "C" __global__ void bce_gradient(real* out, long long out_stride, const real* z, long long z_stride, const real* x,
                                        long long x_stride, int rows, int cols, real scale) {
  asm("nop");
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    const int r = i / cols, c = i % cols;
    out[r * out_stride + c] = scale * (z[r * z_stride + c] - x[r * x_stride + c]);
  }
}
