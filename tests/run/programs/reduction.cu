// Sums of 2^20 numbers in four ways: interleaved, sequential, by shuffles, by atomic operations.
//> interleaved 1048576
//> sequential 1048576
//> shuffles 1048576
//> atomics 1048576
#include <cstdio>
#include <cuda_runtime.h>
#include <device_launch_parameters.h>

__global__ void interleaved(int *g_idata, int *g_odata, unsigned int n) {
  extern __shared__ int sdata[];
  unsigned int tid = threadIdx.x;
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  sdata[tid] = (i < n) ? g_idata[i] : 0;
  __syncthreads();
  for (unsigned int s = 1; s < blockDim.x; s *= 2) {
    if ((tid % (2 * s)) == 0) sdata[tid] += sdata[tid + s];
    __syncthreads();
  }
  if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void sequential(int *g_idata, int *g_odata, unsigned int n) {
  extern __shared__ int sdata[];
  unsigned int tid = threadIdx.x;
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  sdata[tid] = (i < n) ? g_idata[i] : 0;
  __syncthreads();
  for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
    if (tid < s) sdata[tid] += sdata[tid + s];
    __syncthreads();
  }
  if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__inline__ __device__ int warpReduceSum(int val) {
  for (int offset = warpSize / 2; offset > 0; offset /= 2) val += __shfl_down_sync(0xffffffff, val, offset);
  return val;
}

__global__ void shuffles(int *in, int *out, unsigned int n) {
  __shared__ int shared[32];
  int lane = threadIdx.x % warpSize, wid = threadIdx.x / warpSize, sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) sum += in[i];
  sum = warpReduceSum(sum);
  if (lane == 0) shared[wid] = sum;
  __syncthreads();
  sum = (threadIdx.x < blockDim.x / warpSize) ? shared[lane] : 0;
  if (wid == 0) sum = warpReduceSum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

__global__ void atomics(int *in, int *out, unsigned int n) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(out, in[i]);
}

int main() {
  const unsigned n = 1 << 20, threads = 256, blocks = (n + threads - 1) / threads;
  int *h = new int[n], *d_in, *d_out;
  for (unsigned i = 0; i < n; i++) h[i] = 1;
  cudaMalloc(&d_in, n * sizeof(int));
  cudaMalloc(&d_out, blocks * sizeof(int));
  cudaMemcpy(d_in, h, n * sizeof(int), cudaMemcpyHostToDevice);
  const char *names[] = {"interleaved", "sequential", "shuffles", "atomics"};
  void (*kernels[])(int *, int *, unsigned int) = {interleaved, sequential, shuffles, atomics};
  for (int k = 0; k < 4; k++) {
    cudaMemset(d_out, 0, blocks * sizeof(int));
    kernels[k]<<<blocks, threads, threads * sizeof(int)>>>(d_in, d_out, n);
    cudaError_t err = cudaDeviceSynchronize();
    if (err != cudaSuccess) return printf("%s failed: %s\n", names[k], cudaGetErrorString(err)), 1;
    cudaMemcpy(h, d_out, blocks * sizeof(int), cudaMemcpyDeviceToHost);
    long total = 0;
    for (unsigned i = 0; i < blocks; i++) total += h[i];
    printf("%s %ld\n", names[k], total);
  }
  delete[] h;
  cudaFree(d_in);
  cudaFree(d_out);
}
