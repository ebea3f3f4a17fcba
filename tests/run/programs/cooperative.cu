// Blocks that wait for each other, launched by address; occupancy tells how many may.
//> blocks on a multiprocessor: more than one
//> sum 2016
//> launched by address: 6
//> too many blocks: cudaErrorCooperativeLaunchTooLarge
#include <cooperative_groups.h>
#include <cstdio>
namespace cg = cooperative_groups;

template <int UNUSED>
__global__ void total(int* x, int n, int* sum) {
  cg::grid_group grid = cg::this_grid();
  for (int i = grid.thread_rank(); i < n; i += grid.size()) x[i] = i;
  grid.sync();
  if (grid.thread_rank() == 0)
    for (int i = 0; i < n; ++i) *sum += x[i];
}

__global__ void add(int* x, int a, int b) {
  if (threadIdx.x == 0) *x = a + b;
}

int main() {
  int n = 64, *x, *sum, h = 0, blocks;
  cudaMalloc(&x, n * sizeof(int));
  cudaMalloc(&sum, sizeof(int));
  cudaMemset(sum, 0, sizeof(int));
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, total<1>, 16, 0);
  printf("blocks on a multiprocessor: %s\n", blocks > 1 ? "more than one" : "one");
  int supported = 0;
  cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, 0);
  void* arguments[] = {&x, &n, &sum};
  if (supported) cudaLaunchCooperativeKernel((void*)total<1>, dim3(2), dim3(16), arguments, 0, 0);
  cudaMemcpy(&h, sum, sizeof h, cudaMemcpyDeviceToHost);
  printf("sum %d\n", h);
  int a = 2, b = 4;
  void* more[] = {(void*)&sum, (void*)&a, (void*)&b};
  const void* kernel = reinterpret_cast<void*>(&add);
  cudaLaunchKernel(kernel, 1, 32, more, 0, NULL);
  cudaMemcpy(&h, sum, sizeof h, cudaMemcpyDeviceToHost);
  printf("launched by address: %d\n", h);
  cudaError_t error = cudaLaunchCooperativeKernel(total<1>, 10000, 16, arguments);
  printf("too many blocks: %s\n", cudaGetErrorName(error));
  cudaGetLastError();
  cudaFree(x), cudaFree(sum);
}
