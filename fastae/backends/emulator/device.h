// CUDA C++ as the C++ compiler of the CPU takes it: put before a .cu file. What stands behind it is in runtime.cpp.
#pragma once
#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
void barrier(const void* where, int line);
void warp_barrier(unsigned mask, const void* where);
uint64_t exchange(unsigned mask, uint64_t value, unsigned lane, bool valid, const void* where);
unsigned lane();
void touch(const void* address, uint64_t size, bool reads, const void* where);
void fence();
void release(const void* address, uint64_t size, const void* where);
void acquire(const void* address, uint64_t size, const void* where);
void nap(const void* where);
void mma_tf32(float* sums, const float* a, const float* b, const void* where);
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with);

template <class T>
T shuffle(unsigned mask, T value, unsigned lane, bool valid, const void* where) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "a warp exchanges values of at most 8 bytes");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, lane, valid, where);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}
}  // namespace emulator

#define threadIdx (emulator::value_of(*emulator::thread_index))
#define blockIdx (emulator::value_of(emulator::block_index))
#define blockDim (emulator::value_of(emulator::block_size))
#define gridDim (emulator::value_of(emulator::grid))

#define NOT_INLINED UNSEEN __attribute__((noinline))
// By its line two threads know that they wait at the same one: the compiler may make two calls of it.
NOT_INLINED inline void __syncthreads(int line = __builtin_LINE()) { emulator::barrier(CALLER, line); }
NOT_INLINED inline void __syncwarp(unsigned mask = ~0u) { emulator::warp_barrier(mask, CALLER); }
NOT_INLINED inline void __threadfence() { emulator::fence(); }
NOT_INLINED inline void __threadfence_block() {}  // of no use to other blocks
NOT_INLINED inline void __nanosleep(unsigned) { emulator::nap(CALLER); }
template <class T>
NOT_INLINED T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned l = emulator::lane(), from = l + by;
  return emulator::shuffle(mask, value, from, from / width == l / width, CALLER);
}
template <class T>
NOT_INLINED T __shfl_xor_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned l = emulator::lane(), from = l ^ by;
  return emulator::shuffle(mask, value, from, from / width == l / width, CALLER);
}
template <class T>
NOT_INLINED T __shfl_sync(unsigned mask, T value, unsigned from, int width = 32) {
  const unsigned l = emulator::lane();
  return emulator::shuffle(mask, value, l / width * width + from % width, true, CALLER);
}
// The second argument is converted to the type of the place, as by CUDA's own overloads. Threads run one at a time.
#define ATOMIC(name, reads, result)                                \
  template <class T>                                               \
  NOT_INLINED T name(T* at, std::common_type_t<T> value) {         \
    emulator::touch(at, sizeof(T), reads, CALLER);                 \
    const T old = *at;                                             \
    *at = result;                                                  \
    return old;                                                    \
  }
ATOMIC(atomicAdd, true, old + value)
ATOMIC(atomicSub, true, old - value)
ATOMIC(atomicMin, true, value < old ? value : old)
ATOMIC(atomicMax, true, value > old ? value : old)
ATOMIC(atomicAnd, true, old & value)
ATOMIC(atomicOr, true, old | value)
ATOMIC(atomicXor, true, old ^ value)
ATOMIC(atomicInc, true, old >= value ? 0 : old + 1)
ATOMIC(atomicDec, true, old == 0 || old > value ? value : old - 1)
ATOMIC(atomicExch, false, value)
#undef ATOMIC
template <class T>
NOT_INLINED T atomicCAS(T* at, std::common_type_t<T> expected, std::common_type_t<T> value) {
  emulator::touch(at, sizeof(T), true, CALLER);
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}
// What red.release and ld.acquire do, of the PTX ISA; as with mma, a kernel for both compilers calls them.
template <class T>
NOT_INLINED void emulated_add_release(T* at, T value) {
  emulator::release(at, sizeof(T), CALLER);
  *at += value;
}
template <class T>
NOT_INLINED T emulated_load_acquire(const T* at) {
  emulator::acquire(at, sizeof(T), CALLER);
  const T value = *at;
  emulator::nap(CALLER);  // whoever waits in a loop lets the others go on
  return value;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
// What mma.sync.m16n8k8 does with TF32; a kernel for both compilers calls it where __CUDA_ARCH__ is not defined.
NOT_INLINED inline void emulated_mma_tf32(float* sums, const float (&a)[4], const float (&b)[2]) {
  emulator::mma_tf32(sums, a, b, CALLER);
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
