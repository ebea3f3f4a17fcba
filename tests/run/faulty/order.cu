#include <cstdio>
#include <cstdlib>
#include <cstring>
struct Padded { char c; double d; int i; };
__global__ void set(int* x, int n, int step = 1, int first = 0) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) x[first + i * step] = i;     // set
}
__global__ void add(const int* x, int* y, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i] + 1;             // add
}
__global__ void bytes(char* x, int n) { for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = 1; }  // bytes
__global__ void count(int* x) { atomicAdd(x, 1); }
__global__ void members(Padded* x) { x[threadIdx.x].c = 1, x[threadIdx.x].d = 2, x[threadIdx.x].i = 3; }
__global__ void whole(const Padded* x, Padded* y) { y[threadIdx.x] = x[threadIdx.x]; }
int seen;
void look(void* h) { seen = *static_cast<int*>(h); }

int main(int, char** argv) {
  const char* name = argv[1];
#define CASE(word) if (!strcmp(name, word))
  constexpr int N = 256;
  int *p, *q, *h, own[N] = {};
  cudaMalloc(&p, N * sizeof(int));                                               // allocated
  cudaMalloc(&q, N * sizeof(int));                                               // second
  cudaMallocHost(&h, N * sizeof(int));
  memset(h, 0, N * sizeof(int));
  cudaStream_t a, b, c;
  cudaStreamCreate(&a), cudaStreamCreate(&b), cudaStreamCreateWithFlags(&c, cudaStreamNonBlocking);
  cudaEvent_t event;
  cudaEventCreate(&event);
  // Memory that nobody has written.
  CASE("read by a kernel") add<<<1, 32>>>(p, q, N);
  CASE("read in part by a kernel") {
    cudaMemset(p, 0, N * 2);
    add<<<1, 32>>>(p, q, N);
  }
  CASE("counted by a kernel") count<<<1, 1>>>(p);
  CASE("read by the host") cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);  // read by the host
  CASE("read by the host through another") {
    cudaMemcpy(q, p, sizeof own, cudaMemcpyDeviceToDevice);
    cudaMemcpy(own, q, sizeof own, cudaMemcpyDeviceToHost);                      // read by the host through another
  }
  CASE("set by cudaMemset") {
    cudaMemset(p, 0, N * sizeof(int));
    count<<<1, 32>>>(p);
    cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);
  }
  CASE("half is copied on") {
    cudaMemset(p, 0, N * 2);
    cudaMemcpy(q, p, sizeof own, cudaMemcpyDeviceToDevice);
    add<<<1, 32>>>(q, p, N / 2);
    cudaMemcpy(own, q, sizeof own / 2, cudaMemcpyDeviceToHost);
  }
  CASE("padding") {
    members<<<1, 8>>>((Padded*)p);
    whole<<<1, 8>>>((Padded*)p, (Padded*)q);
    whole<<<1, 8>>>((Padded*)q, (Padded*)p);
  }
  // Streams.
  CASE("another stream writes") {
    set<<<1, 32, 0, a>>>(p, N);                                                  // writer
    add<<<1, 32, 0, b>>>(p, q, N);
  }
  CASE("another stream has read") {
    cudaMemset(p, 0, N * 4);
    add<<<1, 32, 0, a>>>(p, q, N);                                               // reader
    set<<<1, 32, 0, b>>>(p, N);
  }
  CASE("an event of the wrong moment") {
    cudaEventRecord(event, a);
    set<<<1, 32, 0, a>>>(p, N);                                                  // late
    cudaStreamWaitEvent(b, event);
    add<<<1, 32, 0, b>>>(p, q, N);
  }
  CASE("a stream that does not wait for the default") {
    cudaMemset(p, 0, N * 4);                                                     // default
    add<<<1, 32, 0, c>>>(p, q, N);
  }
  CASE("a copy beside") {
    set<<<1, 32, 0, a>>>(p, N);                                                  // copied
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, c);                     // a copy beside
  }
  CASE("an event") {
    set<<<1, 32, 0, a>>>(p, N);
    cudaEventRecord(event, a);
    cudaStreamWaitEvent(c, event);
    add<<<1, 32, 0, c>>>(p, q, N);
    cudaMemcpyAsync(h, q, N * 4, cudaMemcpyDeviceToHost, c);
    cudaStreamSynchronize(c);
    seen = h[3];
  }
  CASE("the host between") {
    set<<<1, 32, 0, a>>>(p, N);
    cudaStreamSynchronize(a);
    add<<<1, 32, 0, c>>>(p, q, N);
  }
  CASE("the default stream between") {
    set<<<1, 32, 0, a>>>(p, N);
    add<<<1, 32>>>(p, q, N);
    add<<<1, 32, 0, b>>>(q, p, N);
    cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);
  }
  CASE("each its part") {
    set<<<1, 32, 0, a>>>(p, N / 2, 2, 0);
    set<<<1, 32, 0, c>>>(p, N / 2, 2, 1);
    bytes<<<1, 32, 0, a>>>((char*)q, 333);
    bytes<<<1, 32, 0, c>>>((char*)q + 333, 333);
  }
  CASE("all count") {
    cudaMemset(p, 0, N * 4), cudaDeviceSynchronize();
    count<<<2, 32, 0, a>>>(p), count<<<2, 32, 0, c>>>(p);
  }
  CASE("both read") {
    cudaMemcpy(p, own, sizeof own, cudaMemcpyHostToDevice);
    add<<<1, 32, 0, a>>>(p, q, N / 2), add<<<1, 32, 0, c>>>(p, q + N / 2, N / 2);
  }
  CASE("a graph") {
    cudaGraph_t graph;
    cudaGraphExec_t run;
    cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal);
    set<<<1, 32, 0, a>>>(p, N);
    cudaEventRecord(event, a);
    cudaStreamWaitEvent(b, event);
    add<<<1, 32, 0, b>>>(p, q, N);
    cudaEventRecord(event, b);
    cudaStreamWaitEvent(a, event);
    cudaStreamEndCapture(a, &graph);
    cudaGraphInstantiate(&run, graph, 0);
    cudaGraphLaunch(run, c);
    cudaStreamSynchronize(c);
    add<<<1, 32, 0, a>>>(q, p, N);
    cudaGraphExecDestroy(run), cudaGraphDestroy(graph);
  }
  // Memory of the host.
  CASE("read too early") {
    cudaMemset(p, 0, N * 4);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);                     // to the host
    seen = h[7];                                                                 // read too early
  }
  CASE("compared too early") {
    cudaMemset(p, 0, N * 4);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost);                        // to compare
    memcpy(own, h, sizeof own);                                                  // compared too early
  }
  CASE("written too early") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);                     // from the host
    h[9] = 3;                                                                    // written too early
  }
  CASE("freed too early") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);                     // from freed
    cudaFreeHost(h);                                                             // freed too early
    cudaMallocHost(&h, 4);
  }
  CASE("another stream is waited for") {
    int* m;
    cudaMallocManaged(&m, 64);                                                   // managed
    set<<<1, 16, 0, a>>>(m, 16);
    cudaStreamSynchronize(c);
    seen = m[2];                                                                 // another stream is waited for
    cudaDeviceSynchronize(), cudaFree(m);
  }
  CASE("read in time") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);
    seen = h[3];
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);
    cudaEventRecord(event, a);
    cudaEventSynchronize(event);
    h[9] = h[8] + 1;
  }
  CASE("memory that is not pinned") {
    cudaMemcpyAsync(p, own, N * 4, cudaMemcpyHostToDevice, a);
    own[3] = 2;
    cudaMemcpyAsync(own, p, N * 4, cudaMemcpyDeviceToHost, a);
    seen = own[3];
  }
  CASE("a function that the stream calls") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);
    cudaLaunchHostFunc(a, look, h);
  }
  CASE("a managed array in time") {
    int* m;
    cudaMallocManaged(&m, 64);
    set<<<1, 16, 0, a>>>(m, 16);
    cudaStreamSynchronize(a);
    seen = m[2];
    set<<<1, 16>>>(m, 16);
    cudaMemcpy(own, m, 64, cudaMemcpyDefault);
    seen = m[2];
    cudaFree(m);
  }
  cudaDeviceSynchronize();
  cudaEventDestroy(event);
  cudaStreamDestroy(a), cudaStreamDestroy(b), cudaStreamDestroy(c);
  cudaFree(p), cudaFree(q), cudaFreeHost(h);
  return 0;
}
