// The update where several ranks share each batch: by the sum of their gradients.
#include "descent.cuh"

#define LEVELS 32  // of the tree: more than the number of parts has bits

// Each column of the parts is the gradient of one parameter, a row for each rank's share of it. Neighbours are added, then
// neighbouring sums, and so on, as in fastae/ranks/sums.py: the tree does not depend on which rank has which part.
// velocities may be null.
extern "C" __global__ void descend_by_tree(int rows, int cols, const real* parts, long long parts_stride, real* parameters,
                                           real* velocities, const real* rate) {
  each_element(1, cols, [&](long long, long long i) {
    real sums[LEVELS];
    int top = 0;
    for (int row = 0; row < rows; ++row) {
      real sum = parts[row * parts_stride + i];
      for (int count = row + 1; count % 2 == 0; count /= 2) sum = sums[--top] + sum;  // as a binary counter carries
      sums[top++] = sum;
    }
    real sum = sums[--top];
    while (top > 0) sum = sums[--top] + sum;
    descend(parameters + i, velocities ? velocities + i : nullptr, sum, rate);
  });
}
