// The step's operations as kernels, for a step that is launched one by one or captured into a graph.
#include "operations.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    forward(int tile, int m, int inputs, int outputs, const real* a, long long a_stride, const real* W, long long W_stride,
            const real* b, real* y, long long y_stride) {
  __shared__ Shared shared;
  int before = 0;
  forward_all(shared, tile, {a, a_stride, m, inputs}, {W, W_stride, inputs, outputs}, b, y, y_stride, before);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    forward_loss(int tile, int m, int inputs, int outputs, const real* a, long long a_stride, const real* W,
                 long long W_stride, const real* b, real* y, long long y_stride, const real* x, long long x_stride, real scale,
                 const real* scale_at, real* d, long long d_stride) {
  __shared__ Shared shared;
  int before = 0;
  forward_loss_all(shared, tile, {a, a_stride, m, inputs}, {W, W_stride, inputs, outputs}, b, y, y_stride, x, x_stride,
                   number(scale, scale_at), d, d_stride, before);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    backward(int tile, int m, int inputs, int outputs, const real* d, long long d_stride, const real* W, long long W_stride,
             const real* y, long long y_stride, real* out, long long out_stride) {
  __shared__ Shared shared;
  int before = 0;
  backward_all(shared, tile, {d, d_stride, m, outputs}, {W, W_stride, inputs, outputs}, y, y_stride, out, out_stride, before);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    update(int tile, int m, int inputs, int outputs, const real* a, long long a_stride, const real* d, long long d_stride,
           real* W, long long W_stride, real* b, real* V, long long V_stride, real* c, const real* rate) {
  __shared__ Shared shared;
  int before = 0;
  update_some(shared, tile, 0, update_tasks(tile, inputs, outputs), {a, a_stride, m, inputs}, {d, d_stride, m, outputs}, W,
              W_stride, b, V, V_stride, c, rate, before);
}
