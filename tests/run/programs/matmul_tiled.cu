// A tiled product, timed by events; the tile is a template's argument, and checks are in a file of their own.
//> tile 16: right, some time
//> tile 32: right, some time
#include <cmath>
#include <iostream>
#include <vector>

#include "parts/common.h"

template <int TILE>
__global__ void matmul(const float* a, const float* b, float* c, int n) {
  __shared__ float as[TILE][TILE];
  __shared__ float bs[TILE][TILE];
  const int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < (n + TILE - 1) / TILE; ++t) {
    const int x = t * TILE + threadIdx.x, y = t * TILE + threadIdx.y;
    as[threadIdx.y][threadIdx.x] = row < n && x < n ? a[row * n + x] : 0;
    bs[threadIdx.y][threadIdx.x] = y < n && col < n ? b[y * n + col] : 0;
    __syncthreads();
    for (int k = 0; k < TILE; ++k) sum += as[threadIdx.y][k] * bs[k][threadIdx.x];
    __syncthreads();
  }
  if (row < n && col < n) c[row * n + col] = sum;
}

template <int TILE>
void run(const std::vector<float>& a, const std::vector<float>& b, int n) {
  Buffer<float> d_a(a), d_b(b), d_c(n * n);
  cudaEvent_t start, stop;
  CUDA_CHECK(cudaEventCreate(&start));
  CUDA_CHECK(cudaEventCreate(&stop));
  const dim3 threads(TILE, TILE), blocks((n + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  CUDA_CHECK(cudaEventRecord(start));
  matmul<TILE><<<blocks, threads>>>(d_a.get(), d_b.get(), d_c.get(), n);
  CUDA_CHECK(cudaEventRecord(stop));
  CUDA_CHECK(cudaEventSynchronize(stop));
  float ms = 0;
  CUDA_CHECK(cudaEventElapsedTime(&ms, start, stop));
  const std::vector<float> c = d_c.host();
  bool right = true;
  for (int i = 0; i < n; i += 7)
    for (int j = 0; j < n; j += 5) {
      double sum = 0;
      for (int k = 0; k < n; ++k) sum += double(a[i * n + k]) * b[k * n + j];
      right = right && std::abs(sum - c[i * n + j]) < 1e-3;
    }
  std::cout << "tile " << TILE << ": " << (right ? "right" : "wrong") << ", " << (ms > 0 ? "some" : "no") << " time\n";
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
}

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 100;
  std::vector<float> a(n * n), b(n * n);
  for (int i = 0; i < n * n; ++i) a[i] = i % 13 * 0.25f, b[i] = i % 7 * 0.5f;
  run<16>(a, b, n);
  run<32>(a, b, n);
}
