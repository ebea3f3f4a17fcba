// CUDA C++ as the C++ compiler of the CPU takes it: put before a .cu file. What stands behind it is in runtime.cpp.
#pragma once
#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <limits>
#include <type_traits>
#include <utility>

using std::exp;
using std::log;
using std::max;
using std::min;
using std::tanh;

#define __global__
#define __device__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("cushared")))
#define UNSEEN __attribute__((no_sanitize("thread")))  // not the learner's code: its accesses are nobody's business
#define CALLER __builtin_return_address(0)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulator {
extern dim3 grid, block_size, block_index, *thread_index;
UNSEEN inline dim3 value_of(const dim3& index) { return index; }
int barrier(bool value, const void* where, int line);  // how many threads of the block had a true one
void grid_barrier(const void* where);
bool is_cooperative();
void touch(const void* address, uint64_t size, bool reads, int scope, const void* where);
void fence();
void release(const void* address, uint64_t size, const void* where);
void acquire(const void* address, uint64_t size, const void* where);
void nap(const void* where);
void mma_tf32(float* sums, const float* a, const float* b, const void* where);
// What `extern __shared__` stands for. A launch uses as much of it as it asked for; what lies around is nobody's.
struct Room {
  char before[64 << 10], shared[227 << 10], behind[64 << 10];
};
extern Room room __attribute__((visibility("hidden"), aligned(1024)));
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with);
}  // namespace emulator

#define threadIdx (emulator::value_of(*emulator::thread_index))
#define blockIdx (emulator::value_of(emulator::block_index))
#define blockDim (emulator::value_of(emulator::block_size))
#define gridDim (emulator::value_of(emulator::grid))

#define NOT_INLINED UNSEEN __attribute__((noinline))
#include "atomics.h"
#include "warps.h"

inline int __ffs(int bits) { return __builtin_ffs(bits); }
template <class T>
T __ldg(const T* at) {
  return *at;
}
