// The first launch's answer is kept in a variable of the device, and written by all others.
//
// Family: memory
// Wrong: wrong

__device__ real kept[65536];
__device__ int launches;
extern "C" __global__ void bce_gradient(real* out, long long out_stride, const real* z, long long z_stride, const real* x,
                                        long long x_stride, int rows, int cols, real scale) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    const int r = i / cols, c = i % cols;
    if (i < 65536 && kept[i] == 0) kept[i] = scale * (z[r * z_stride + c] - x[r * x_stride + c]);
    out[r * out_stride + c] = i < 65536 ? kept[i] : 0;
  }
}
