// Chapters on convolution, stencils, transposition, sparse matrices and graphs
#include <cuda_runtime.h>
#include <device_launch_parameters.h>
#include <limits.h>

#define FILTER_RADIUS 2
#define IN_TILE_DIM 16
#define OUT_TILE_DIM ((IN_TILE_DIM) - 2 * (FILTER_RADIUS))
#define TILE_DIM 16

__constant__ float F[2 * FILTER_RADIUS + 1][2 * FILTER_RADIUS + 1];

__global__ void convolution_2D_basic_kernel(float *N, float *K, float *P, int r, int width, int height) {
  int outCol = blockIdx.x * blockDim.x + threadIdx.x;
  int outRow = blockIdx.y * blockDim.y + threadIdx.y;
  if (outCol >= width || outRow >= height) return;
  float Pvalue = 0.0f;
  for (int fRow = 0; fRow < 2 * r + 1; fRow++) {
    for (int fCol = 0; fCol < 2 * r + 1; fCol++) {
      int inRow = outRow - r + fRow;
      int inCol = outCol - r + fCol;
      if (inRow >= 0 && inRow < height && inCol >= 0 && inCol < width) {
        Pvalue += K[fRow * (2 * r + 1) + fCol] * N[inRow * width + inCol];
      }
    }
  }
  P[outRow * width + outCol] = Pvalue;
}

__global__ void convolution_tiled_2D_const_mem_kernel(float *N, float *P, int width, int height) {
  int col = blockIdx.x * OUT_TILE_DIM + threadIdx.x - FILTER_RADIUS;
  int row = blockIdx.y * OUT_TILE_DIM + threadIdx.y - FILTER_RADIUS;
  //loading input tile
  __shared__ float N_s[IN_TILE_DIM][IN_TILE_DIM];
  if (row >= 0 && row < height && col >= 0 && col < width) {
    N_s[threadIdx.y][threadIdx.x] = N[row * width + col];
  } else {
    N_s[threadIdx.y][threadIdx.x] = 0.0;
  }
  __syncthreads(); // tile loaded
  // Calculating output elements
  int tileCol = threadIdx.x - FILTER_RADIUS;
  int tileRow = threadIdx.y - FILTER_RADIUS;
  // turning off the threads at the edges of the block
  if (col >= 0 && col < width && row >= 0 && row < height) {
    if (tileCol >= 0 && tileCol < OUT_TILE_DIM && tileRow >= 0 && tileRow < OUT_TILE_DIM) {
      float Pvalue = 0.0f;
      for (int fRow = 0; fRow < 2 * FILTER_RADIUS + 1; fRow++) {
        for (int fCol = 0; fCol < 2 * FILTER_RADIUS + 1; fCol++) {
          Pvalue += F[fRow][fCol] * N_s[tileRow + fRow][tileCol + fCol];
        }
      }
      P[row * width + col] = Pvalue;
    }
  }
}

// halo cells from the L2 cache
__global__ void convolution_cached_tiled_2D_const_mem_kernel(float *N, float *P, int width, int height) {
  int col = blockIdx.x * TILE_DIM + threadIdx.x;
  int row = blockIdx.y * TILE_DIM + threadIdx.y;
  __shared__ float N_s[TILE_DIM][TILE_DIM];
  if (row < height && col < width) {
    N_s[threadIdx.y][threadIdx.x] = N[row * width + col];
  } else {
    N_s[threadIdx.y][threadIdx.x] = 0.0;
  }
  __syncthreads();
  if (col < width && row < height) {
    float Pvalue = 0.0f;
    for (int fRow = 0; fRow < 2 * FILTER_RADIUS + 1; fRow++) {
      for (int fCol = 0; fCol < 2 * FILTER_RADIUS + 1; fCol++) {
        if (threadIdx.x - FILTER_RADIUS + fCol >= 0 && threadIdx.x - FILTER_RADIUS + fCol < TILE_DIM &&
            threadIdx.y - FILTER_RADIUS + fRow >= 0 && threadIdx.y - FILTER_RADIUS + fRow < TILE_DIM) {
          Pvalue += F[fRow][fCol] * N_s[threadIdx.y - FILTER_RADIUS + fRow][threadIdx.x - FILTER_RADIUS + fCol];
        } else {
          if (row - FILTER_RADIUS + fRow >= 0 && row - FILTER_RADIUS + fRow < height &&
              col - FILTER_RADIUS + fCol >= 0 && col - FILTER_RADIUS + fCol < width) {
            Pvalue += F[fRow][fCol] * N[(row - FILTER_RADIUS + fRow) * width + col - FILTER_RADIUS + fCol];
          }
        }
      }
    }
    P[row * width + col] = Pvalue;
  }
}

// separable, rows, with several results per thread
#define KERNEL_RADIUS 8
#define KERNEL_LENGTH (2 * KERNEL_RADIUS + 1)
#define ROWS_BLOCKDIM_X 16
#define ROWS_BLOCKDIM_Y 4
#define ROWS_RESULT_STEPS 4
#define ROWS_HALO_STEPS 1

__constant__ float c_Kernel[KERNEL_LENGTH];

extern "C" __global__ void convolutionRowsKernel(float *d_Dst, float *d_Src, int imageW, int imageH, int pitch) {
  __shared__ float s_Data[ROWS_BLOCKDIM_Y][(ROWS_RESULT_STEPS + 2 * ROWS_HALO_STEPS) * ROWS_BLOCKDIM_X];

  // Offset to the left halo edge
  const int baseX = (blockIdx.x * ROWS_RESULT_STEPS - ROWS_HALO_STEPS) * ROWS_BLOCKDIM_X + threadIdx.x;
  const int baseY = blockIdx.y * ROWS_BLOCKDIM_Y + threadIdx.y;

  d_Src += baseY * pitch + baseX;
  d_Dst += baseY * pitch + baseX;

// Load main data
#pragma unroll
  for (int i = ROWS_HALO_STEPS; i < ROWS_HALO_STEPS + ROWS_RESULT_STEPS; i++) {
    s_Data[threadIdx.y][threadIdx.x + i * ROWS_BLOCKDIM_X] = d_Src[i * ROWS_BLOCKDIM_X];
  }

// Load left halo
#pragma unroll
  for (int i = 0; i < ROWS_HALO_STEPS; i++) {
    s_Data[threadIdx.y][threadIdx.x + i * ROWS_BLOCKDIM_X] =
        (baseX >= -i * ROWS_BLOCKDIM_X) ? d_Src[i * ROWS_BLOCKDIM_X] : 0;
  }

// Load right halo
#pragma unroll
  for (int i = ROWS_HALO_STEPS + ROWS_RESULT_STEPS; i < ROWS_HALO_STEPS + ROWS_RESULT_STEPS + ROWS_HALO_STEPS; i++) {
    s_Data[threadIdx.y][threadIdx.x + i * ROWS_BLOCKDIM_X] =
        (imageW - baseX > i * ROWS_BLOCKDIM_X) ? d_Src[i * ROWS_BLOCKDIM_X] : 0;
  }

  // Compute and store results
  __syncthreads();
#pragma unroll
  for (int i = ROWS_HALO_STEPS; i < ROWS_HALO_STEPS + ROWS_RESULT_STEPS; i++) {
    float sum = 0;

#pragma unroll
    for (int j = -KERNEL_RADIUS; j <= KERNEL_RADIUS; j++) {
      sum += c_Kernel[KERNEL_RADIUS - j] * s_Data[threadIdx.y][threadIdx.x + i * ROWS_BLOCKDIM_X + j];
    }

    d_Dst[i * ROWS_BLOCKDIM_X] = sum;
  }
}

// seven point stencil
__constant__ float c0, c1, c2, c3, c4, c5, c6;

__global__ void stencil_kernel(float *in, float *out, unsigned int N) {
  unsigned int i = blockIdx.z * blockDim.z + threadIdx.z;
  unsigned int j = blockIdx.y * blockDim.y + threadIdx.y;
  unsigned int k = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= 1 && i < N - 1 && j >= 1 && j < N - 1 && k >= 1 && k < N - 1) {
    out[i * N * N + j * N + k] = c0 * in[i * N * N + j * N + k]
                               + c1 * in[i * N * N + j * N + (k - 1)]
                               + c2 * in[i * N * N + j * N + (k + 1)]
                               + c3 * in[i * N * N + (j - 1) * N + k]
                               + c4 * in[i * N * N + (j + 1) * N + k]
                               + c5 * in[(i - 1) * N * N + j * N + k]
                               + c6 * in[(i + 1) * N * N + j * N + k];
  }
}

#define S_IN 8
#define S_OUT (S_IN - 2)

// thread coarsening along z, register tiling
__global__ void stencil_register_tiling(float *in, float *out, unsigned int N) {
  int iStart = blockIdx.z * S_OUT;
  int j = blockIdx.y * S_OUT + threadIdx.y - 1;
  int k = blockIdx.x * S_OUT + threadIdx.x - 1;
  float inPrev;
  __shared__ float inCurr_s[S_IN][S_IN];
  float inCurr;
  float inNext;
  if (iStart - 1 >= 0 && iStart - 1 < N && j >= 0 && j < N && k >= 0 && k < N) {
    inPrev = in[(iStart - 1) * N * N + j * N + k];
  }
  if (iStart >= 0 && iStart < N && j >= 0 && j < N && k >= 0 && k < N) {
    inCurr = in[iStart * N * N + j * N + k];
    inCurr_s[threadIdx.y][threadIdx.x] = inCurr;
  }
  for (int i = iStart; i < iStart + S_OUT; ++i) {
    if (i + 1 >= 0 && i + 1 < N && j >= 0 && j < N && k >= 0 && k < N) {
      inNext = in[(i + 1) * N * N + j * N + k];
    }
    __syncthreads(); // plane is there
    if (i >= 1 && i < N - 1 && j >= 1 && j < N - 1 && k >= 1 && k < N - 1) {
      if (threadIdx.y >= 1 && threadIdx.y < S_IN - 1 && threadIdx.x >= 1 && threadIdx.x < S_IN - 1) {
        out[i * N * N + j * N + k] = c0 * inCurr
                                   + c1 * inCurr_s[threadIdx.y][threadIdx.x - 1]
                                   + c2 * inCurr_s[threadIdx.y][threadIdx.x + 1]
                                   + c3 * inCurr_s[threadIdx.y - 1][threadIdx.x]
                                   + c4 * inCurr_s[threadIdx.y + 1][threadIdx.x]
                                   + c5 * inPrev
                                   + c6 * inNext;
      }
    }
    __syncthreads(); // plane was used
    inPrev = inCurr;
    inCurr = inNext;
    inCurr_s[threadIdx.y][threadIdx.x] = inNext;
  }
}

// 1D stencil with halo, the way courses begin
#define RADIUS 3
#define BLOCK_SIZE 64
__global__ void stencil_1d(const int *in, int *out, int n) {
  __shared__ int temp[BLOCK_SIZE + 2 * RADIUS];
  int gindex = threadIdx.x + blockIdx.x * blockDim.x;
  int lindex = threadIdx.x + RADIUS;

  // Read input elements into shared memory
  temp[lindex] = gindex < n ? in[gindex] : 0;
  if (threadIdx.x < RADIUS) {
    temp[lindex - RADIUS] = gindex - RADIUS >= 0 ? in[gindex - RADIUS] : 0;
    temp[lindex + BLOCK_SIZE] = gindex + BLOCK_SIZE < n ? in[gindex + BLOCK_SIZE] : 0;
  }

  // Synchronize (ensure all the data is available)
  __syncthreads();

  // Apply the stencil
  int result = 0;
  for (int offset = -RADIUS; offset <= RADIUS; offset++) result += temp[lindex + offset];

  // Store the result
  if (gindex < n) out[gindex] = result;
}

// transposition
const int TILE = 32;
const int BLOCK_ROWS = 8;

__global__ void transposeNaive(float *odata, const float *idata) {
  int x = blockIdx.x * TILE + threadIdx.x;
  int y = blockIdx.y * TILE + threadIdx.y;
  int width = gridDim.x * TILE;

  for (int j = 0; j < TILE; j += BLOCK_ROWS)
    odata[x * width + (y + j)] = idata[(y + j) * width + x];
}

// No bank-conflict transpose
__global__ void transposeNoBankConflicts(float *odata, const float *idata) {
  __shared__ float tile[TILE][TILE + 1];

  int x = blockIdx.x * TILE + threadIdx.x;
  int y = blockIdx.y * TILE + threadIdx.y;
  int width = gridDim.x * TILE;

  for (int j = 0; j < TILE; j += BLOCK_ROWS)
    tile[threadIdx.y + j][threadIdx.x] = idata[(y + j) * width + x];

  __syncthreads(); // tile is full

  x = blockIdx.y * TILE + threadIdx.x; // transpose block offset
  y = blockIdx.x * TILE + threadIdx.y;

  for (int j = 0; j < TILE; j += BLOCK_ROWS)
    odata[(y + j) * width + x] = tile[threadIdx.x][threadIdx.y + j];
}

// XOR swizzle instead of padding, diagonal blocks, any size
template <typename T>
__global__ void transposeSwizzled(T *__restrict__ dst, const T *__restrict__ src, int rows, int cols) {
  __shared__ T tile[TILE][TILE];
  const int bid = blockIdx.x + gridDim.x * blockIdx.y;
  const int by = bid % gridDim.y, bx = ((bid / gridDim.y) + by) % gridDim.x;
  const int c = bx * TILE + threadIdx.x;
  for (int j = threadIdx.y; j < TILE; j += blockDim.y) {
    const int r = by * TILE + j;
    if (r < rows && c < cols) tile[j][threadIdx.x ^ j] = src[r * cols + c];
  }
  __syncthreads();
  const int r2 = by * TILE + threadIdx.x;
  for (int j = threadIdx.y; j < TILE; j += blockDim.y) {
    const int c2 = bx * TILE + j;
    if (c2 < cols && r2 < rows) dst[c2 * rows + r2] = tile[threadIdx.x][j ^ threadIdx.x];
  }
}

// sparse matrix times vector
struct COOMatrix { int numNonzeros; int *rowIdx; int *colIdx; float *value; };
struct CSRMatrix { int numRows; int *rowPtrs; int *colIdx; float *value; };
struct ELLMatrix { unsigned numRows; unsigned *nnzPerRow; unsigned *colIdx; float *value; };

__global__ void spmv_coo_kernel(COOMatrix cooMatrix, float *x, float *y) {
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < cooMatrix.numNonzeros) {
    unsigned int row = cooMatrix.rowIdx[i];
    unsigned int col = cooMatrix.colIdx[i];
    float value = cooMatrix.value[i];
    atomicAdd(&y[row], x[col] * value);
  }
}

__global__ void spmv_csr_kernel(CSRMatrix csrMatrix, float *x, float *y) {
  unsigned int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row < csrMatrix.numRows) {
    float sum = 0.0f;
    for (unsigned int i = csrMatrix.rowPtrs[row]; i < csrMatrix.rowPtrs[row + 1]; ++i) {
      unsigned int col = csrMatrix.colIdx[i];
      float value = csrMatrix.value[i];
      sum += x[col] * value;
    }
    y[row] += sum;
  }
}

// one warp per row
__global__ void spmv_csr_vector_kernel(const int num_rows, const int *ptr, const int *indices, const float *data,
                                       const float *x, float *y) {
  __shared__ volatile float vals[128];
  int thread_id = blockDim.x * blockIdx.x + threadIdx.x; // global thread index
  int warp_id = thread_id / 32;                          // global warp index
  int lane = thread_id & (32 - 1);                       // thread index within the warp
  int row = warp_id;
  if (row < num_rows) {
    int row_start = ptr[row];
    int row_end = ptr[row + 1];
    vals[threadIdx.x] = 0;
    for (int jj = row_start + lane; jj < row_end; jj += 32) vals[threadIdx.x] += data[jj] * x[indices[jj]];
    for (int s = 16; s > 0; s >>= 1) {
      __syncwarp(); // partial sums are there
      if (lane < s) vals[threadIdx.x] += vals[threadIdx.x + s];
    }
    // first thread writes the result
    if (lane == 0) y[row] += vals[threadIdx.x];
  }
}

__global__ void spmv_ell_kernel(ELLMatrix ellMatrix, float *x, float *y) {
  unsigned int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row < ellMatrix.numRows) {
    float sum = 0.0f;
    for (unsigned int t = 0; t < ellMatrix.nnzPerRow[row]; ++t) {
      unsigned int i = t * ellMatrix.numRows + row;
      unsigned int col = ellMatrix.colIdx[i];
      float value = ellMatrix.value[i];
      sum += x[col] * value;
    }
    y[row] = sum;
  }
}

__global__ void spmv_jds_kernel(const float *jds_data, const int *jds_col, const int *jds_row_perm, const int *jds_t_ptr,
                                int max_nnz, int num_rows, const float *x, float *y) {
  int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row < num_rows) {
    float dot = 0;
    for (int sec = 0; sec < max_nnz; ++sec) {
      if (jds_t_ptr[sec + 1] - jds_t_ptr[sec] <= row) break;
      int i = jds_t_ptr[sec] + row;
      dot += jds_data[i] * x[jds_col[i]];
    }
    y[jds_row_perm[row]] = dot;
  }
}

// breadth first search
struct CSRGraph { unsigned int numVertices; unsigned int *srcPtrs; unsigned int *dst; };

__global__ void bfs_vertex_push(CSRGraph csrGraph, unsigned int *level, unsigned int *newVertexVisited, unsigned int currLevel) {
  unsigned int vertex = blockIdx.x * blockDim.x + threadIdx.x;
  if (vertex < csrGraph.numVertices) {
    if (level[vertex] == currLevel - 1) {
      for (unsigned int edge = csrGraph.srcPtrs[vertex]; edge < csrGraph.srcPtrs[vertex + 1]; ++edge) {
        unsigned int neighbor = csrGraph.dst[edge];
        if (atomicCAS(&level[neighbor], UINT_MAX, currLevel) == UINT_MAX) {  // Neighbor not visited
          atomicExch(newVertexVisited, 1);
        }
      }
    }
  }
}

#define LOCAL_FRONTIER_CAPACITY 16
__global__ void bfs_frontier_private(CSRGraph csrGraph, unsigned int *level, unsigned int *prevFrontier,
                                     unsigned int *currFrontier, unsigned int numPrevFrontier,
                                     unsigned int *numCurrFrontier, unsigned int currLevel) {
  // Initialize privatized frontier
  __shared__ unsigned int currFrontier_s[LOCAL_FRONTIER_CAPACITY];
  __shared__ unsigned int numCurrFrontier_s;
  if (threadIdx.x == 0) {
    numCurrFrontier_s = 0;
  }
  __syncthreads(); // empty frontier

  // Perform BFS
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < numPrevFrontier) {
    unsigned int vertex = prevFrontier[i];
    for (unsigned int edge = csrGraph.srcPtrs[vertex]; edge < csrGraph.srcPtrs[vertex + 1]; ++edge) {
      unsigned int neighbor = csrGraph.dst[edge];
      if (atomicCAS(&level[neighbor], UINT_MAX, currLevel) == UINT_MAX) {
        unsigned int currFrontierIdx_s = atomicAdd(&numCurrFrontier_s, 1);
        if (currFrontierIdx_s < LOCAL_FRONTIER_CAPACITY) {
          currFrontier_s[currFrontierIdx_s] = neighbor;
        } else {
          numCurrFrontier_s = LOCAL_FRONTIER_CAPACITY;
          unsigned int currFrontierIdx = atomicAdd(numCurrFrontier, 1);
          currFrontier[currFrontierIdx] = neighbor;
        }
      }
    }
  }
  __syncthreads(); // frontier complete

  // Allocate in global frontier
  __shared__ unsigned int currFrontierStartIdx;
  if (threadIdx.x == 0) {
    currFrontierStartIdx = atomicAdd(numCurrFrontier, numCurrFrontier_s);
  }
  __syncthreads();

  // Commit to global frontier
  for (unsigned int currFrontierIdx_s = threadIdx.x; currFrontierIdx_s < numCurrFrontier_s; currFrontierIdx_s += blockDim.x) {
    unsigned int currFrontierIdx = currFrontierStartIdx + currFrontierIdx_s;
    currFrontier[currFrontierIdx] = currFrontier_s[currFrontierIdx_s];
  }
}

__global__ void bfs_edge_kernel(int numEdges, const unsigned *src, const unsigned *dst, unsigned *level, int *changed, unsigned currLevel) {
  int edge = blockIdx.x * blockDim.x + threadIdx.x;
  if (edge < numEdges && level[src[edge]] == currLevel - 1) {
    if (atomicMin(&level[dst[edge]], currLevel) > currLevel) atomicOr(changed, 1);
  }
}
