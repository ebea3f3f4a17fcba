// What kernels print comes out where the host waits, in order.
//> before
//> between
//> block 0, thread 0
//> block 0, thread 1
//> block 1, thread 0
//> block 1, thread 1
//> after
//> 3.50 and text and 100%
//> last
#include <stdio.h>

__global__ void hello() { printf("block %d, thread %d\n", blockIdx.x, threadIdx.x); }
__global__ void values(float x, const char* word) {
  if (threadIdx.x == 0) printf("%.2f and %s and 100%%\n", x, word ? "text" : "nothing");
}

int main() {
  printf("before\n");
  hello<<<2, 2>>>();
  printf("between\n");
  cudaDeviceSynchronize();
  puts("after");
  char* word;
  cudaMalloc(&word, 8);
  values<<<1, 32>>>(3.5, word);
  cudaStreamSynchronize(0);
  cudaFree(word);
  fprintf(stdout, "last\n");
}
