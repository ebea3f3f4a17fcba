// Many steps in one kernel, whose blocks stay on the device: where launched or captured steps begin a new kernel, here all
// blocks wait for each other. The tiles and the order of every sum are those of operations.cu, and so are the bits.
//
// Phases between two barriers, for layers 0 to last, of which there are at least two:
//   forward 0, ..., forward last with the gradient of the loss
//   backward last | the losses
//   backward last - 1, and so on down to backward 1
//   the updates that are left | the sum of the losses | what is left of the next batch
// Blocks that finish before the others take tasks for which no block waits: of an update whose weights no later phase reads,
// then pixels of the next batch. The host plans how many in which phase (plan.py).
#include "barrier.cuh"
#include "operations.cuh"

#define PIXELS (8 * THREADS)  // of the next batch in one task, as in plan.py

struct Layer {
  real *W, *b, *V, *c;  // (inputs, outputs), (outputs), as W, as b; V and c null without momentum
  real *y, *d;          // (m, outputs)
  int inputs, outputs, forward_tile, backward_tile, update_tile;
  int updated, gathered_forward, gathered_backward;  // tasks done when a phase of this layer ends
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    train(int count, int m, int steps, const Layer* layers, const unsigned char* images, const long long* order,
          long long* cursor, real* batch, real* next_batch, real scale, const real* rate, double* losses, double* total,
          unsigned* arrived) {
  __shared__ Shared shared;
  const int pixels = layers[0].inputs, last = count - 1;
  const int tasks_of_gather = (m * pixels + PIXELS - 1) / PIXELS;
  int tasks_of_updates = 0;
  for (int l = 0; l <= last; ++l) tasks_of_updates += update_tasks(layers[l].update_tile, layers[l].inputs, layers[l].outputs);
  const long long begin = cursor[0];
  unsigned goal = 0;
  int before = 0;                 // tasks of this phase dealt so far
  int updated = 0, gathered = 0;  // and those of updates and of the next batch

  const auto barrier = [&] {
    grid_barrier(arrived, goal);
    before = 0;
  };
  const auto input = [&](int l) -> Matrix {
    const int inputs = layers[l].inputs;
    return {l ? layers[l - 1].y : batch, inputs, m, inputs};
  };
  const auto gather = [&](int step, real* to, int until) {
    each_task(gathered, until - gathered, before, [&](int task) {
      real kept[8];  // loads in flight at once
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const int i = task * PIXELS + k * THREADS + threadIdx.x;
        if (i >= m * pixels) continue;
        kept[k] = images[order[begin + (long long)step * m + i / pixels] * pixels + i % pixels] / real(255);
      }
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const int i = task * PIXELS + k * THREADS + threadIdx.x;
        if (i < m * pixels) to[i] = kept[k];
      }
    });
    gathered = until;
  };
  // The updates are one list of tasks, the last layer's first.
  const auto update = [&](int until) {
    int first = 0;
    for (int l = last; l >= 0 && first < until; --l) {
      const Layer& layer = layers[l];
      const int n = layer.outputs, tasks = update_tasks(layer.update_tile, layer.inputs, n);
      const int done = max(0, min(tasks, updated - first));
      update_some(shared, layer.update_tile, done, min(tasks, until - first) - done, input(l), {layer.d, n, m, n}, layer.W,
                  n, layer.b, layer.V, n, layer.c, rate, before);
      first += tasks;
    }
    updated = until;
  };

  gather(0, batch, tasks_of_gather);
  barrier();
  for (int step = 0; step < steps; ++step) {
    const bool more = step + 1 < steps;
    updated = gathered = 0;
    for (int l = 0; l <= last; ++l) {
      const Layer& layer = layers[l];
      const int n = layer.outputs;
      const Matrix W = {layer.W, n, layer.inputs, n};
      if (l < last) forward_all(shared, layer.forward_tile, input(l), W, layer.b, layer.y, n, before);
      else
        forward_loss_all(shared, layer.forward_tile, input(l), W, layer.b, layer.y, n, batch, n, scale, layer.d, n,
                         before);
      if (more) gather(step + 1, next_batch, layer.gathered_forward);
      barrier();
    }
    for (int l = last; l > 0; --l) {
      const Layer& layer = layers[l];
      const int n = layer.outputs, inputs = layer.inputs;
      backward_all(shared, layer.backward_tile, {layer.d, n, m, n}, {layer.W, n, inputs, n}, layers[l - 1].y, inputs,
                   layers[l - 1].d, inputs, before);
      if (l == last)
        each_task(0, m, before, [&](int image) {
          image_loss<BCE>(shared.loss_parts, image, pixels, layer.y, pixels, batch, pixels, losses);
        });
      update(layer.updated);
      if (more) gather(step + 1, next_batch, layer.gathered_backward);
      barrier();
    }
    update(tasks_of_updates);
    each_task(0, 1, before, [&](int) {
      column_sums(shared.loss_column_parts, losses, 1, m, 1, 0, [&](int, double sum) { *total += sum; });
    });
    if (more) gather(step + 1, next_batch, tasks_of_gather);
    barrier();
    real* const done = batch;
    batch = next_batch, next_batch = done;
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) cursor[0] = begin + (long long)steps * m;
}
