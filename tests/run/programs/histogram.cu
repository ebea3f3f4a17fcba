// A histogram in managed memory, first in shared memory of each block.
//> a 3
//> b 2
//> n 2
//> letters in all: 36
#include <cctype>
#include <cstring>
#include <iostream>
#include <string>

constexpr int BINS = 26;

__global__ void histogram(const char* text, int length, unsigned* bins) {
  __shared__ unsigned local[BINS];
  for (int i = threadIdx.x; i < BINS; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < length; i += gridDim.x * blockDim.x) {
    const int letter = text[i] - 'a';
    if (letter >= 0 && letter < BINS) atomicAdd(&local[letter], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < BINS; i += blockDim.x) atomicAdd(bins + i, local[i]);
}

int main() {
  const std::string words = "the quick brown fox jumps over a lazy dog, banana";
  std::string lower;
  for (char c : words) lower += std::tolower(c);
  lower = lower.substr(0, 46);
  char* text;
  unsigned* bins;
  cudaMallocManaged(&text, lower.size() + 1);
  cudaMallocManaged(&bins, BINS * sizeof(unsigned));
  std::strcpy(text, lower.c_str());
  std::memset(bins, 0, BINS * sizeof *bins);
  histogram<<<2, 32>>>(text, lower.size(), bins);
  if (auto error = cudaDeviceSynchronize(); error != cudaSuccess) {
    std::cerr << cudaGetErrorName(error) << '\n';
    return 1;
  }
  unsigned all = 0;
  for (int i = 0; i < BINS; ++i) all += bins[i];
  for (char c : {'a', 'b', 'n'}) std::cout << c << ' ' << bins[c - 'a'] << '\n';
  std::cout << "letters in all: " << all << std::endl;
  cudaFree(text);
  cudaFree(bins);
}
