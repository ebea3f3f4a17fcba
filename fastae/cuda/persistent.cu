// Many steps in one kernel, whose blocks stay on the device: where launched or captured steps begin a new kernel, all
// blocks wait for each other here. The tiles and the order of every sum are those of operations.cu, and so are the bits.
//
// Phases between two barriers, for layers 0 to last, of which there are at least two (in a captured step each line's first
// part is a launch, and the others are on the branch):
//   forward 0, ..., forward last with the gradient of the loss as its last act
//   backward last | the losses
//   backward last - 1 | update last, and so on down to: backward 1 | update 2
//   update 1 | update 0 | the sum of the losses | the next batch
#include "operations.cuh"

struct Layer {
  real *W, *b, *V, *c;  // (inputs, outputs), (outputs), as W, as b; V and c null without momentum
  real *y, *d;          // (m, outputs)
  int inputs, outputs, forward_tile, backward_tile, update_tile, unused;
};

// Wait until all blocks of the grid are here. `goal` counts the arrivals that thread 0 will have seen.
__device__ inline void grid_barrier(unsigned* arrived, unsigned& goal) {
  __syncthreads();
  if (threadIdx.x == 0) {
    goal += gridDim.x;
    __threadfence();  // whoever sees this block arrive sees what it wrote
    atomicAdd(arrived, 1u);
    while (*(volatile unsigned*)arrived < goal) __nanosleep(20);
    __threadfence();  // and reads afresh what the others wrote
  }
  __syncthreads();
}

template <bool CROSS_ENTROPY>
__device__ inline void train(Shared& shared, const Layer* layers, int count, int m, int steps, const unsigned char* images,
                             const long long* order, long long* cursor, real* batch, real* next_batch, real scale,
                             const real* rate, double* losses, double* total, unsigned* arrived) {
  const int pixels = layers[0].inputs, last = count - 1;
  const long long begin = cursor[0];
  unsigned goal = 0;
  int before = 0;  // how many tasks of this phase have been dealt

  const auto gather = [&](int step, real* to) {
    each_task((m * pixels + THREADS - 1) / THREADS, before, [&](int task) {
      const int i = task * THREADS + threadIdx.x;
      if (i >= m * pixels) return;
      const long long row = order[begin + (long long)step * m + i / pixels];
      to[i] = images[row * pixels + i % pixels] / real(255);
    });
  };
  const auto barrier = [&] {
    grid_barrier(arrived, goal);
    before = 0;
  };
  const auto input = [&](int l) -> Matrix {
    const int inputs = layers[l].inputs;
    return {l ? layers[l - 1].y : batch, inputs, m, inputs};
  };
  const auto update = [&](int l) {
    const Layer& layer = layers[l];
    const int n = layer.outputs;
    update_all(shared, layer.update_tile, input(l), {layer.d, n, m, n}, layer.W, n, layer.b, layer.V, n, layer.c, rate,
               before);
  };

  gather(0, batch);
  barrier();
  for (int step = 0; step < steps; ++step) {
    for (int l = 0; l < last; ++l) {
      const Layer& layer = layers[l];
      const int n = layer.outputs;
      forward_all(shared, layer.forward_tile, input(l), {layer.W, n, layer.inputs, n}, layer.b, layer.y, n, before);
      barrier();
    }
    const Layer& top = layers[last];
    forward_loss_all<CROSS_ENTROPY>(shared, top.forward_tile, input(last), {top.W, pixels, top.inputs, pixels}, top.b,
                                    top.y, pixels, batch, pixels, scale, top.d, pixels, before);
    barrier();
    for (int l = last; l >= 0; --l) {
      const Layer& layer = layers[l];
      const int n = layer.outputs, inputs = layer.inputs;
      if (l > 0)
        backward_all(shared, layer.backward_tile, {layer.d, n, m, n}, {layer.W, n, inputs, n}, layers[l - 1].y, inputs,
                     layers[l - 1].d, inputs, before);
      if (l == last)
        each_task(m, before, [&](int image) {
          image_loss<CROSS_ENTROPY>(shared.loss_parts, image, pixels, top.y, pixels, batch, pixels, losses);
        });
      for (int u = min(l + 1, last); u > l || u == 0; --u) update(u);  // whose old weights nobody needs any more
      if (l == 0) {
        each_task(1, before, [&](int) {
          column_sums(shared.loss_column_parts, losses, 1, m, 1, 0, [&](int, double sum) { *total += sum; });
        });
        if (step + 1 < steps) gather(step + 1, next_batch);
      }
      barrier();
    }
    real* const done = batch;
    batch = next_batch, next_batch = done;
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) cursor[0] = begin + (long long)steps * m;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    train_mse(int count, int m, int steps, const Layer* layers, const unsigned char* images, const long long* order,
              long long* cursor, real* batch, real* next_batch, real scale, const real* rate, double* losses,
              double* total, unsigned* arrived) {
  __shared__ Shared shared;
  train<false>(shared, layers, count, m, steps, images, order, cursor, batch, next_batch, scale, rate, losses, total, arrived);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    train_bce(int count, int m, int steps, const Layer* layers, const unsigned char* images, const long long* order,
              long long* cursor, real* batch, real* next_batch, real scale, const real* rate, double* losses,
              double* total, unsigned* arrived) {
  __shared__ Shared shared;
  train<true>(shared, layers, count, m, steps, images, order, cursor, batch, next_batch, scale, rate, losses, total, arrived);
}
