//> 8.625 -1 5.4375, 1.63846 6.10328, 6 7, 5
// Headers of CUDA's samples and of its profiler: arithmetic of vectors, checks, marks.
#include <cstdio>
#include <nvToolsExt.h>
#include <nvtx3/nvToolsExt.h>
#include <sm_61_intrinsics.h>
#include <crt/device_functions.h>
#include <channel_descriptor.h>
#include <helper_cuda.h>
#include <helper_math.h>
__global__ void step(float4* p, float3* q, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float3 a = make_float3(p[i]), b = make_float3(1.0f);
  a += 2 * b / 4.0f;
  a = lerp(a, cross(a, make_float3(0, 0, 1)), 0.5f);
  q[i] = clamp(a, 0.0f, 9.0f) * dot(a, b) - make_float3(make_int3(i, 1, 2));
  p[i] = make_float4(normalize(a), length(a));
  p[i] *= 2;
}
int main() {
  nvtxRangePush("all");
  float4 *p; float3 *q;
  checkCudaErrors(cudaMallocManaged(&p, 64 * sizeof *p));
  checkCudaErrors(cudaMallocManaged(&q, 64 * sizeof *q));
  for (int i = 0; i < 64; ++i) p[i] = make_float4(i, 2, 3, 4);
  step<<<2, 32>>>(p, q, 64);
  checkCudaErrors(cudaDeviceSynchronize());
  uint2 u = make_uint2(3, 4) + make_uint2(1);
  u += 2;
  printf("%g %g %g, %g %g, %u %u, %d\n", q[2].x, q[2].y, q[2].z, p[2].x, p[2].w, u.x, u.y, max(make_int2(1, 5), make_int2(3, 2)).y);
  cudaFree(p); cudaFree(q);
  nvtxRangePop();
}
