// Every way to write a launch: templates, macros, loops, members, pointers, several lines, namespaces, NULL.
//> deduced 3, explicit 4, from a template 5
//> namespace 7, over lines 8
//> in a macro 9, by a member 10
//> NULL 1, literals 2.5
//> overloaded 1 and 2
//> functions: 16 and 64
//> by a double 3 blocks
#include <cassert>
#include <cmath>
#include <cstdio>
#include <type_traits>
#include <vector>
using namespace std;

#define CHECK(call)                                              \
  do {                                                           \
    call;                                                        \
    cudaError_t e = cudaGetLastError();                          \
    if (e != cudaSuccess) printf("%s\n", cudaGetErrorString(e)); \
  } while (0)
#define LAUNCH(kernel, n, ...) kernel<<<1, (n)>>>(__VA_ARGS__)
#define START_AND_CHECK(...) \
  __VA_ARGS__;               \
  assert(cudaGetLastError() == cudaSuccess)

template <typename T>
__global__ void put(T* x, T value) { *x = value; }
template <int N, typename T>
__global__ void put_sum(T* x, T value) { *x = value + N; }
namespace deep { namespace inside {
__global__ void put(int* x, int value) { *x = value; }
}}
__global__ void is_null(int* x, const int* p) { *x = p == nullptr; }
__global__ void real(double* x, float value) { *x = value; }
__global__ void over(int* x) { *x = 1; }
__global__ void over(int* x, int value) { *x = value; }

typedef float (*Function)(float);
__device__ float square(float x) { return x * x; }
__device__ float cube(float x) { return x * x * x; }
__device__ Function chosen[] = {square, cube};
__global__ void apply(float* x, int which) { *x = chosen[which](4); }
__global__ void count_blocks(int* n) { if (threadIdx.x == 0) atomicAdd(n, 1); }

template <class T>
T on_device(T value) {
  T *d, h;
  cudaMalloc(&d, sizeof(T));
  put_sum<sizeof(T) / 4, T><<<dim3(1), dim3(1, 1, 1)>>>(d, value);
  cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost);
  cudaFree(d);
  return h;
}

struct Launcher {
  void (*kernel)(int*, int);
  int* x;
  void operator()(int value) const { this->kernel<<<1, 1>>>(x, value); }
};

int main() {
  int *d, h[3];
  double *r, real_value;
  float *f, results[2];
  cudaMalloc(&d, sizeof(int)), cudaMalloc(&r, sizeof(double)), cudaMalloc(&f, sizeof(float));
  auto get = [&] {
    int value;
    cudaMemcpy(&value, d, sizeof value, cudaMemcpyDeviceToHost);
    return value;
  };
  put<<<1, 1>>>(d, 3), h[0] = get();
  put_sum<1><<<1, 1>>>(d, 3), h[1] = get();
  printf("deduced %d, explicit %d, from a template %d\n", h[0], h[1], on_device(4));
  deep::inside::put<<<1, 1>>>(d, 7), h[0] = get();
  put_sum<(4 > 3 ? 2 : 1), int>
      <<<
          1,  // one block, of which a comment speaks: <<<1, 2>>>
          1
      >>>(d,
          6);
  printf("namespace %d, over lines %d\n", h[0], get());
  CHECK((put<<<1, 1>>>(d, 9)));
  LAUNCH(put, 1, d, get());
  START_AND_CHECK(put<int><<<1, 1, 0, 0>>>(d, get()));
  h[0] = get();
  const Launcher member{deep::inside::put, d};
  for (int i = 0; i <= 10; ++i) member(i);
  printf("in a macro %d, by a member %d\n", h[0], get());
  is_null<<<1, 1>>>(d, NULL);
  real<<<1, 1>>>(r, 2.5);
  cudaMemcpy(&real_value, r, sizeof real_value, cudaMemcpyDeviceToHost);
  printf("NULL %d, literals %g\n", get(), real_value);
  over<<<1, 1>>>(d), h[0] = get();
  over<<<1, 1>>>(d, 2);
  printf("overloaded %d and %d\n", h[0], get());
  for (int i = 0; i < 2; ++i) {
    apply<<<1, 1>>>(f, i);
    cudaMemcpy(&results[i], f, sizeof(float), cudaMemcpyDeviceToHost);
  }
  printf("functions: %g and %g\n", results[0], results[1]);
  cudaMemset(d, 0, sizeof(int));
  if (h[0]) count_blocks<<<ceil(260 / 128.0), 128>>>(d); else printf("never\n");
  printf("by a double %d blocks\n", get());
  cudaFree(d), cudaFree(r), cudaFree(f);
}
