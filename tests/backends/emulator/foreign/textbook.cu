// Chapters on histograms, scans, merge and sorting
#include <cuda.h>
#include <stdio.h>

#define NUM_BINS 7
#define SECTION_SIZE 256
#define BLOCK_DIM 128
#define COARSE_FACTOR 4

// fig. 9.6
__global__ void histo_kernel(char *data, unsigned int length, unsigned int *histo) {
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < length) {
        int alphabet_position = data[i] - 'a';
        if (alphabet_position >= 0 && alphabet_position < 26) {
            atomicAdd(&(histo[alphabet_position / 4]), 1);
        }
    }
}

// privatised in shared memory
__global__ void histo_private_kernel(char *data, unsigned int length, unsigned int *histo) {
    // Initialize privatized bins
    __shared__ unsigned int histo_s[NUM_BINS];
    for (unsigned int bin = threadIdx.x; bin < NUM_BINS; bin += blockDim.x) {
        histo_s[bin] = 0u;
    }
    __syncthreads(); // bins are zero
    // Histogram
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < length) {
        int alphabet_position = data[i] - 'a';
        if (alphabet_position >= 0 && alphabet_position < 26) {
            atomicAdd(&(histo_s[alphabet_position / 4]), 1);
        }
    }
    __syncthreads(); // bins are full
    // Commit to global memory
    for (unsigned int bin = threadIdx.x; bin < NUM_BINS; bin += blockDim.x) {
        unsigned int binValue = histo_s[bin];
        if (binValue > 0) {
            atomicAdd(&(histo[bin]), binValue);
        }
    }
}

// coarsened, interleaved, with aggregation of runs
__global__ void histo_aggregated_kernel(char *data, unsigned int length, unsigned int *histo) {
    __shared__ unsigned int histo_s[NUM_BINS];
    for (unsigned int bin = threadIdx.x; bin < NUM_BINS; bin += blockDim.x) {
        histo_s[bin] = 0u;
    }
    __syncthreads();
    unsigned int accumulator = 0;
    int prevBinIdx = -1;
    unsigned int tid = blockIdx.x * blockDim.x + threadIdx.x;
    for (unsigned int i = tid; i < length; i += blockDim.x * gridDim.x) {
        int alphabet_position = data[i] - 'a';
        if (alphabet_position >= 0 && alphabet_position < 26) {
            int bin = alphabet_position / 4;
            if (bin == prevBinIdx) {
                ++accumulator;
            } else {
                if (accumulator > 0) {
                    atomicAdd(&(histo_s[prevBinIdx]), accumulator);
                }
                accumulator = 1;
                prevBinIdx = bin;
            }
        }
    }
    if (accumulator > 0) {
        atomicAdd(&(histo_s[prevBinIdx]), accumulator);
    }
    __syncthreads();
    for (unsigned int bin = threadIdx.x; bin < NUM_BINS; bin += blockDim.x) {
        unsigned int binValue = histo_s[bin];
        if (binValue > 0) {
            atomicAdd(&(histo[bin]), binValue);
        }
    }
}

// Kogge-Stone with two barriers a step
__global__ void Kogge_Stone_scan_kernel(float *X, float *Y, unsigned int N) {
    __shared__ float XY[SECTION_SIZE];
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) {
        XY[threadIdx.x] = X[i];
    } else {
        XY[threadIdx.x] = 0.0f;
    }
    for (unsigned int stride = 1; stride < blockDim.x; stride *= 2) {
        __syncthreads(); // before the read
        float temp;
        if (threadIdx.x >= stride)
            temp = XY[threadIdx.x] + XY[threadIdx.x - stride];
        __syncthreads(); // before the write
        if (threadIdx.x >= stride)
            XY[threadIdx.x] = temp;
    }
    if (i < N) {
        Y[i] = XY[threadIdx.x];
    }
}

// double buffered Kogge-Stone
__global__ void Kogge_Stone_double_buffer(const float *X, float *Y, unsigned int N) {
    __shared__ float buffer1_s[SECTION_SIZE];
    __shared__ float buffer2_s[SECTION_SIZE];
    float *inBuffer_s = buffer1_s;
    float *outBuffer_s = buffer2_s;
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    inBuffer_s[threadIdx.x] = (i < N) ? X[i] : 0.0f;
    __syncthreads();
    for (unsigned int stride = 1; stride <= blockDim.x / 2; stride *= 2) {
        if (threadIdx.x >= stride) {
            outBuffer_s[threadIdx.x] = inBuffer_s[threadIdx.x] + inBuffer_s[threadIdx.x - stride];
        } else {
            outBuffer_s[threadIdx.x] = inBuffer_s[threadIdx.x];
        }
        __syncthreads(); // swap
        float *tmp = inBuffer_s;
        inBuffer_s = outBuffer_s;
        outBuffer_s = tmp;
    }
    if (i < N) Y[i] = inBuffer_s[threadIdx.x];
}

__global__ void Brent_Kung_scan_kernel(float *X, float *Y, unsigned int N) {
    __shared__ float XY[SECTION_SIZE];
    unsigned int i = 2 * blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) XY[threadIdx.x] = X[i];
    else XY[threadIdx.x] = 0;
    if (i + blockDim.x < N) XY[threadIdx.x + blockDim.x] = X[i + blockDim.x];
    else XY[threadIdx.x + blockDim.x] = 0;
    for (unsigned int stride = 1; stride <= blockDim.x; stride *= 2) {
        __syncthreads(); // up
        unsigned int index = (threadIdx.x + 1) * 2 * stride - 1;
        if (index < SECTION_SIZE) {
            XY[index] += XY[index - stride];
        }
    }
    for (int stride = SECTION_SIZE / 4; stride > 0; stride /= 2) {
        __syncthreads(); // down
        unsigned int index = (threadIdx.x + 1) * stride * 2 - 1;
        if (index + stride < SECTION_SIZE) {
            XY[index + stride] += XY[index];
        }
    }
    __syncthreads();
    if (i < N) Y[i] = XY[threadIdx.x];
    if (i + blockDim.x < N) Y[i + blockDim.x] = XY[threadIdx.x + blockDim.x];
}

// one pass over many blocks: every block adds what the one before it has published
__device__ int flags[64];
__device__ float scan_value[64];
__device__ unsigned int blockCounter = 0;

__global__ void stream_scan_kernel(const float *X, float *Y, unsigned int N) {
    __shared__ unsigned int bid_s;
    __shared__ float XY[BLOCK_DIM];
    __shared__ float previous_sum;
    if (threadIdx.x == 0) {
        bid_s = atomicAdd(&blockCounter, 1);
    }
    __syncthreads(); // dynamic block index
    const unsigned int bid = bid_s;
    const unsigned int i = bid * blockDim.x + threadIdx.x;
    XY[threadIdx.x] = i < N ? X[i] : 0.f;
    for (unsigned int stride = 1; stride < blockDim.x; stride <<= 1) {
        __syncthreads();
        float temp = 0.f;
        if (threadIdx.x >= stride) temp = XY[threadIdx.x - stride];
        __syncthreads();
        XY[threadIdx.x] += temp;
    }
    const float local_sum = XY[threadIdx.x];
    if (threadIdx.x == blockDim.x - 1) {
        // Wait for previous flag
        float sum = 0.f;
        if (bid > 0) {
            while (atomicAdd(&flags[bid - 1], 0) == 0) {}
            // Read previous partial sum
            __threadfence();
            sum = scan_value[bid - 1];
        }
        previous_sum = sum;
        // Propagate partial sum
        scan_value[bid] = sum + local_sum;
        // Memory fence
        __threadfence(); // published
        // Set flag
        atomicAdd(&flags[bid], 1);
    }
    __syncthreads();
    if (i < N) Y[i] = local_sum + previous_sum;
}

// decoupled look-back with a status word
enum Status : unsigned int { EMPTY = 0, AGGREGATE = 1, PREFIX = 2 };
struct __align__(8) TileState { unsigned int status; int value; };
union StateWord {
    TileState state;
    unsigned long long word;
};
__device__ unsigned int next_tile;

__device__ __forceinline__ void publish(volatile unsigned long long *at, Status status, int value) {
    StateWord w;
    w.state.status = status;
    w.state.value = value;
    *at = w.word;
}

template <int THREADS, int ITEMS>
__global__ void lookback_scan(const int *in, int *out, int n, volatile unsigned long long *tiles) {
    __shared__ int warp_sums[THREADS / 32];
    __shared__ int exclusive_prefix;
    __shared__ unsigned int tile_s;
    if (threadIdx.x == 0) tile_s = atomicAdd(&next_tile, 1u);
    __syncthreads();
    const int tile = tile_s;
    const int base = (tile * THREADS + threadIdx.x) * ITEMS;
    int items[ITEMS];
    int sum = 0;
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) {
        items[j] = base + j < n ? in[base + j] : 0;
        sum += items[j];
    }
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int inclusive = sum;
    for (int d = 1; d < 32; d <<= 1) {
        const int up = __shfl_up_sync(0xffffffff, inclusive, d);
        if (lane >= d) inclusive += up;
    }
    if (lane == 31) warp_sums[warp] = inclusive;
    __syncthreads();
    int before = 0, aggregate = 0;
    for (int w = 0; w < THREADS / 32; ++w) {
        if (w < warp) before += warp_sums[w];
        aggregate += warp_sums[w];
    }
    if (threadIdx.x == 0) {
        int prefix = 0;
        if (tile > 0) {
            publish(&tiles[tile], AGGREGATE, aggregate);
            for (int look = tile - 1; look >= 0;) {
                StateWord w;
                w.word = tiles[look];
                if (w.state.status == EMPTY) continue;
                prefix += w.state.value;
                if (w.state.status == PREFIX) break;
                --look;
            }
        }
        publish(&tiles[tile], PREFIX, prefix + aggregate);
        exclusive_prefix = prefix;
    }
    __syncthreads();
    int running = exclusive_prefix + before + inclusive - sum;
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) {
        running += items[j];
        if (base + j < n) out[base + j] = running;
    }
}

// merge: co-ranks, then a tile of both in shared memory
__host__ __device__ int co_rank(int k, int *A, int m, int *B, int n) {
    int i = k < m ? k : m; // i = min(k,m)
    int j = k - i;
    int i_low = 0 > (k - n) ? 0 : k - n; // i_low = max(0,k-n)
    int j_low = 0 > (k - m) ? 0 : k - m; // i_low = max(0,k-m)
    int delta;
    bool active = true;
    while (active) {
        if (i > 0 && j < n && A[i - 1] > B[j]) {
            delta = ((i - i_low + 1) >> 1); // ceil(i-i_low)/2)
            j_low = j;
            j = j + delta;
            i = i - delta;
        } else if (j > 0 && i < m && B[j - 1] >= A[i]) {
            delta = ((j - j_low + 1) >> 1);
            i_low = i;
            i = i + delta;
            j = j - delta;
        } else {
            active = false;
        }
    }
    return i;
}

__host__ __device__ void merge_sequential(int *A, int m, int *B, int n, int *C) {
    int i = 0, j = 0, k = 0;
    while ((i < m) && (j < n)) {
        if (A[i] <= B[j]) {
            C[k++] = A[i++];
        } else {
            C[k++] = B[j++];
        }
    }
    if (i == m) {
        while (j < n) C[k++] = B[j++];
    } else {
        while (i < m) C[k++] = A[i++];
    }
}

__global__ void merge_basic_kernel(int *A, int m, int *B, int n, int *C) {
    int tid = blockIdx.x * blockDim.x + threadIdx.x;
    int elementsPerThread = ceil((m + n) / (float)(blockDim.x * gridDim.x));
    int k_curr = min(tid * elementsPerThread, m + n);
    int k_next = min((tid + 1) * elementsPerThread, m + n);
    int i_curr = co_rank(k_curr, A, m, B, n);
    int i_next = co_rank(k_next, A, m, B, n);
    int j_curr = k_curr - i_curr;
    int j_next = k_next - i_next;
    merge_sequential(&A[i_curr], i_next - i_curr, &B[j_curr], j_next - j_curr, &C[k_curr]);
}

__global__ void merge_tiled_kernel(int *A, int m, int *B, int n, int *C, int tile_size) {
    extern __shared__ int shareAB[];
    int *A_S = &shareAB[0];
    int *B_S = &shareAB[tile_size];
    int C_curr = blockIdx.x * ceil((m + n) / (float)gridDim.x);
    int C_next = min((blockIdx.x + 1) * int(ceil((m + n) / (float)gridDim.x)), (m + n));
    if (threadIdx.x == 0) {
        A_S[0] = co_rank(C_curr, A, m, B, n);
        A_S[1] = co_rank(C_next, A, m, B, n);
    }
    __syncthreads(); // bounds of the block
    int A_curr = A_S[0];
    int A_next = A_S[1];
    int B_curr = C_curr - A_curr;
    int B_next = C_next - A_next;
    __syncthreads(); // bounds were read
    int counter = 0;
    int C_length = C_next - C_curr;
    int A_length = A_next - A_curr;
    int B_length = B_next - B_curr;
    int total_iteration = ceil((C_length) / (float)tile_size);
    int C_completed = 0;
    int A_consumed = 0;
    int B_consumed = 0;
    while (counter < total_iteration) {
        for (int i = 0; i < tile_size; i += blockDim.x) {
            if (i + threadIdx.x < A_length - A_consumed) {
                A_S[i + threadIdx.x] = A[A_curr + A_consumed + i + threadIdx.x];
            }
        }
        for (int i = 0; i < tile_size; i += blockDim.x) {
            if (i + threadIdx.x < B_length - B_consumed) {
                B_S[i + threadIdx.x] = B[B_curr + B_consumed + i + threadIdx.x];
            }
        }
        __syncthreads(); // tiles loaded
        int per_thread = tile_size / blockDim.x;
        int c_curr = threadIdx.x * per_thread;
        int c_next = (threadIdx.x + 1) * per_thread;
        c_curr = (c_curr <= C_length - C_completed) ? c_curr : C_length - C_completed;
        c_next = (c_next <= C_length - C_completed) ? c_next : C_length - C_completed;
        int a_curr = co_rank(c_curr, A_S, min(tile_size, A_length - A_consumed), B_S, min(tile_size, B_length - B_consumed));
        int b_curr = c_curr - a_curr;
        int a_next = co_rank(c_next, A_S, min(tile_size, A_length - A_consumed), B_S, min(tile_size, B_length - B_consumed));
        int b_next = c_next - a_next;
        merge_sequential(A_S + a_curr, a_next - a_curr, B_S + b_curr, b_next - b_curr, C + C_curr + C_completed + c_curr);
        counter++;
        C_completed += tile_size;
        A_consumed += co_rank(min(tile_size, C_length - C_completed + tile_size), A_S, min(tile_size, A_length - A_consumed), B_S, min(tile_size, B_length - B_consumed));
        B_consumed = C_completed - A_consumed;
        __syncthreads(); // tiles consumed
    }
}

// one iteration of a radix sort within a block, ranks by ballots
__global__ void radix_sort_block(unsigned int *keys, unsigned int *sorted, int n) {
    __shared__ unsigned int k_s[BLOCK_DIM];
    __shared__ unsigned int ones_before[BLOCK_DIM / 32 + 1];
    const int t = threadIdx.x, lane = t % 32, warp = t / 32;
    unsigned int key = t < n ? keys[t] : 0xffffffffu;
    for (unsigned int iter = 0; iter < 32; ++iter) {
        const unsigned int bit = (key >> iter) & 1;
        const unsigned int ballot = __ballot_sync(0xffffffff, bit);
        if (lane == 0) ones_before[warp] = __popc(ballot);
        __syncthreads(); // counts of warps
        if (t == 0) {
            unsigned int sum = 0;
            for (int w = 0; w <= BLOCK_DIM / 32; ++w) {
                const unsigned int c = w < BLOCK_DIM / 32 ? ones_before[w] : 0;
                ones_before[w] = sum;
                sum += c;
            }
        }
        __syncthreads(); // scanned
        const unsigned int numOnesBefore = ones_before[warp] + __popc(ballot & ((1u << lane) - 1));
        const unsigned int numOnesTotal = ones_before[BLOCK_DIM / 32];
        const unsigned int dst = (bit == 0) ? (t - numOnesBefore) : (BLOCK_DIM - numOnesTotal + numOnesBefore);
        k_s[dst] = key;
        __syncthreads(); // scattered
        key = k_s[t];
    }
    if (t < n) sorted[t] = key;
}

// counting sort, per digit, global counters
template <int RADIX_BITS>
__global__ void digit_histogram(const unsigned *keys, int n, int shift, unsigned *counts /* [digits][blocks] */) {
    constexpr int DIGITS = 1 << RADIX_BITS;
    __shared__ unsigned local[DIGITS];
    for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) local[d] = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(local + ((keys[i] >> shift) & (DIGITS - 1)), 1u);
    __syncthreads();
    for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) counts[d * gridDim.x + blockIdx.x] = local[d];
}

// bitonic sort in shared memory
typedef unsigned int uint;

__device__ inline void Comparator(uint &keyA, uint &valA, uint &keyB, uint &valB, uint dir) {
    uint t;
    if ((keyA > keyB) == dir) {
        t = keyA;
        keyA = keyB;
        keyB = t;
        t = valA;
        valA = valB;
        valB = t;
    }
}

#define SHARED_SIZE_LIMIT 256U

__global__ void bitonicSortShared(uint *d_DstKey, uint *d_DstVal, uint *d_SrcKey, uint *d_SrcVal,
                                  uint arrayLength, uint dir) {
    // Shared memory storage for one or more short vectors
    __shared__ uint s_key[SHARED_SIZE_LIMIT];
    __shared__ uint s_val[SHARED_SIZE_LIMIT];

    // Offset to the beginning of subbatch and load data
    d_SrcKey += blockIdx.x * SHARED_SIZE_LIMIT + threadIdx.x;
    d_SrcVal += blockIdx.x * SHARED_SIZE_LIMIT + threadIdx.x;
    d_DstKey += blockIdx.x * SHARED_SIZE_LIMIT + threadIdx.x;
    d_DstVal += blockIdx.x * SHARED_SIZE_LIMIT + threadIdx.x;
    s_key[threadIdx.x + 0] = d_SrcKey[0];
    s_val[threadIdx.x + 0] = d_SrcVal[0];
    s_key[threadIdx.x + (SHARED_SIZE_LIMIT / 2)] = d_SrcKey[(SHARED_SIZE_LIMIT / 2)];
    s_val[threadIdx.x + (SHARED_SIZE_LIMIT / 2)] = d_SrcVal[(SHARED_SIZE_LIMIT / 2)];

    for (uint size = 2; size < arrayLength; size <<= 1) {
        // Bitonic merge
        uint ddd = dir ^ ((threadIdx.x & (size / 2)) != 0);

        for (uint stride = size / 2; stride > 0; stride >>= 1) {
            __syncthreads();
            uint pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
            Comparator(s_key[pos + 0], s_val[pos + 0], s_key[pos + stride], s_val[pos + stride], ddd);
        }
    }

    // ddd == dir for the last bitonic merge step
    {
        for (uint stride = arrayLength / 2; stride > 0; stride >>= 1) {
            __syncthreads(); // bitonic step
            uint pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
            Comparator(s_key[pos + 0], s_val[pos + 0], s_key[pos + stride], s_val[pos + stride], dir);
        }
    }

    __syncthreads();
    d_DstKey[0] = s_key[threadIdx.x + 0];
    d_DstVal[0] = s_val[threadIdx.x + 0];
    d_DstKey[(SHARED_SIZE_LIMIT / 2)] = s_key[threadIdx.x + (SHARED_SIZE_LIMIT / 2)];
    d_DstVal[(SHARED_SIZE_LIMIT / 2)] = s_val[threadIdx.x + (SHARED_SIZE_LIMIT / 2)];
}

// odd-even transposition sort, whole block in place in global memory
__global__ void oddeven(int *x, int n) {
    const int t = threadIdx.x;
    for (int phase = 0; phase < n; phase++) {
        int i = 2 * t + (phase & 1);
        if (i + 1 < n) {
            if (x[i] > x[i + 1]) { int y = x[i]; x[i] = x[i + 1]; x[i + 1] = y; }
        }
        __syncthreads(); // phase
    }
}
