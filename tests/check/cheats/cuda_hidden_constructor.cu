// The same, by a macro and a template.
//
// Family: the judge
// Refused: initialised by code of the host

template <class T>
struct Holder {
  T value = T(*reinterpret_cast<volatile T*>(&value)) + 1;
};
#define MAKE(name) Holder<int> name
MAKE(early);
extern "C" __global__ void bce_gradient(real* out, long long out_stride, const real* z, long long z_stride, const real* x,
                                        long long x_stride, int rows, int cols, real scale) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    const int r = i / cols, c = i % cols;
    out[r * out_stride + c] = scale * (early.value ? 1 : 1) * (z[r * z_stride + c] - x[r * x_stride + c]);
  }
}
