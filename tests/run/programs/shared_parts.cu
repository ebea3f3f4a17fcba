//> 28 2 26 7 8 1 2
// What host and device share: functions that allocate, a macro for their marks; and structs with holes in shared memory.
#include <cstdio>
#define BOTH __host__ __device__

struct Mixed { char c; double d; short s; int more[5]; };
struct alignas(16) Place { float3 p; };
struct Counter {
  int n;
  BOTH explicit Counter(int n) : n(n) {}
};

BOTH Counter* made(int n) { return new Counter(n); }
__host__ __device__ int* stored(int n) {
  int* p = (int*)malloc(sizeof(int));
  *p = n;
  return p;
}

__global__ void turn(Mixed* out, Place* places) {
  __shared__ Mixed mixed[32];
  __shared__ Place there[32];
  const int i = threadIdx.x;
  mixed[i].c = 1, mixed[i].d = i, mixed[i].s = 2;
  for (int l = 0; l < 5; ++l) mixed[i].more[l] = i;
  there[i].p = make_float3(i, i, i);
  __syncthreads();
  const Mixed mine = mixed[31 - i];
  out[i] = mine;
  places[i] = there[31 - i];
}

__global__ void allocate(int* out) {
  Counter* const a = made(7);
  int* const b = stored(8);
  out[0] = a->n, out[1] = *b;
  delete a;
  free(b);
}

int main() {
  Mixed *d, h[32];
  Place *e, g[32];
  int *o, n[2];
  cudaMalloc(&d, sizeof h), cudaMalloc(&e, sizeof g), cudaMalloc(&o, sizeof n);
  turn<<<1, 32>>>(d, e);
  allocate<<<1, 1>>>(o);
  cudaMemcpy(h, d, sizeof h, cudaMemcpyDeviceToHost);
  cudaMemcpy(g, e, sizeof g, cudaMemcpyDeviceToHost);
  cudaMemcpy(n, o, sizeof n, cudaMemcpyDeviceToHost);
  Counter* const a = made(1);
  int* const b = stored(2);
  printf("%g %d %g %d %d %d %d\n", h[3].d, h[3].s, g[5].p.x, n[0], n[1], a->n, *b);
  delete a;
  free(b);
  cudaFree(d), cudaFree(e), cudaFree(o);
}
