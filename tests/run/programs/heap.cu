// Memory that kernels allocate: a list built by new, arrays by malloc, freed again; and a matrix of pointers to rows.
//> list 45
//> arrays 0 1 4 9
//> out of memory: null
//> rows 6
#include <cstdio>
#include <cstdlib>

struct Node {
  int value;
  Node* next;
  __device__ Node(int value, Node* next) : value(value), next(next) {}
};
__device__ Node* head;

__global__ void build(int n) {
  for (int i = 0; i < n; ++i) head = new Node(i, head);
}
__global__ void sum(int* out) {
  *out = 0;
  while (head) {
    Node* const next = head->next;
    *out += head->value;
    delete head;
    head = next;
  }
}
__global__ void arrays(int* out) {
  int* mine = (int*)malloc(8 * sizeof(int));
  int* more = new int[4];
  for (int i = 0; i < 8; ++i) mine[i] = threadIdx.x * threadIdx.x;
  more[0] = mine[7];
  out[threadIdx.x] = more[0];
  free(mine);
  delete[] more;
}
__global__ void too_much(void** p) { *p = malloc(size_t(1) << 40); }
__global__ void total(int** rows, int n, int* out) {
  for (int i = 0; i < n; ++i) atomicAdd(out, rows[i][0]);
}

int main() {
  int *out, h[4], *rows[3], **d_rows;
  void* p;
  cudaDeviceSetLimit(cudaLimitMallocHeapSize, 1 << 20);
  cudaMalloc(&out, sizeof h);
  build<<<1, 1>>>(10);
  sum<<<1, 1>>>(out);
  cudaMemcpy(h, out, sizeof(int), cudaMemcpyDeviceToHost);
  printf("list %d\n", h[0]);
  for (int i = 0; i < 3; ++i) arrays<<<1, 4>>>(out);
  cudaMemcpy(h, out, sizeof h, cudaMemcpyDeviceToHost);
  printf("arrays %d %d %d %d\n", h[0], h[1], h[2], h[3]);
  too_much<<<1, 1>>>((void**)out);
  cudaMemcpy(&p, out, sizeof p, cudaMemcpyDeviceToHost);
  printf("out of memory: %s\n", p ? "not null" : "null");
  for (int i = 0; i < 3; ++i) {
    h[0] = i + 1;
    cudaMalloc(&rows[i], sizeof(int));
    cudaMemcpy(rows[i], h, sizeof(int), cudaMemcpyHostToDevice);
  }
  cudaMalloc(&d_rows, sizeof rows);
  cudaMemcpy(d_rows, rows, sizeof rows, cudaMemcpyHostToDevice);
  cudaMemset(out, 0, sizeof h);
  total<<<1, 1>>>(d_rows, 3, out);
  cudaMemcpy(h, out, sizeof(int), cudaMemcpyDeviceToHost);
  printf("rows %d\n", h[0]);
  for (int* row : rows) cudaFree(row);
  cudaFree(d_rows), cudaFree(out);
}
