// A convolution whose mask lies in constant memory, with pitched rows; and other variables of the device.
//> 1 3 6 9 7
//> 1 4 8 11 8
//> calls 10, last block 1
//> managed 7
#include <cstdio>

#define MASK_WIDTH 3
__constant__ float M[MASK_WIDTH];
__device__ unsigned int calls = 0;
__device__ int last_block[1];
__device__ __managed__ int shared_by_both = 3;
static __device__ __forceinline__ float at(const float* row, int i, int width) {
  return i < 0 || i >= width ? 0.f : row[i];
}

__global__ void convolve(const float* in, size_t pitch, float* out, int width) {
  const int x = threadIdx.x;
  const float* row = (const float*)((const char*)in + blockIdx.x * pitch);
  float sum = 0;
  for (int k = 0; k < MASK_WIDTH; ++k) sum += M[k] * at(row, x + k - MASK_WIDTH / 2, width);
  out[blockIdx.x * width + x] = sum;
  atomicAdd(&calls, 1u);
  if (x == 0 && blockIdx.x == gridDim.x - 1) *last_block = blockIdx.x, shared_by_both += 4;
}

int main() {
  const int width = 5, height = 2;
  float in[height][width] = {{0, 1, 2, 3, 4}, {0, 1, 3, 4, 4}}, out[height][width], mask[] = {1, 1, 1}, *d_in, *d_out;
  size_t pitch;
  cudaMallocPitch(&d_in, &pitch, width * sizeof(float), height);
  cudaMalloc(&d_out, sizeof out);
  cudaMemcpyToSymbol(M, mask, sizeof mask);
  cudaMemcpy2D(d_in, pitch, in, width * sizeof(float), width * sizeof(float), height, cudaMemcpyHostToDevice);
  convolve<<<height, width>>>(d_in, pitch, d_out, width);
  cudaMemcpy(out, d_out, sizeof out, cudaMemcpyDeviceToHost);
  for (auto& row : out) {
    for (int x = 0; x < width; ++x) printf(x ? " %g" : "%g", row[x]);
    printf("\n");
  }
  unsigned n;
  int last, *address;
  cudaMemcpyFromSymbol(&n, calls, sizeof n);
  cudaGetSymbolAddress((void**)&address, last_block);
  cudaMemcpy(&last, address, sizeof last, cudaMemcpyDeviceToHost);
  printf("calls %u, last block %d\n", n, last);
  printf("managed %d\n", shared_by_both);
  cudaFree(d_in), cudaFree(d_out);
}
