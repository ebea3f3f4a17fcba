// A scan by shuffles and cooperative groups; blocks are added up by a second kernel, of which CRLF and a BOM are no fault.
//> scan of 1000: right
#include <cooperative_groups.h>
#include <cstdio>
#include <numeric>
#include <vector>
using namespace cooperative_groups;

const int BLOCK = 128;

extern "C" __global__ void __launch_bounds__(BLOCK) scan_block(int* x, int* sums, int n) {
  __shared__ int of_warp[BLOCK / 32];
  thread_block block = this_thread_block();
  thread_block_tile<32> warp = tiled_partition<32>(block);
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  int value = i < n ? x[i] : 0;
  for (int by = 1; by < 32; by *= 2) {
    const int other = warp.shfl_up(value, by);
    if (warp.thread_rank() >= by) value += other;
  }
  if (warp.thread_rank() == 31) of_warp[threadIdx.x / 32] = value;
  block.sync();
  for (int w = 0; w < threadIdx.x / 32; ++w) value += of_warp[w];
  if (i < n) x[i] = value;
  if (threadIdx.x == BLOCK - 1) sums[blockIdx.x] = value;
}

extern "C" __global__ void add_sums(int* x, const int* sums, int n) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  for (int b = 0; b < blockIdx.x && i < n; ++b) x[i] += sums[b];
}

int main() {
  const int n = 1000, blocks = (n + BLOCK - 1) / BLOCK;
  std::vector<int> x(n), expected(n);
  std::iota(x.begin(), x.end(), -5);
  std::partial_sum(x.begin(), x.end(), expected.begin());
  int *d, *sums;
  cudaMalloc(&d, n * sizeof(int)), cudaMalloc(&sums, blocks * sizeof(int));
  cudaMemcpy(d, x.data(), n * sizeof(int), cudaMemcpyHostToDevice);
  scan_block<<<blocks, BLOCK>>>(d, sums, n);
  add_sums<<<blocks, BLOCK>>>(d, sums, n);
  cudaMemcpy(x.data(), d, n * sizeof(int), cudaMemcpyDeviceToHost);
  std::printf("scan of %d: %s\n", n, x == expected ? "right" : "wrong");
  cudaFree(d), cudaFree(sums);
}
