// Learn CUDA by small puzzles
#include <cstdio>
#include <cuda_runtime.h>

#define TPB 8
#define MAX_CONV 4
#define MAX(x, y) ((x) > (y) ? (x) : (y))

__global__ void Map(float* A, float* C) {
    int local_i = threadIdx.x;
    C[local_i] = A[local_i] + 10;
}

__global__ void Zip(float* A, float* B, float* C) {
    const auto i = threadIdx.x;
    C[i] = A[i] + B[i];
}

__global__ void MapGuard(float* A, float* C, float size) {
    int local_i = threadIdx.x;
    if (local_i < size) {
        C[local_i] = A[local_i] + 10;
    }
}

__global__ void Map2DGuard(float* A, float* C, int size) {
    int i = threadIdx.x, j = threadIdx.y;
    if (i < size and j < size) {
        C[j * size + i] = A[j * size + i] + 10;
    }
}

__global__ void Broadcast(float* A, float* B, float* C, int size) {
    int local_i = threadIdx.x;
    int local_j = threadIdx.y;
    if (local_i < size && local_j < size) C[local_i * size + local_j] = A[local_i] + B[local_j];
}

__global__ void MapBlock2D(float* A, float* C, float size) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < size && j < size) {
        int idx = i * size + j;
        C[idx] = A[idx] + 10;
    }
}

__global__ void Shared(float* A, float* C, float size) {
    extern __shared__ float sharedMem[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    if (i < size) {
        sharedMem[local_i] = A[i];
    }
    __syncthreads();
    if (i < size) C[i] = sharedMem[local_i] + 10;
}

__global__ void Pooling(float* A, float* C, float size) {
    extern __shared__ float sharedMem[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    if (i < size) {
        sharedMem[local_i] = A[i];
    }
    __syncthreads(); // pool
    if (i < size) {
        float s = 0;
        for (int k = MAX(local_i - 2, 0); k <= local_i; ++k) s += sharedMem[k];
        C[i] = s;
    }
}

__global__ void DotProduct(float* A, float* B, float* C, float size) {
    extern __shared__ float sharedMem[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    if (i < size) sharedMem[local_i] = A[i] * B[i];
    __syncthreads(); // products
    if (local_i == 0) {
        float res = 0.0;
        for (int i = 0; i < size; i++) {
            res = res + sharedMem[i];
        }
        C[0] = res;
    }
}

__global__ void Conv1D(float* A, float* B, float* C, int a_size, int b_size) {
    __shared__ float a[TPB + MAX_CONV];
    __shared__ float b[MAX_CONV];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    if (i < a_size) a[local_i] = A[i];
    if (local_i < b_size) b[local_i] = B[local_i];
    else {
        int local_j = local_i - b_size;
        if (i - b_size + TPB < a_size && local_j < b_size) {
            a[TPB + local_j] = A[i - b_size + TPB];
        }
    }
    __syncthreads(); // halo
    float acc = 0;
    for (int k = 0; k < b_size; k++) {
        if (i + k < a_size) acc += a[local_i + k] * b[k];
    }
    if (i < a_size) C[i] = acc;
}

__global__ void PrefixSum(float* A, float* C, int size) {
    extern __shared__ float cache[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    cache[local_i] = i < size ? A[i] : 0;
    __syncthreads();
    for (int p = 1; p < blockDim.x; p <<= 1) {
        if (local_i % (2 * p) == 0) {
            cache[local_i] += cache[local_i + p];
        }
        __syncthreads(); // p
    }
    if (local_i == 0) C[blockIdx.x] = cache[0];
}

__global__ void AxisSum(float* A, float* C, int size) {
    __shared__ float cache[TPB];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int local_i = threadIdx.x;
    int batch = blockIdx.y;
    cache[local_i] = i < size ? A[batch * size + i] : 0.f;
    __syncthreads(); // axis
    for (int k = 0; (1 << k) < TPB; k++) {
        int p = 1 << k;
        if (local_i % (p * 2) == 0 && local_i + p < TPB) cache[local_i] += cache[local_i + p];
        __syncthreads();
    }
    if (!local_i) C[batch] = *cache;
}

__global__ void Matmul(float* A, float* B, float* C, int size) {
    __shared__ float a_shared[TPB][TPB];
    __shared__ float b_shared[TPB][TPB];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int j = blockIdx.y * blockDim.y + threadIdx.y;
    int local_i = threadIdx.x;
    int local_j = threadIdx.y;
    float acc = 0;
    for (int k = 0; k < size; k += TPB) {
        if (j < size && k + local_i < size) a_shared[local_j][local_i] = A[j * size + (k + local_i)];
        if (i < size && k + local_j < size) b_shared[local_j][local_i] = B[i + (k + local_j) * size];
        __syncthreads(); // both tiles
        for (int local_k = 0; local_k < min(TPB, size - k); local_k++) {
            if (i < size && j < size) acc += a_shared[local_j][local_k] * b_shared[local_k][local_i];
        }
        __syncthreads(); // next tiles
    }
    if (i < size && j < size) C[j * size + i] = acc;
}

// an introduction's first programs
__global__ void saxpy(int n, float a, float *x, float *y) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        y[i] = a * x[i] + y[i];
}

__global__ void staticReverse(int *d, int n) {
    __shared__ int s[64];
    int t = threadIdx.x;
    int tr = n - t - 1;
    s[t] = d[t];
    __syncthreads(); // reversed
    d[t] = s[tr];
}

__global__ void dynamicReverse(int *d, int n) {
    extern __shared__ int s[];
    int t = threadIdx.x;
    int tr = n - t - 1;
    s[t] = d[t];
    __syncthreads();
    d[t] = s[tr];
}

#define N_TOTAL (33 * 1024)
const int threadsPerBlock = 256;
__global__ void dot(float *a, float *b, float *c) {
    __shared__ float cache[threadsPerBlock];
    int tid = threadIdx.x + blockIdx.x * blockDim.x;
    int cacheIndex = threadIdx.x;

    float temp = 0;
    while (tid < N_TOTAL / 16) {
        temp += a[tid] * b[tid];
        tid += blockDim.x * gridDim.x;
    }

    // set the cache values
    cache[cacheIndex] = temp;

    // synchronize threads in this block
    __syncthreads();

    // for reductions, threadsPerBlock must be a power of 2
    // because of the following code
    int i = blockDim.x / 2;
    while (i != 0) {
        if (cacheIndex < i)
            cache[cacheIndex] += cache[cacheIndex + i];
        __syncthreads(); // outside of the if
        i /= 2;
    }

    if (cacheIndex == 0)
        c[blockIdx.x] = cache[0];
}

struct cuComplex {
    float r;
    float i;
    __device__ cuComplex(float a, float b) : r(a), i(b) {}
    __device__ float magnitude2(void) {
        return r * r + i * i;
    }
    __device__ cuComplex operator*(const cuComplex& a) {
        return cuComplex(r * a.r - i * a.i, i * a.r + r * a.i);
    }
    __device__ cuComplex operator+(const cuComplex& a) {
        return cuComplex(r + a.r, i + a.i);
    }
};

#define DIM 32
__device__ int julia(int x, int y) {
    const float scale = 1.5;
    float jx = scale * (float)(DIM / 2 - x) / (DIM / 2);
    float jy = scale * (float)(DIM / 2 - y) / (DIM / 2);

    cuComplex c(-0.8, 0.156);
    cuComplex a(jx, jy);

    int i = 0;
    for (i = 0; i < 50; i++) {
        a = a * a + c;
        if (a.magnitude2() > 1000)
            return 0;
    }

    return 1;
}

__global__ void julia_kernel(unsigned char *ptr) {
    // map from blockIdx to pixel position
    int x = blockIdx.x;
    int y = blockIdx.y;
    int offset = x + y * gridDim.x;

    // now calculate the value at that position
    int juliaValue = julia(x, y);
    ptr[offset * 4 + 0] = 255 * juliaValue;
    ptr[offset * 4 + 1] = 0;
    ptr[offset * 4 + 2] = 0;
    ptr[offset * 4 + 3] = 255;
}

__global__ void rgb_to_gray(uchar3 *in, unsigned char *out, int width, int height) {
    const int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (col < width && row < height) {
        uchar3 px = in[row * width + col];
        out[row * width + col] = 0.21f * px.x + 0.71f * px.y + 0.07f * px.z;
    }
}
