#include <cuda_runtime.h>
#include <math.h>
#include <float.h>
#include <cooperative_groups.h>

using namespace cooperative_groups;

#define SOFTENING 1e-9f
#define BLOCK_SIZE 64

typedef struct { float x, y, z, vx, vy, vz; } Body;
typedef struct { float4 *pos, *vel; } BodySystem;

// n-body, array of structures
__global__ void bodyForce(Body *p, float dt, int n) {
  int i = blockDim.x * blockIdx.x + threadIdx.x;
  if (i < n) {
    float Fx = 0.0f; float Fy = 0.0f; float Fz = 0.0f;

    for (int j = 0; j < n; j++) {
      float dx = p[j].x - p[i].x;
      float dy = p[j].y - p[i].y;
      float dz = p[j].z - p[i].z;
      float distSqr = dx*dx + dy*dy + dz*dz + SOFTENING;
      float invDist = rsqrtf(distSqr);
      float invDist3 = invDist * invDist * invDist;

      Fx += dx * invDist3; Fy += dy * invDist3; Fz += dz * invDist3;
    }

    p[i].vx += dt*Fx; p[i].vy += dt*Fy; p[i].vz += dt*Fz;
  }
}

// tiles of positions
__device__ float3 bodyBodyInteraction(float3 ai, float4 bi, float4 bj) {
  float3 r;
  r.x = bj.x - bi.x;
  r.y = bj.y - bi.y;
  r.z = bj.z - bi.z;
  float distSqr = r.x * r.x + r.y * r.y + r.z * r.z;
  distSqr += SOFTENING;
  float invDist = rsqrtf(distSqr);
  float invDistCube = invDist * invDist * invDist;
  float s = bj.w * invDistCube;
  ai.x += r.x * s;
  ai.y += r.y * s;
  ai.z += r.z * s;
  return ai;
}

__global__ void bodyForceTiled(BodySystem sys, float dt, int n) {
  thread_block cta = this_thread_block();
  extern __shared__ float4 sharedPos[];
  int i = blockDim.x * blockIdx.x + threadIdx.x;
  float4 bodyPos = i < n ? sys.pos[i] : make_float4(0, 0, 0, 0);
  float3 acc = {0.0f, 0.0f, 0.0f};
  for (int tile = 0; tile < gridDim.x; tile++) {
    int j = tile * blockDim.x + threadIdx.x;
    sharedPos[threadIdx.x] = j < n ? sys.pos[j] : float4{0.f, 0.f, 0.f, 0.f};
    sync(cta);
#pragma unroll 32
    for (unsigned int counter = 0; counter < blockDim.x; counter++) {
      acc = bodyBodyInteraction(acc, bodyPos, sharedPos[counter]);
    }
    sync(cta); // positions were used
  }
  if (i < n) {
    float4 v = sys.vel[i];
    v.x += acc.x * dt;
    v.y += acc.y * dt;
    v.z += acc.z * dt;
    sys.vel[i] = v;
  }
}

// Mandelbrot, double, 2D grid-stride
__global__ void mandelbrot(uchar4 *dst, const int imageW, const int imageH, const int crunch, const double xOff,
                           const double yOff, const double scale) {
  for (int iy = blockIdx.y * blockDim.y + threadIdx.y; iy < imageH; iy += gridDim.y * blockDim.y)
    for (int ix = blockIdx.x * blockDim.x + threadIdx.x; ix < imageW; ix += gridDim.x * blockDim.x) {
      const double x0 = (double)ix * scale + xOff, y0 = (double)iy * scale + yOff;
      double x = 0, y = 0, xx = 0, yy = 0;
      int i = crunch;
      while (i-- && (xx + yy < 4.0)) {
        y = x * y * 2.0 + y0;
        x = xx - yy + x0;
        yy = y * y;
        xx = x * x;
      }
      const int m = i + 1;
      uchar4 color;
      color.x = (unsigned char)(m * 3);
      color.y = m * 5;
      color.z = m * 7;
      color.w = 0;
      dst[imageW * iy + ix] = color;
    }
}

// Game of life on a torus, bytes
__global__ void life(const unsigned char *__restrict__ lifeData, const uint worldWidth, const uint worldHeight,
                     unsigned char *resultLifeData) {
  uint worldSize = worldWidth * worldHeight;

  for (uint cellId = __umul24(blockIdx.x, blockDim.x) + threadIdx.x; cellId < worldSize;
       cellId += blockDim.x * gridDim.x) {
    uint x = cellId % worldWidth;
    uint yAbs = cellId - x;
    uint xLeft = (x + worldWidth - 1) % worldWidth;
    uint xRight = (x + 1) % worldWidth;
    uint yAbsUp = (yAbs + worldSize - worldWidth) % worldSize;
    uint yAbsDown = (yAbs + worldWidth) % worldSize;

    uint aliveCells = lifeData[xLeft + yAbsUp] + lifeData[x + yAbsUp] + lifeData[xRight + yAbsUp] +
                      lifeData[xLeft + yAbs] + lifeData[xRight + yAbs] + lifeData[xLeft + yAbsDown] +
                      lifeData[x + yAbsDown] + lifeData[xRight + yAbsDown];

    resultLifeData[x + yAbs] = aliveCells == 3 || (aliveCells == 2 && lifeData[x + yAbs]) ? 1 : 0;
  }
}

// k-means: assign, then update with atomics
struct Points { const float *x, *y; int size; };

__device__ float squared_l2_distance(float x_1, float y_1, float x_2, float y_2) {
  return (x_1 - x_2) * (x_1 - x_2) + (y_1 - y_2) * (y_1 - y_2);
}

__global__ void assign_clusters(const Points data, const float *__restrict__ means_x, const float *__restrict__ means_y,
                                float *new_sums_x, float *new_sums_y, const int k, int *counts) {
  extern __shared__ float shared_means[];
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  // Let the first k threads copy over the cluster means.
  if (threadIdx.x < k) {
    shared_means[threadIdx.x] = means_x[threadIdx.x];
    shared_means[k + threadIdx.x] = means_y[threadIdx.x];
  }
  // Wait for those k threads.
  __syncthreads();
  if (index >= data.size) return;

  const float x = data.x[index];
  const float y = data.y[index];
  float best_distance = FLT_MAX;
  int best_cluster = -1;
  for (int cluster = 0; cluster < k; ++cluster) {
    const float distance = squared_l2_distance(x, y, shared_means[cluster], shared_means[k + cluster]);
    if (distance < best_distance) {
      best_distance = distance;
      best_cluster = cluster;
    }
  }
  atomicAdd(&new_sums_x[best_cluster], x);
  atomicAdd(&new_sums_y[best_cluster], y);
  atomicAdd(&counts[best_cluster], 1);
}

__global__ void compute_new_means(float *means_x, float *means_y, const float *new_sum_x, const float *new_sum_y, const int *counts) {
  const int cluster = threadIdx.x;
  // Threshold count to turn 0/0 into 0/1.
  const int count = max(1, counts[cluster]);
  means_x[cluster] = new_sum_x[cluster] / count;
  means_y[cluster] = new_sum_y[cluster] / count;
}

// Black-Scholes
__device__ inline float cndGPU(float d) {
  const float A1 = 0.31938153f;
  const float A2 = -0.356563782f;
  const float A3 = 1.781477937f;
  const float A4 = -1.821255978f;
  const float A5 = 1.330274429f;
  const float RSQRT2PI = 0.39894228040143267793994605993438f;

  float K = __fdividef(1.0f, (1.0f + 0.2316419f * fabsf(d)));

  float cnd = RSQRT2PI * __expf(-0.5f * d * d) * (K * (A1 + K * (A2 + K * (A3 + K * (A4 + K * A5)))));

  if (d > 0) cnd = 1.0f - cnd;

  return cnd;
}

__device__ inline void BlackScholesBodyGPU(float &CallResult, float &PutResult, float S, // Stock price
                                           float X,                                      // Option strike
                                           float T,                                      // Option years
                                           float R,                                      // Riskless rate
                                           float V                                       // Volatility rate
) {
  float sqrtT, expRT;
  float d1, d2, CNDD1, CNDD2;

  sqrtT = __fdividef(1.0F, rsqrtf(T));
  d1 = __fdividef(__logf(S / X) + (R + 0.5f * V * V) * T, V * sqrtT);
  d2 = d1 - V * sqrtT;

  CNDD1 = cndGPU(d1);
  CNDD2 = cndGPU(d2);

  // Calculate Call and Put simultaneously
  expRT = __expf(-R * T);
  CallResult = S * CNDD1 - X * expRT * CNDD2;
  PutResult = X * expRT * (1.0f - CNDD2) - S * (1.0f - CNDD1);
}

__launch_bounds__(128) __global__
    void BlackScholesGPU(float2 *__restrict d_CallResult, float2 *__restrict d_PutResult, float2 *__restrict d_StockPrice,
                         float2 *__restrict d_OptionStrike, float2 *__restrict d_OptionYears, float Riskfree,
                         float Volatility, int optN) {
  const int opt = blockDim.x * blockIdx.x + threadIdx.x;

  // Calculating 2 options per thread to increase ILP (instruction level parallelism)
  if (opt < (optN / 2)) {
    float callResult1, callResult2;
    float putResult1, putResult2;
    BlackScholesBodyGPU(callResult1, putResult1, d_StockPrice[opt].x, d_OptionStrike[opt].x, d_OptionYears[opt].x,
                        Riskfree, Volatility);
    BlackScholesBodyGPU(callResult2, putResult2, d_StockPrice[opt].y, d_OptionStrike[opt].y, d_OptionYears[opt].y,
                        Riskfree, Volatility);
    d_CallResult[opt] = make_float2(callResult1, callResult2);
    d_PutResult[opt] = make_float2(putResult1, putResult2);
  }
}

// naive string search; counts in a shared counter
__constant__ char pattern[32];

__global__ void count_matches(const char *text, int length, int m, int *positions, unsigned int *found) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i > length - m) return;
  int j = 0;
  for (; j < m; ++j) {
    char c = text[i + j];
    if (c != pattern[j]) break;
  }
  if (j == m) {
    unsigned at = atomicInc(found, 0xffffffff);
    positions[at] = i;
  }
}

// sieve with a bit per odd number
__global__ void sieve_bits(unsigned int *composite, unsigned long long limit) {
  const unsigned long long p = 2ull * (blockIdx.x * blockDim.x + threadIdx.x) + 3;
  if (p * p > limit) return;
  for (unsigned long long q = p * p; q <= limit; q += 2 * p) {
    const unsigned long long bit = (q - 3) / 2;
    atomicOr(&composite[bit >> 5], 1u << (bit & 31));
  }
}

// Jacobi with a grid barrier a sweep
extern "C" __global__ void jacobi(float *a, float *b, int n, int sweeps, float *residual) {
  grid_group grid = this_grid();
  for (int s = 0; s < sweeps; s++) {
    for (unsigned long long c = grid.thread_rank(); c < n * n; c += grid.num_threads()) {
      int i = c / n, j = c % n;
      if (i == 0 || j == 0 || i == n - 1 || j == n - 1) { b[c] = a[c]; continue; }
      b[c] = 0.25f * (a[c - 1] + a[c + 1] + a[c - n] + a[c + n]);
      if (s == sweeps - 1) atomicAdd(residual, fabsf(b[c] - a[c]));
    }
    grid.sync(); // sweep is done
    float *t = a; a = b; b = t;
  }
}

// Floyd-Warshall, one launch for each k
__global__ void floyd_warshall(int *dist, int n, int k) {
  const int i = blockIdx.y * blockDim.y + threadIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n || j >= n || i == k || j == k) return;
  const int through = dist[i * n + k] + dist[k * n + j];
  if (through < dist[i * n + j]) dist[i * n + j] = through;
}

// Monte Carlo with one's own generator
struct LCG {
  unsigned state;
  __host__ __device__ explicit LCG(unsigned seed) : state(seed ^ 2747636419u) {}
  __host__ __device__ unsigned next() {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
  }
  __host__ __device__ float uniform() { return next() * 2.3283064365386963e-10f; }
};

__global__ void monte_carlo_pi(unsigned long long *inside, int samples, unsigned seed) {
  LCG rng(seed + blockIdx.x * blockDim.x + threadIdx.x);
  unsigned hits = 0;
  for (int i = 0; i < samples; i++) {
    const float x = rng.uniform(), y = rng.uniform();
    hits += x * x + y * y <= 1.0f;
  }
  hits = __reduce_add_sync(__activemask(), hits);
  if (threadIdx.x % warpSize == 0) atomicAdd(inside, (unsigned long long)hits);
}

// filter with aggregated atomics
__device__ int atomicAggInc(int *ctr) {
  coalesced_group active = coalesced_threads();

  // leader does atomic addition
  int res = 0;
  if (active.thread_rank() == 0) res = atomicAdd(ctr, active.size());

  // broadcast result
  return active.shfl(res, 0) + active.thread_rank();
}

__global__ void filter_arr(int *dst, int *nres, const int *src, int n) {
  int id = threadIdx.x + blockIdx.x * blockDim.x;

  for (int i = id; i < n; i += gridDim.x * blockDim.x) {
    if (src[i] > 0) dst[atomicAggInc(nres)] = src[i];
  }
}

// the same by match and popc, one counter for each bucket
__device__ int atomicAggIncBucket(int *ctr, int bucket) {
  const unsigned peers = __match_any_sync(__activemask(), bucket);
  const int leader = __ffs(peers) - 1;
  const unsigned lane = threadIdx.x % 32;
  int base = 0;
  if (lane == leader) base = atomicAdd(&ctr[bucket], __popc(peers));
  base = __shfl_sync(peers, base, leader);
  return base + __popc(peers & ((1u << lane) - 1));
}

__global__ void bucket_counts(const int *x, int n, int buckets, int *ctr, int *rank) {
  int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < n) rank[i] = atomicAggIncBucket(ctr, x[i] % buckets);
}

// a spin lock per row
__global__ void locked_add(int *locks, int *rows, int width, const int *row_of, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int r = row_of[i];
  bool done = false;
  while (!done) {
    if (atomicCAS(&locks[r], 0, 1) == 0) {
      __threadfence();
      for (int c = 0; c < width; c++) ((volatile int *)rows)[r * width + c] += i;
      __threadfence();
      atomicExch(&locks[r], 0);
      done = true;
    }
  }
}

// producer and consumer by a flag between blocks
__device__ volatile int ready;
__device__ int mailbox[32];

__global__ void hand_over(int *out) {
  if (blockIdx.x == 0) {
    mailbox[threadIdx.x] = 3 * threadIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) ready = 1;
  } else {
    if (threadIdx.x == 0)
      while (!ready)
        ;
    __syncthreads();
    __threadfence();
    out[threadIdx.x] = mailbox[threadIdx.x];
  }
}
