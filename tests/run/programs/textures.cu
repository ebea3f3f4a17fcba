//> volume 60 ok
//> point 5.0 0.0 linear 2.25
//> wrap 3.0 clamp 3.0
//> bytes 0.502 fetch 7 0
//> surface ok
#include <cstdio>
#include <cstdlib>
#include <vector>
#define CHECK(x) do { cudaError_t error = (x); if (error != cudaSuccess) { printf("%s: %s\n", #x, cudaGetErrorString(error)); exit(1); } } while (0)
__global__ void scale(cudaPitchedPtr p, int w, int h, int d) {
  int x = threadIdx.x, y = threadIdx.y, z = blockIdx.x;
  if (x >= w || y >= h || z >= d) return;
  char* slice = (char*)p.ptr + z * p.pitch * h;
  float* row = (float*)(slice + y * p.pitch);
  row[x] = row[x] * 2 + z;
}
__global__ void sample(cudaTextureObject_t t, float* out) {
  out[0] = tex2D<float>(t, 1.5f, 1.2f);
  out[1] = tex2D<float>(t, -1.0f, 0.5f);
}
__global__ void sample1(cudaTextureObject_t t, float* out, float x, float y) { out[0] = tex2D<float>(t, x, y); }
__global__ void bytes(cudaTextureObject_t t, cudaTextureObject_t l, float* out) {
  out[0] = tex1D<float4>(t, 1.5f).y;
  out[1] = tex1Dfetch<int>(l, 7);
  out[2] = tex1Dfetch<int>(l, 70);
}
__global__ void turn(cudaSurfaceObject_t from, cudaSurfaceObject_t to, int n) {
  int x = threadIdx.x, y = threadIdx.y;
  float v = surf2Dread<float>(from, x * 4, y);
  surf2Dwrite(v, to, y * (int)sizeof(float), x);
}
int main() {
  const int W = 5, H = 4, D = 3;
  float host[D][H][W];
  for (int i = 0; i < W * H * D; ++i) (&host[0][0][0])[i] = i;
  cudaPitchedPtr p;
  cudaExtent e = make_cudaExtent(W * sizeof(float), H, D);
  CHECK(cudaMalloc3D(&p, e));
  CHECK(cudaMemset3D(p, 0, e));
  cudaMemcpy3DParms c = {0};
  c.srcPtr = make_cudaPitchedPtr(host, W * sizeof(float), W, H);
  c.dstPtr = p;
  c.extent = e;
  c.kind = cudaMemcpyHostToDevice;
  CHECK(cudaMemcpy3D(&c));
  scale<<<D, dim3(8, 8)>>>(p, W, H, D);
  float back[D][H][W];
  cudaMemcpy3DParms b = {0};
  b.srcPtr = p;
  b.dstPtr = make_cudaPitchedPtr(back, W * sizeof(float), W, H);
  b.extent = e;
  b.kind = cudaMemcpyDeviceToHost;
  CHECK(cudaMemcpy3D(&b));
  int right = 0;
  for (int i = 0; i < W * H * D; ++i) right += (&back[0][0][0])[i] == 2 * i + i / (W * H);
  printf("volume %d %s\n", right, right == W * H * D ? "ok" : "wrong");
  CHECK(cudaFree(p.ptr));

  float image[4][4];
  for (int i = 0; i < 16; ++i) image[i / 4][i % 4] = i;
  cudaArray_t array;
  cudaChannelFormatDesc desc = cudaCreateChannelDesc<float>();
  CHECK(cudaMallocArray(&array, &desc, 4, 4));
  CHECK(cudaMemcpy2DToArray(array, 0, 0, image, 16, 16, 4, cudaMemcpyHostToDevice));
  cudaResourceDesc r = {};
  r.resType = cudaResourceTypeArray;
  r.res.array.array = array;
  cudaTextureDesc t = {};
  t.addressMode[0] = t.addressMode[1] = cudaAddressModeBorder;
  t.filterMode = cudaFilterModePoint;
  t.readMode = cudaReadModeElementType;
  cudaTextureObject_t tex;
  CHECK(cudaCreateTextureObject(&tex, &r, &t, NULL));
  float* out;
  CHECK(cudaMallocManaged(&out, 64));
  sample<<<1, 1>>>(tex, out);
  CHECK(cudaDeviceSynchronize());
  printf("point %.1f %.1f ", out[0], out[1]);
  CHECK(cudaDestroyTextureObject(tex));
  t.filterMode = cudaFilterModeLinear;
  CHECK(cudaCreateTextureObject(&tex, &r, &t, NULL));
  sample1<<<1, 1>>>(tex, out, 0.75f, 1.0f);
  CHECK(cudaDeviceSynchronize());
  printf("linear %.2f\n", out[0]);
  CHECK(cudaDestroyTextureObject(tex));
  t.filterMode = cudaFilterModePoint, t.normalizedCoords = 1;
  float at[2];
  for (int i = 0; i < 2; ++i) {
    t.addressMode[0] = t.addressMode[1] = i ? cudaAddressModeClamp : cudaAddressModeWrap;
    CHECK(cudaCreateTextureObject(&tex, &r, &t, NULL));
    sample1<<<1, 1>>>(tex, out, i ? 7.0f : -0.1f, i ? -7.0f : 1.1f);
    CHECK(cudaDeviceSynchronize());
    at[i] = out[0];
    CHECK(cudaDestroyTextureObject(tex));
  }
  printf("wrap %.1f clamp %.1f\n", at[0], at[1]);

  uchar4 colours[2] = {{1, 2, 3, 4}, {0, 128, 0, 0}};
  int numbers[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  cudaArray_t small;
  cudaChannelFormatDesc of_colours = cudaCreateChannelDesc<uchar4>();
  CHECK(cudaMallocArray(&small, &of_colours, 2));
  CHECK(cudaMemcpyToArray(small, 0, 0, colours, sizeof colours, cudaMemcpyHostToDevice));
  r.res.array.array = small, t.normalizedCoords = 0, t.readMode = cudaReadModeNormalizedFloat;
  CHECK(cudaCreateTextureObject(&tex, &r, &t, NULL));
  int* linear;
  CHECK(cudaMalloc(&linear, sizeof numbers));
  CHECK(cudaMemcpy(linear, numbers, sizeof numbers, cudaMemcpyHostToDevice));
  cudaResourceDesc of_linear;
  memset(&of_linear, 0, sizeof of_linear);
  of_linear.resType = cudaResourceTypeLinear;
  of_linear.res.linear.devPtr = linear;
  of_linear.res.linear.desc = cudaCreateChannelDesc(32, 0, 0, 0, cudaChannelFormatKindSigned);
  of_linear.res.linear.sizeInBytes = sizeof numbers;
  cudaTextureDesc plain = {};
  plain.readMode = cudaReadModeElementType;
  cudaTextureObject_t second = 0;
  CHECK(cudaCreateTextureObject(&second, &of_linear, &plain, NULL));
  bytes<<<1, 1>>>(tex, second, out);
  CHECK(cudaDeviceSynchronize());
  printf("bytes %.3f fetch %g %g\n", out[0], out[1], out[2]);

  cudaArray_t turned;
  CHECK(cudaMallocArray(&turned, &desc, 4, 4, cudaArraySurfaceLoadStore));
  cudaSurfaceObject_t from, to;
  r.res.array.array = array;
  CHECK(cudaCreateSurfaceObject(&from, &r));
  r.res.array.array = turned;
  CHECK(cudaCreateSurfaceObject(&to, &r));
  turn<<<1, dim3(4, 4)>>>(from, to, 4);
  float result[4][4];
  CHECK(cudaMemcpy2DFromArray(result, 16, turned, 0, 0, 16, 4, cudaMemcpyDeviceToHost));
  bool fine = true;
  for (int i = 0; i < 16; ++i) fine = fine && result[i / 4][i % 4] == image[i % 4][i / 4];
  printf("surface %s\n", fine ? "ok" : "wrong");
  for (auto* a : {array, small, turned}) CHECK(cudaFreeArray(a));
  cudaDestroyTextureObject(tex), cudaDestroyTextureObject(second), cudaDestroySurfaceObject(from), cudaDestroySurfaceObject(to);
  cudaFree(linear), cudaFree(out);
}
