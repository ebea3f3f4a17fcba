// In the style of the samples that come with CUDA: helpers, timers, dynamic shared memory beyond 48 KB, occupancy.
//> naive: right
//> padded: right
//> large: right
//> a block of 1024 threads, at least 4 blocks
#include <cuda_runtime.h>
#include <helper_cuda.h>
#include <helper_functions.h>

const int TILE_DIM = 16, BLOCK_ROWS = 4;

__global__ void naive(float *odata, const float *idata, int width, int height) {
  int xIndex = blockIdx.x * TILE_DIM + threadIdx.x, yIndex = blockIdx.y * TILE_DIM + threadIdx.y;
  for (int i = 0; i < TILE_DIM; i += BLOCK_ROWS)
    odata[xIndex * height + yIndex + i] = idata[xIndex + width * (yIndex + i)];
}
__global__ void padded(float *odata, const float *idata, int width, int height) {
  __shared__ float tile[TILE_DIM][TILE_DIM + 1];
  int x = blockIdx.x * TILE_DIM + threadIdx.x, y = blockIdx.y * TILE_DIM + threadIdx.y;
  for (int i = 0; i < TILE_DIM; i += BLOCK_ROWS) tile[threadIdx.y + i][threadIdx.x] = idata[x + width * (y + i)];
  __syncthreads();
  x = blockIdx.y * TILE_DIM + threadIdx.x, y = blockIdx.x * TILE_DIM + threadIdx.y;
  for (int i = 0; i < TILE_DIM; i += BLOCK_ROWS) odata[x + height * (y + i)] = tile[threadIdx.x][threadIdx.y + i];
}
__global__ void large(float *odata, const float *idata, int width, int height) {
  extern __shared__ float all[];
  const int n = width * height, me = threadIdx.y * blockDim.x + threadIdx.x, step = blockDim.x * blockDim.y;
  for (int i = me; i < n; i += step) all[i] = idata[i];
  __syncthreads();
  if (blockIdx.x || blockIdx.y) return;
  for (int i = me; i < n; i += step) odata[i] = all[i % height * width + i / height];
}

int main(int argc, char **argv) {
  int devID = findCudaDevice(argc, (const char **)argv);
  cudaDeviceProp prop;
  checkCudaErrors(cudaGetDeviceProperties(&prop, devID));
  const int width = 128, height = 96, bytes = width * height * sizeof(float);
  float *h_in = (float *)malloc(bytes), *h_out = (float *)malloc(bytes), *d_in, *d_out;
  for (int i = 0; i < width * height; ++i) h_in[i] = (float)i;
  checkCudaErrors(cudaMalloc((void **)&d_in, bytes));
  checkCudaErrors(cudaMalloc((void **)&d_out, bytes));
  checkCudaErrors(cudaMemcpy(d_in, h_in, bytes, cudaMemcpyHostToDevice));
  checkCudaErrors(cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  dim3 grid(width / TILE_DIM, height / TILE_DIM), threads(TILE_DIM, BLOCK_ROWS);
  StopWatchInterface *timer = NULL;
  sdkCreateTimer(&timer);
  void (*kernel)(float *, const float *, int, int);
  const char *names[] = {"naive", "padded", "large"};
  for (int k = 0; k < 3; k++) {
    kernel = k == 0 ? &naive : &padded;
    sdkStartTimer(&timer);
    if (k < 2) {
      kernel<<<grid, threads>>>(d_out, d_in, width, height);
    } else {
      large<<<grid, threads, bytes>>>(d_out, d_in, width, height);
    }
    getLastCudaError("kernel failed");
    checkCudaErrors(cudaDeviceSynchronize());
    sdkStopTimer(&timer);
    checkCudaErrors(cudaMemcpy(h_out, d_out, bytes, cudaMemcpyDeviceToHost));
    bool right = sdkGetTimerValue(&timer) >= 0;
    for (int x = 0; x < width; ++x)
      for (int y = 0; y < height; ++y) right = right && h_out[x * height + y] == h_in[y * width + x];
    printf("%s: %s\n", names[k], right ? "right" : "wrong");
  }
  sdkDeleteTimer(&timer);
  int blockSize, minGridSize;
  checkCudaErrors(cudaOccupancyMaxPotentialBlockSize(&minGridSize, &blockSize, naive, 0, 0));
  printf("a block of %d threads, at least %d blocks\n", blockSize, minGridSize / 2);
  free(h_in), free(h_out);
  checkCudaErrors(cudaFree(d_in));
  checkCudaErrors(cudaFree(d_out));
  exit(EXIT_SUCCESS);
}
