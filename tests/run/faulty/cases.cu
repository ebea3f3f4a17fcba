#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <cuda_runtime.h>
__global__ void set(float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = i;                                                     // beyond
}
__device__ int deep(int x) {
  volatile char big[1000];
  big[0] = x;
  return deep(x + 1) + big[0];                                             // deep
}
__global__ void recurse(float* x) { *x = deep(1); }
__global__ void wide(float* x) { *(float4*)(x + 1) = *(float4*)x; }
__global__ void divide(float* x, int by) {
  *x = 7 / by;                                                             // zero
}
__global__ void claim(float* x) {
  assert(x == nullptr);                                                    // claim
}
template <class T>
__global__ void fold(T* x) {
  x[threadIdx.x] = __shfl_down_sync(0xf, T(1), 16);                        // outside
}
__global__ void hello() { printf("hello from %d\n", threadIdx.x); }
__constant__ float constants[4];
__device__ float variable[4];
template <int N>
__global__ void reverse(float* x) {
  __shared__ float unused[2], part[N];
  part[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = part[N - 1 - threadIdx.x];                              // unwritten
}
int endless(int x) {
  volatile char big[1000];
  big[0] = x;
  return endless(x + 1) + big[0];                                          // stack
}

int main(int argc, char** argv) {
  const char* name = argv[1];
#define CASE(word) if (!strcmp(name, word))
  float h[100] = {}, *d = nullptr, *e = nullptr;
  cudaMalloc(&d, 1024 * sizeof(float));                                    // allocated
  CASE("name") {
    set<<<1, 4>>>(variable, 4);                                            // name
    float* address;
    cudaGetSymbolAddress((void**)&address, variable);
    set<<<1, 4>>>(address, 4);
    cudaMemcpy(h, address, 16, cudaMemcpyDeviceToHost);
  }
  CASE("name-copied") cudaMemcpy(h, variable, 16, cudaMemcpyDeviceToHost);  // name-copied
  CASE("outside") {
    fold<<<1, 4>>>(d);
    fold<<<1, 4>>>(reinterpret_cast<int*>(d + 4));
    cudaMemcpy(h, d, 32, cudaMemcpyDeviceToHost);
    int whole;
    memcpy(&whole, h + 4, 4);
    printf("%g %d\n", h[0], whole);
  }
  CASE("direction") cudaMemcpy(d, h, 16, cudaMemcpyDeviceToHost);          // direction
  CASE("far") cudaMemcpy(d, h, 5000, cudaMemcpyHostToDevice);              // far
  CASE("host-pointer") set<<<1, 4>>>(h, 4);                                // host-pointer
  CASE("touch") h[0] = d[2];                                               // touch
  CASE("touch-by-library") memcpy(h, d, 16);                               // touch-by-library
  CASE("threads") set<<<1, 2048>>>(d, 4);                                  // threads
  CASE("shared") set<<<1, 4, 100000>>>(d, 4);                              // shared
  CASE("grid") set<<<0, 4>>>(d, 4);                                        // grid
  CASE("asked") {
    set<<<1, 2048>>>(d, 4);
    printf("%s\n", cudaGetErrorName(cudaGetLastError()));
    printf("%s\n", cudaGetErrorName(cudaGetLastError()));
  }
  CASE("beyond") {
    set<<<5, 256>>>(d, 1025);                                              // launched
    printf("%s\n", cudaGetErrorName(cudaGetLastError()));
    printf("%s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    printf("%s\n", cudaGetErrorName(cudaMalloc(&e, 4)));
    printf("%s\n", cudaGetErrorString(cudaGetLastError()));
    return cudaGetLastError() == cudaSuccess;
  }
  CASE("null") set<<<1, 4>>>(nullptr, 4);
  CASE("misaligned") wide<<<1, 1>>>(d);
  CASE("deep") recurse<<<1, 1>>>(d);
  CASE("zero") divide<<<1, 1>>>(d, argc - 2);
  CASE("claim") claim<<<1, 1>>>(d);
  CASE("twice") cudaFree(d);                                               // freed
  CASE("after-free") {
    cudaFree(d);
    set<<<1, 4>>>(d, 4);
    cudaDeviceSynchronize();
    return 0;
  }
  CASE("middle") cudaFree(d + 1);                                          // middle
  CASE("not-device") cudaFree(h);                                          // not-device
  CASE("symbol") cudaMemcpyToSymbol(constants, h, 20);                     // symbol
  CASE("lost") hello<<<1, 2>>>();                                          // lost
  CASE("leak") for (int i = 0; i < 3; ++i) cudaMalloc(&e, 100);            // leak
  CASE("stream") {
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaStreamDestroy(stream);
    cudaStreamSynchronize(stream);                                         // stream
  }
  CASE("streams") {
    cudaStream_t streams[2];
    for (cudaStream_t& s : streams) cudaStreamCreate(&s);                  // streams
    cudaEvent_t event;
    cudaEventCreate(&event);                                               // event
    cudaMallocHost(&e, 64);                                                // pinned
  }
  CASE("reset") {
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaDeviceReset();
    return 0;
  }
  CASE("too-much") printf("%s\n", cudaGetErrorName(cudaMalloc(&e, 1ull << 50)));  // too-much
  CASE("crash") {
    volatile int* p = nullptr;
    *p = 3;                                                                // crash
  }
  CASE("stack") return endless(1);
  CASE("abort") abort();
  CASE("endless") for (volatile int i = 0;; ++i) {}                        // endless
  CASE("managed") {
    float* m;
    cudaMallocManaged(&m, 64);
    set<<<1, 4>>>(m, 4);
    h[0] = m[1];                                                           // managed
    cudaDeviceSynchronize();
    h[0] = m[1];
    cudaFree(m);
  }
  CASE("echo") {
    float* m;
    cudaMallocManaged(&m, 64);
    set<<<1, 32>>>(m, 32);
    cudaDeviceSynchronize();
    h[0] = m[1];
    cudaFree(m);
  }
  CASE("template") cudaMemset(d, 0, 256), reverse<64><<<1, 64>>>(d);
  CASE("constant") constants[1] = 2;                                       // constant
  CASE("static") {
    std::vector<float> x(3);
    volatile int seven = 7;
    h[seven * 20] = 1;                                                     // static
  }
  CASE("heap") {
    std::vector<float> x(10 + argc);
    float* y = &x[0];
    h[1] = y[10 + argc];                                                   // heap
  }
  CASE("heap-freed") {
    float* y = (float*)malloc(80);
    free(y);
    h[1] = y[4];                                                           // heap-freed
  }
  CASE("heap-copy") {
    float* y = new float[10];
    cudaMemset(d, 0, 44);
    cudaMemcpy(y, d, 44, cudaMemcpyDeviceToHost);                          // heap-copy
    cudaMemcpy(d, y + 3, 28, cudaMemcpyHostToDevice);
    cudaMemcpy(d, y + 3, 32, cudaMemcpyHostToDevice);                      // heap-copy-inside
    y = (float*)realloc(nullptr, 60), y = (float*)realloc(y, 160);
    cudaMemcpy(d, y, 164, cudaMemcpyHostToDevice);                         // heap-realloc
  }
  cudaFree(d);                                                             // end
  return 0;
}
