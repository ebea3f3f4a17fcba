#pragma once
#include <cstdio>
#include <cstdlib>
#include <vector>

#define CUDA_CHECK(call)                                                                  \
  do {                                                                                    \
    const cudaError_t error_ = (call);                                                    \
    if (error_ != cudaSuccess) {                                                          \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(error_)); \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (0)

template <class T>
__global__ void fill(T* x, T value, size_t n) {
  for (size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) x[i] = value;
}

template <class T>
class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n) {
    CUDA_CHECK(cudaMalloc(&p_, n * sizeof(T)));
    fill<T><<<4, 128>>>(p_, T(), n);  // a launch in a header
    CUDA_CHECK(cudaGetLastError());
  }
  explicit Buffer(const std::vector<T>& x) : Buffer(x.size()) {
    CUDA_CHECK(cudaMemcpy(p_, x.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() { cudaFree(p_); }
  T* get() { return p_; }
  std::vector<T> host() const {
    std::vector<T> x(n_);
    CUDA_CHECK(cudaMemcpy(x.data(), p_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
    return x;
  }

 private:
  size_t n_;
  T* p_ = nullptr;
};
