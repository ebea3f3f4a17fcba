#include <cstdio>
#include <cuda_runtime.h>
#define BOTH __host__ __device__
#ifdef __CUDACC__
__device__
#endif
int marked_before(int x) { return x + 1; }
int both(int x);
__device__ int both(int x) { return x; }
float shadow(float x) { return -x; }
double max(double x, int y) { return x > y ? x : y; }                       // overloads what is there
struct Halver {
  int by;
  __device__ explicit Halver(int by) : by{by} {}
  __device__ int apply(int x) const { return twice(x) / by; }
  __device__ int twice(int x) const { return 2 * x; }
};
int twice(int x) { return 2 * x; }
constexpr int thrice(int x) { return 3 * x; }
BOTH int four(int x) {
#ifdef __CUDA_ARCH__
  return 4 * x;
#else
  return twice(twice(x));
#endif
}
void launch(int* o, int n) { *o = n; }
__global__ void launch(int* o) {}
template <class F> __global__ void apply(int* o, F shadow) { *o = shadow(4); }
__global__ void k(int* o) {
  __shared__ union { int i; float f; } s;
  __shared__ struct Pair { int a, b; } pair;
  auto shadow = [](int x) { return x + 2; };
  s.i = 1, pair.a = max(2, 1);
  Halver twice(2);
  *o = marked_before(1) + both(1) + shadow(1) + twice.apply(3) + thrice(1) + four(1) + s.i + pair.a;
}
int main() {
  int* o;
  int h[2];
  cudaMalloc(&o, 8);
  k<<<1, 1>>>(o);
  apply<<<1, 1>>>(o + 1, [] __device__(int x) { return x * 2; });
  cudaMemcpy(h, o, 8, cudaMemcpyDeviceToHost);
  launch(h, 19);
  dim3 k(2), apply(3);
  printf("%d %d %d\n", h[0] + int(k.x - 2), h[1] + int(apply.x - 3), twice(5) + (int)shadow(1));
  cudaFree(o);
}
