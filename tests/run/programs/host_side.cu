// What the host does beside: threads, random numbers, classes, functions for both sides, files, arguments, input.
//> arguments: 2, last two words
//> read 42
//> both sides: 81 and 81
//> threads: 0 1 4 9
//> random: right
//> device only: 900
//> ends with 3
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

__host__ __device__ constexpr int square(int x) { return x * x; }
struct Point {
  int x, y;
  __host__ __device__ Point(int x, int y) : x(x), y(y) {}
  __device__ __host__ int norm() const { return square(x) + square(y); }
};
class Base {
 public:
  virtual ~Base() = default;
  virtual int value() const = 0;
};
class Derived : public Base {
 public:
  int value() const override { return 3; }
};

__global__ void norm(Point p, int* out) { *out = p.norm(); }
__global__ void squares(int* out, int first) { out[first] = square(first); }
__global__ void arch(int* out) {
#ifdef __CUDA_ARCH__
  *out = __CUDA_ARCH__;
#else
  *out = 0;
#endif
}
__global__ void halve(double* x, size_t n) {
  auto i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x;
  if (i < n) x[i] /= 2;
}

template <class T>
struct Free {
  void operator()(T* p) const { cudaFree(p); }
};
template <class T>
using device_ptr = std::unique_ptr<T[], Free<T>>;
template <class T>
device_ptr<T> make(size_t n) {
  T* p = nullptr;
  if (cudaMalloc(&p, n * sizeof(T)) != cudaSuccess) throw std::runtime_error("no memory");
  return device_ptr<T>(p);
}

int main(int argc, char* argv[]) {
  std::cout << "arguments: " << argc - 1 << ", last " << argv[argc - 1] << '\n';
  int number = 0;
  std::cin >> number;
  std::cout << "read " << number << '\n';
  const auto out = make<int>(4);
  int h[4];
  norm<<<1, 1>>>(Point(0, 9), out.get());
  cudaMemcpy(h, out.get(), sizeof(int), cudaMemcpyDeviceToHost);
  std::cout << "both sides: " << h[0] << " and " << Point(0, 9).norm() << '\n';

  std::vector<std::thread> threads;
  std::atomic<int> ready{0};
  std::mutex mutex;
  std::map<int, int> seen;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      ++ready;
      squares<<<1, 1>>>(out.get(), i);
      const std::lock_guard<std::mutex> lock(mutex);
      seen[i] = ready;
    });
  for (auto& thread : threads) thread.join();
  cudaMemcpy(h, out.get(), sizeof h, cudaMemcpyDeviceToHost);
  std::cout << "threads:";
  for (int x : h) std::cout << ' ' << x;
  std::cout << '\n';

  std::mt19937 generator(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> x(1000), y(1000);
  for (double& value : x) value = uniform(generator);
  const auto d = make<double>(x.size());
  const auto begin = std::chrono::high_resolution_clock::now();
  const clock_t ticks = clock();
  cudaMemcpy(d.get(), x.data(), x.size() * sizeof(double), cudaMemcpyHostToDevice);
  halve<<<4, 256>>>(d.get(), x.size());
  cudaMemcpy(y.data(), d.get(), x.size() * sizeof(double), cudaMemcpyDeviceToHost);
  const std::chrono::duration<double> seconds = std::chrono::high_resolution_clock::now() - begin;
  bool right = seconds.count() > 0 && double(clock() - ticks) / CLOCKS_PER_SEC < 60;
  for (size_t i = 0; i < x.size(); ++i) right = right && x[i] / 2 == y[i];
  std::cout << "random: " << (right ? "right" : "wrong") << '\n';
  arch<<<1, 1>>>(out.get());
  cudaMemcpy(h, out.get(), sizeof(int), cudaMemcpyDeviceToHost);
  std::cout << "device only: " << h[0] << '\n';
  std::ofstream("written.txt") << "here";
  const std::unique_ptr<Base> base = std::make_unique<Derived>();
  std::cout << "ends with " << base->value() << std::endl;
  return base->value();
}
