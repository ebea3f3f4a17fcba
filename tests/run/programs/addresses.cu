// Pointers to constants among the variables of the device, kernels named by their addresses, and atomics of the host.
//> table 30 and 50, words low high, box 7
//> large shared memory: 20000, by address 20000
//> counted by the host 5
#include <cstdio>
#include <cuda/atomic>

template <class T>
struct Box {
  T value;
};

__device__ const int* table;
__device__ const char* words[] = {"low", "high"};
__device__ Box<const int*> box;
__constant__ unsigned const* unused = nullptr;

__global__ void look(int* out) {
  out[0] = table[0] + table[1], out[1] = table[2];
  if (unused == nullptr) printf("table %d and %d, words %s %s, box %d\n", out[0], out[1], words[0], words[1], *box.value);
}

__global__ void fill(int n, int* out) {
  extern __shared__ int room[];
  for (int i = threadIdx.x; i < n; i += blockDim.x) room[i] = 1;
  __syncthreads();
  int sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += room[i];
  atomicAdd(out, sum);
}

int main() {
  int *data, *out, values[3] = {10, 20, 50}, seven = 7, found;
  cudaMalloc(&data, 4 * sizeof(int)), cudaMalloc(&out, 2 * sizeof(int));
  cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice);
  cudaMemcpy(data + 3, &seven, sizeof seven, cudaMemcpyHostToDevice);
  const int* at = data + 3;
  cudaMemcpyToSymbol(table, &data, sizeof data);
  cudaMemcpyToSymbol(box, &at, sizeof at);
  look<<<1, 1>>>(out);
  cudaDeviceSynchronize();

  int n = 20000;
  cudaFuncSetAttribute((const void*)fill, cudaFuncAttributeMaxDynamicSharedMemorySize, n * sizeof(int));
  cudaMemset(out, 0, sizeof(int));
  fill<<<1, 64, n * sizeof(int)>>>(n, out);
  cudaMemcpy(&found, out, sizeof found, cudaMemcpyDeviceToHost);
  printf("large shared memory: %d, ", found);
  void* arguments[] = {&n, &out};
  cudaMemset(out, 0, sizeof(int));
  cudaLaunchKernel(reinterpret_cast<const void*>(&fill), dim3(1), dim3(64), arguments, n * sizeof(int), nullptr);
  cudaMemcpy(&found, out, sizeof found, cudaMemcpyDeviceToHost);
  printf("by address %d\n", found);

  cuda::atomic<int, cuda::thread_scope_system> count{0};
  count.store(3);
  count.fetch_add(2);
  printf("counted by the host %d\n", count.load());
  cudaFree(data), cudaFree(out);
}
