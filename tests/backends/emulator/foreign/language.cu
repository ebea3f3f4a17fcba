#include <cassert>
#include <cstdint>
#include <cstdio>
#include <climits>
#include <type_traits>
#include <cuda_runtime.h>

#define CUDA_KERNEL_LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)
#define DIVUP(m, n) ((m) / (n) + ((m) % (n) > 0))

// several arrays in one piece of dynamic shared memory
extern "C" __global__ void packed_shared(const int *a, const float *b, const char *c, float *out, int n) {
  extern __shared__ int s[];
  int *integerData = s;                        // n ints
  float *floatData = (float *)&integerData[n]; // n floats
  char *charData = (char *)&floatData[n];      // n chars
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    integerData[i] = a[i];
    floatData[i] = b[i];
    charData[i] = c[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    out[i] = integerData[n - 1 - i] * floatData[i] + charData[(i + 1) % n];
}

// functors as template parameters
struct Add { template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; } };
struct Mul { template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a * b; } };
template <typename T> struct Axpby {
  T alpha, beta;
  __host__ __device__ T operator()(T x, T y) const { return alpha * x + beta * y; }
};

template <typename Op, typename T, int kVec>
__global__ void binary_elementwise(Op op, const T *__restrict__ x, const T *__restrict__ y, T *__restrict__ z, int64_t n) {
  struct alignas(sizeof(T) * kVec) Pack { T v[kVec]; };
  const int64_t vecs = n / kVec;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < vecs; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const Pack a = reinterpret_cast<const Pack *>(x)[i], b = reinterpret_cast<const Pack *>(y)[i];
    Pack c;
#pragma unroll
    for (int j = 0; j < kVec; ++j) c.v[j] = op(a.v[j], b.v[j]);
    reinterpret_cast<Pack *>(z)[i] = c;
  }
  if (blockIdx.x == 0)
    for (int64_t i = vecs * kVec + threadIdx.x; i < n; i += blockDim.x) z[i] = op(x[i], y[i]);
}

// a function pointer in a device variable
typedef float (*unary_t)(float);
__device__ float square(float x) { return x * x; }
__device__ float halve(float x) { return x / 2; }
__device__ unary_t table[2] = {square, halve};

__global__ void through_pointers(const float *x, float *y, const int *which, int n) {
  CUDA_KERNEL_LOOP(i, n) { y[i] = table[which[i]](x[i]); }
}

// recursion
__device__ int ackermann(int m, int n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}
__device__ void quicksort(int *a, int lo, int hi) {
  if (lo >= hi) return;
  const int p = a[(lo + hi) / 2];
  int i = lo, j = hi;
  while (i <= j) {
    while (a[i] < p) ++i;
    while (a[j] > p) --j;
    if (i <= j) { int t = a[i]; a[i++] = a[j]; a[j--] = t; }
  }
  quicksort(a, lo, j);
  quicksort(a, i, hi);
}
__global__ void recursive(int *a, int rows, int cols, int *ack) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  quicksort(a + r * cols, 0, cols - 1);
  ack[r] = ackermann(2, r % 4);
}

// printf and assert
__global__ void hello(int n) {
  assert(n > 0 && "need a size");
  if (threadIdx.x < n)
    printf("Hello from block (%d,%d,%d), thread %u: %5.2f %s %c %llu\n", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
           threadIdx.x * 0.5, "ok", 'x', 1ull << 40);
}

// enums, unions, bit fields, a switch in a loop
enum class Op : uint8_t { Push, AddOp, MulOp, Neg, End };
struct Instr { Op op; int8_t arg; };
union Bits { float f; uint32_t u; struct { uint32_t mantissa : 23, exponent : 8, sign : 1; } parts; };

__global__ void interpreter(const Instr *program, const int length, int *results, Bits *bits) {
  int stack[16], top = 0;
  for (int pc = 0; pc < length; ++pc) {
    switch (program[pc].op) {
    case Op::Push: stack[top++] = program[pc].arg + (int)threadIdx.x; break;
    case Op::AddOp: --top; stack[top - 1] += stack[top]; break;
    case Op::MulOp: --top; stack[top - 1] *= stack[top]; break;
    case Op::Neg: stack[top - 1] = -stack[top - 1]; break;
    case Op::End: pc = length; break;
    }
  }
  results[threadIdx.x] = stack[0];
  Bits b;
  b.f = stack[0];
  b.parts.sign = 0;
  b.parts.exponent += 1;
  bits[threadIdx.x] = b;
}

// bit tricks
__device__ __constant__ const unsigned char bit_reverse_table[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
__global__ void morton(const uint2 *xy, uint *codes, uint *reversed, int n) {
  auto expand = [](uint v) -> uint {
    v = (v | (v << 8)) & 0x00FF00FFu;
    v = (v | (v << 4)) & 0x0F0F0F0Fu;
    v = (v | (v << 2)) & 0x33333333u;
    v = (v | (v << 1)) & 0x55555555u;
    return v;
  };
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    const uint code = expand(xy[i].x) | expand(xy[i].y) << 1;
    codes[i] = code;
    uint r = 0;
    for (int k = 0; k < 8; ++k) r = r << 4 | bit_reverse_table[code >> (4 * k) & 15];
    assert(r == __brev(code));
    reversed[i] = __byte_perm(r, code, 0x7610) ^ __popc(code) ^ __clz(code);
  }
}

// local arrays with dynamic indices
template <typename T, int N>
__device__ void insertion_sort(T (&v)[N]) {
  for (int i = 1; i < N; ++i) {
    T key = v[i];
    int j = i - 1;
    while (j >= 0 && v[j] > key) { v[j + 1] = v[j]; --j; }
    v[j + 1] = key;
  }
}
__global__ void median_filter(const uint8_t *__restrict__ in, uint8_t *__restrict__ out, int w, int h) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= w || y >= h) return;
  uint8_t window[9];
  int k = 0;
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx) {
      const int xx = min(max(x + dx, 0), w - 1), yy = min(max(y + dy, 0), h - 1);
      window[k++] = in[yy * w + xx];
    }
  insertion_sort(window);
  out[y * w + x] = window[4];
}

// three-dimensional blocks
__global__ void volume_index(int3 *out, dim3 extent) {
  const unsigned x = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned y = blockIdx.y * blockDim.y + threadIdx.y;
  const unsigned z = blockIdx.z * blockDim.z + threadIdx.z;
  if (x >= extent.x || y >= extent.y || z >= extent.z) return;
  out[x + extent.x * (y + extent.y * z)] = make_int3(x, y, z);
}

// unsigned loop downwards, 64-bit indices, early returns
__global__ void suffix_max(const float *x, float *y, size_t n, size_t stride) {
  const size_t row = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row * stride >= n) return;
  const size_t begin = row * stride, end = begin + stride < n ? begin + stride : n;
  float best = -INFINITY;
  for (size_t i = end; i-- > begin;) {
    best = fmaxf(best, x[i]);
    y[i] = best;
  }
}

// structs of arrays, nested namespaces, constexpr tables, static members
namespace fluid {
namespace detail {
template <typename T> struct Span { T *ptr; int size; __device__ T &operator[](int i) const { return ptr[i]; } };
constexpr int OPPOSITE[5] = {0, 2, 1, 4, 3};
struct D2Q5 {
  static constexpr int Q = 5;
  static constexpr float W[5] = {1.f / 3, 1.f / 6, 1.f / 6, 1.f / 6, 1.f / 6};
  __device__ static int cx(int q) { constexpr int c[5] = {0, 1, -1, 0, 0}; return c[q]; }
  __device__ static int cy(int q) { const int c[5] = {0, 0, 0, 1, -1}; return c[q]; }
};
} // namespace detail

struct Fields { detail::Span<float> f[detail::D2Q5::Q]; float *rho; };

__global__ void collide_and_stream(Fields src, Fields dst, int nx, int ny, float omega) {
  using L = detail::D2Q5;
  const int x = threadIdx.x + blockIdx.x * blockDim.x, y = blockIdx.y;
  if (x >= nx) return;
  const int at = y * nx + x;
  float rho = 0;
#pragma unroll
  for (int q = 0; q < L::Q; ++q) rho += src.f[q][at];
  src.rho[at] = rho;
  for (int q = 0; q < L::Q; ++q) {
    const float post = src.f[q][at] + omega * (L::W[q] * rho - src.f[q][at]);
    const int tx = x + L::cx(q), ty = y + L::cy(q);
    if (tx < 0 || ty < 0 || tx >= nx || ty >= ny) dst.f[detail::OPPOSITE[q]][at] = post;
    else dst.f[q][ty * nx + tx] = post;
  }
}
} // namespace fluid

// operators on float3, as in the samples' header
inline __host__ __device__ float3 operator+(float3 a, float3 b) { return make_float3(a.x + b.x, a.y + b.y, a.z + b.z); }
inline __host__ __device__ float3 operator*(float3 a, float b) { return make_float3(a.x * b, a.y * b, a.z * b); }
inline __host__ __device__ void operator+=(float3 &a, float3 b) { a.x += b.x; a.y += b.y; a.z += b.z; }
inline __host__ __device__ float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline __host__ __device__ float3 make_float3(float s) { return make_float3(s, s, s); }
inline __host__ __device__ float3 normalize(float3 v) { return v * rsqrtf(dot(v, v)); }
__host__ __device__ inline float clamp(float f, float a, float b) { return fmaxf(a, fminf(f, b)); }

class Sphere {
public:
  float3 center;
  float radius;
  __device__ bool hit(const float3 &origin, const float3 &dir, float &t) const {
    const float3 oc = origin + center * -1.0f;
    const float b = dot(oc, dir), c = dot(oc, oc) - radius * radius, disc = b * b - c;
    if (disc < 0) return false;
    t = -b - sqrtf(disc);
    return t > 1e-3f;
  }
};

__global__ void ray_cast(float3 *image, int w, int h, const Sphere *spheres, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= w || j >= h) return;
  const float3 dir = normalize(make_float3((i + 0.5f) / w * 2 - 1, (j + 0.5f) / h * 2 - 1, -1.0f));
  float closest = 1e30f;
  float3 color = make_float3(0.1f);
  for (int s = 0; s < count; ++s) {
    float t;
    if (spheres[s].hit(make_float3(0.0f), dir, t) && t < closest) {
      closest = t;
      color = make_float3(1.0f) * clamp(1.0f / t, 0.0f, 1.0f);
    }
  }
  color += make_float3(0.01f);
  image[j * w + i] = color;
}

// specialisation, if constexpr, fold expressions, variadic templates
template <typename T> struct Traits { static constexpr int kind = 0; };
template <> struct Traits<float> { static constexpr int kind = 1; };
template <> struct Traits<double> { static constexpr int kind = 2; };

template <typename... Ts> __device__ auto sum_all(Ts... xs) { return (xs + ... + 0); }

template <typename T, typename = std::enable_if_t<std::is_arithmetic<T>::value>>
__global__ void describe(T *out) {
  if constexpr (std::is_floating_point_v<T>) out[0] = sum_all(T(0.5), 1, 2.0f, Traits<T>::kind);
  else out[0] = sum_all(1, 2, 3, Traits<T>::kind);
}

// volatile shared, static shared inside a template function, bool arrays
template <int TAG> __device__ int *scratch() {
  __shared__ int memory[32];
  return memory;
}
__global__ void two_scratches(int *out) {
  volatile __shared__ int turn;
  __shared__ alignas(8) bool seen[32];
  const int t = threadIdx.x;
  scratch<0>()[t] = t;
  scratch<1>()[t] = 100 + t;
  seen[t] = t % 3 == 0;
  if (t == 0) turn = 7;
  __syncthreads();
  out[t] = scratch<0>()[31 - t] + scratch<1>()[31 - t] + seen[(t + 1) % 32] * 1000 + turn;
}
