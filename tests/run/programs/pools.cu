//> pool 42 ok
//> ExC 7 8
//> occupancy 1 1 1
//> async 3 3
//> scans 496 465 10 6
#include <cooperative_groups.h>
#include <cooperative_groups/scan.h>
#include <cstdio>
namespace cg = cooperative_groups;

__global__ void __launch_bounds__(256, 2, 1) fill(int* x, int value, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = value;
}
template <class A, class B>
__global__ void put(A* a, B* b, A x, B y) {
  *a = x, *b = y;
}
__global__ void scan(int* out) {
  auto block = cg::this_thread_block();
  auto warp = cg::tiled_partition<32>(block);
  const int rank = warp.thread_rank();
  const int inclusive = cg::inclusive_scan(warp, rank), exclusive = cg::exclusive_scan(warp, rank, cg::plus<int>());
  auto tile = cg::tiled_partition<4>(block);
  const int most = cg::inclusive_scan(tile, rank * 10 % 40 / 10 + 7 * (rank % 4 == 1), cg::greater<int>());
  if (rank == 31) out[0] = inclusive, out[1] = exclusive;
  if (rank == 3) out[2] = most > 7 ? 10 : most, out[3] = cg::exclusive_scan(tile, rank) * 2;
  else if (rank < 4) cg::exclusive_scan(tile, rank);
}

int main() {
  cudaMemPool_t pool;
  cudaDeviceGetDefaultMemPool(&pool, 0);
  unsigned long long threshold = ~0ull, kept = 0;
  cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold);
  cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept);
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  int *x, value = 0;
  cudaMallocFromPoolAsync(&x, 100 * sizeof(int), pool, stream);
  fill<<<1, 128, 0, stream>>>(x, 42, 100);
  cudaMemcpyAsync(&value, x + 99, sizeof value, cudaMemcpyDeviceToHost, stream);
  cudaStreamSynchronize(stream);
  printf("pool %d %s\n", value, kept == threshold ? "ok" : "wrong");
  cudaFreeAsync(x, stream);

  int* a;
  long long* b;
  cudaMallocManaged(&a, sizeof *a), cudaMallocManaged(&b, sizeof *b);
  int first = 7;
  long long second = 8;
  void* arguments[] = {&a, &b, &first, &second};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(1), config.blockDim = dim3(1), config.stream = stream;
  cudaLaunchKernelExC(&config, (const void*)put<int, long long>, arguments);
  cudaStreamSynchronize(stream);
  printf("ExC %d %lld\n", *a, *b);
  put<int, long long><<<1, 1>>>(a, b, 3, 3);
  cudaDeviceSynchronize();

  int grid, block, blocks;
  size_t bytes;
  cudaOccupancyMaxPotentialBlockSize(&grid, &block, fill, 0, 0);
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, block, 0);
  cudaOccupancyAvailableDynamicSMemPerBlock(&bytes, fill, 2, 128);
  printf("occupancy %d %d %d\n", grid > 0 && block % 32 == 0, blocks > 0, bytes > 48 << 10);

  int* image;
  size_t pitch;
  cudaMallocPitch(&image, &pitch, 10 * sizeof(int), 4);
  cudaMemset2DAsync(image, pitch, 0, 10 * sizeof(int), 4, stream);
  int row[10] = {-1};
  cudaMemcpy2DAsync(row, sizeof row, image, pitch, sizeof row, 1, cudaMemcpyDeviceToHost, stream);
  cudaStreamSynchronize(stream);
  printf("async %d %lld\n", *a + row[0] + row[9], *b);

  int* out;
  cudaMallocManaged(&out, 4 * sizeof(int));
  scan<<<1, 32>>>(out);
  cudaDeviceSynchronize();
  printf("scans %d %d %d %d\n", out[0], out[1], out[2], out[3]);
  cudaFree(a), cudaFree(b), cudaFree(image), cudaFree(out);
  cudaStreamDestroy(stream);
}
