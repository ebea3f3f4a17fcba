"""Kernels of warps, shared memory and groups as people write them, which several files of tests run."""

VIEWS = """template <class T>
__device__ T* at(void* base, int bytes) { return reinterpret_cast<T*>(static_cast<char*>(base) + bytes); }
extern __shared__ __align__(16) unsigned char arena[];
extern "C" __global__ void views(const double* x, double* out) {
  extern __shared__ double values[];   // several names of one place
  volatile extern __shared__ int whole[];
  extern __shared__
      float rows[][4];
  int* const counts = at<int>(arena, 8 * 32);
  const int t = threadIdx.x;
  values[t] = x[t];
  counts[t] = t;
  __syncthreads();
  out[t] = values[31 - t] + counts[31 - t] + (whole[64 + t] == t) + (sizeof(rows[0]) == 16);
}"""

COUNTERS = """extern "C" __global__ void counters(unsigned* up, unsigned* down, int* tickets, long long* last,
                                            float* swapped, int* half) {
  __shared__ int next;
  if (threadIdx.x == 0) next = 0;
  __syncthreads();
  atomicInc(up, 9);
  atomicDec(down, 9);
  int seen, mine = atomicAdd(&next, 0);
  do {
    seen = mine;
    mine = atomicCAS_block(&next, seen, seen + 1);
  } while (mine != seen);
  tickets[mine] = threadIdx.x + 1;
  atomicExch((unsigned long long*)last, 1ull << 40);
  atomicExch(swapped, 2.5f);
  atomicCAS((unsigned short*)half, 0, 7);
  atomicCAS((unsigned short*)half, 0, 9);
}"""

HISTOGRAM = """extern "C" __global__ void histogram(int n, const int* x, unsigned* counts) {
  extern __shared__ unsigned bins[];
  for (int i = threadIdx.x; i < 64; i += blockDim.x) bins[i] = 0;
  __syncthreads();  // zeroed
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[x[i]], 1u);//<
  __syncthreads();  // counted
  for (int i = threadIdx.x; i < 64; i += blockDim.x) atomicAdd(&counts[i], bins[i]);//<
}"""

VOTES = """extern "C" __global__ void votes(const int* x, unsigned* out) {
  const int t = threadIdx.x, v = x[t];
  unsigned* const mine = out + 16 * t;
  mine[0] = __ballot_sync(0xffffffff, v > 4);
  mine[1] = __any_sync(0xffffffff, v == 9) + 2 * __any_sync(0xffffffff, v == 99);
  mine[2] = __all_sync(0xffffffff, v < 10) + 2 * __all_sync(0xffffffff, v < 9);
  mine[3] = __uni_sync(0xffffffff, v < 10) + 2 * __uni_sync(0xffffffff, v < 9) + 4 * __uni_sync(0xffffffff, v > 50);
  mine[4] = __match_any_sync(0xffffffff, v) ^ __match_any_sync(0xffffffff, (double)v);
  mine[5] = __match_any_sync(0xffffffff, v);
  int same, half;
  mine[6] = __match_all_sync(0xffffffff, v, &same);
  mine[7] = __match_all_sync(t < 16 ? 0xffffu : 0xffff0000u, t / 16, &half);
  mine[8] = same + 2 * half;
  mine[9] = __reduce_add_sync(0xffffffff, v);
  mine[10] = __reduce_min_sync(0xffffffff, v - 5);
  mine[11] = __reduce_max_sync(0xffffffff, (unsigned)v - 5);
  mine[12] = __reduce_and_sync(0xffffffff, (unsigned)v | 32u);
  mine[13] = __reduce_or_sync(0xffffffff, (unsigned)v);
  mine[14] = __reduce_xor_sync(0xffffffff, (unsigned)v);
  if (t % 2) mine[15] = __activemask();
}"""

REDUCED = """inline __device__ float warp_sum(float v) {
  for (int by = 32 / 2; by > 0; by /= 2) v += __shfl_down_sync(0xffffffff, v, by);
  return v;
}
extern "C" __global__ void reduce(int n, const float* x, float* total) {
  __shared__ float sums[32];
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) v += x[i];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  v = warp_sum(v);
  if (lane == 0) sums[warp] = v;//<
  __syncthreads();  // all warps
  v = threadIdx.x < blockDim.x / 32 ? sums[lane] : 0;//<
  if (warp == 0) v = warp_sum(v);
  if (threadIdx.x == 0) atomicAdd(total, v);
}"""

SOFTMAX = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;

// A warp for each row, as in llm.c.
extern "C" __global__ void softmax(int rows, int cols, const float* x, float* out) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
  const int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
  if (row >= rows) return;
  const float* const mine = x + row * cols;
  float largest = -3.4e38f, sum = 0;
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) largest = fmaxf(largest, mine[i]);
  largest = cg::reduce(warp, largest, cg::greater<float>{});
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) sum += expf(mine[i] - largest);
  sum = cg::reduce(warp, sum, cg::plus<float>{});
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) out[row * cols + i] = expf(mine[i] - largest) / sum;
}"""

GROUPS = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
struct Pair { double first; int second; };
extern "C" __global__ void groups(const int* x, int* out, int* kept) {
  auto block = cg::this_thread_block();
  auto tile = cg::tiled_partition<8>(block);
  auto half = cg::tiled_partition<4>(tile);
  const int t = block.thread_rank(), v = x[t];
  int* const mine = out + 16 * t;
  mine[0] = block.group_index().x + 100 * block.thread_index().y + 1000 * block.size();
  mine[1] = tile.thread_rank() + 100 * tile.meta_group_rank() + 10000 * tile.meta_group_size();
  mine[2] = half.thread_rank() + 10 * half.meta_group_rank() + 100 * half.meta_group_size() + 1000 * half.size();
  mine[3] = tile.shfl(v, 3);
  mine[4] = tile.shfl_up(v, 2);
  mine[5] = tile.shfl_down(v, 2);
  mine[6] = half.shfl_xor(v, 3);
  mine[7] = tile.ballot(v % 2);
  mine[8] = tile.any(v > 90) + 2 * tile.all(v >= 0);
  mine[9] = cg::reduce(tile, v, cg::less<int>());
  mine[10] = cg::reduce(half, v, cg::bit_xor<int>());
  const Pair pair = tile.shfl(Pair{0.5 * v, t}, 1);
  mine[11] = int(2 * pair.first) + 1000 * pair.second;
  mine[12] = -1;
  if (v % 3 == 0) {
    auto together = cg::coalesced_threads();  // one lane makes room for all
    int first = 0;
    if (together.thread_rank() == 0) first = atomicAdd(kept, (int)together.size());
    mine[12] = together.shfl(first, 0) + together.thread_rank();
    together.sync();
  }
  cg::sync(block);
  mine[13] = cg::this_grid().thread_rank();
}"""

CONVOLUTION = """__constant__ float weights[5];
__device__ int calls = 7, other = 1;
__device__ double kept[2] = {1, 2};
extern "C" __global__ void convolve(int n, const float* x, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) calls += 1, kept[1] *= 2;
  float sum = 0;
  for (int k = -2; k <= 2; ++k) sum += i + k >= 0 && i + k < n ? weights[k + 2] * x[i + k] : 0;
  if (i < n) out[i] = sum;
}"""
