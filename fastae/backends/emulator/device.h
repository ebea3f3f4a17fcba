// CUDA C++ as the C++ compiler of the CPU takes it: put before a .cu file. What stands behind it is in runtime.cpp.
#pragma once
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <cassert>
#include <cfloat>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __noinline__  // the C++ library's headers have it as an attribute
#define __forceinline__ inline
#define __grid_constant__
#define __maxnreg__(...)
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("cushared")))
#define UNSEEN __attribute__((no_sanitize("thread")))  // not the learner's code: its accesses are nobody's business
#define NOT_INLINED UNSEEN __attribute__((noinline))
#define CALLER __builtin_return_address(0)
#if defined(__SANITIZE_THREAD__)
#define SEEING 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEEING 1
#endif
#endif

#include "vectors.h"

#include "intrinsics.h"

#include "mathematics.h"

constexpr int warpSize = 32;

namespace emulator {
extern dim3 grid, block_size, block_index, *thread_index;
UNSEEN inline dim3 value_of(const dim3& index) { return index; }
void barrier(const void* where, int line);
void warp_barrier(unsigned mask, const void* where);
uint64_t exchange(unsigned mask, uint64_t value, unsigned lane, bool valid, const void* where);
unsigned lane();
void touch(const void* address, uint64_t size, bool reads, const void* where);
void access_whole(const void* address, uint64_t size, uint64_t alignment, bool is_write, const void* where);
[[noreturn]] void fail_assertion(const char* words, const void* where);
void fence();
void release(const void* address, uint64_t size, const void* where);
void acquire(const void* address, uint64_t size, const void* where);
void nap(const void* where);
void mma_tf32(float* sums, const float* a, const float* b, const void* where);
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with);

// What Python asks of a parameter: is it a pointer, and of what it points to or is, kind and bytes. The kind of numbers,
// of which a vector has several, is NumPy's letter; 'c' is char, 'v' void, and 0 another thing.
struct Type {
  bool pointer;
  char kind;
  unsigned short element;
  unsigned size;
};
template <class T>
constexpr char kind_of() {
  if (std::is_same_v<T, bool>) return 'b';
  if (std::is_same_v<T, char>) return 'c';
  if (std::is_floating_point_v<T>) return 'f';
  if (std::is_integral_v<T> || std::is_enum_v<T>) return std::is_signed_v<T> ? 'i' : 'u';
  return 0;
}
template <class T>
constexpr Type type_of() {
  using P = std::remove_cv_t<std::remove_pointer_t<T>>;
  constexpr bool pointer = std::is_pointer_v<T>;
  if constexpr (std::is_void_v<P>) {
    return {pointer, 'v', 1, 1};
  } else if constexpr (is_vector<P>) {
    return {pointer, kind_of<decltype(P::x)>(), sizeof(P::x), sizeof(P)};
  } else {
    return {pointer, kind_of<P>(), static_cast<unsigned short>(kind_of<P>() ? sizeof(P) : 0), sizeof(P)};
  }
}

// What Python calls: a kernel with arguments, each given by its address.
template <auto kernel>
struct Entry;
template <class... P, void (*kernel)(P...)>
struct Entry<kernel> {
  template <size_t... I>
  UNSEEN static void call(void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_cv_t<P>*>(arguments[I])...);
  }
  UNSEEN static int run(const unsigned* size, bool waits, bool cooperative, void** arguments) {
    return launch(
        size, waits, cooperative,
        [](void* with) UNSEEN { call(static_cast<void**>(with), std::index_sequence_for<P...>()); }, arguments);
  }
  static constexpr Type types[] = {type_of<P>()..., Type{}};
};

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
// What mma.sync.m16n8k8 does with TF32; a kernel for both compilers calls it where __CUDA_ARCH__ is not defined.
NOT_INLINED inline void emulated_mma_tf32(float* sums, const float (&a)[4], const float (&b)[2]) {
  emulator::mma_tf32(sums, a, b, CALLER);
}
// Loads and stores that say how long a cache should keep what they move.
#ifdef SEEING
#define HINTED NOT_INLINED
#define SEE(is_write) emulator::access_whole(at, sizeof(T), alignof(T), is_write, CALLER)
#else
#define HINTED inline
#define SEE(is_write)
#endif
#define LOAD(name)           \
  template <class T>         \
  HINTED T name(const T* at) { \
    SEE(false);              \
    return *at;              \
  }
#define STORE(name)                                \
  template <class T>                               \
  HINTED void name(T* at, std::common_type_t<T> value) { \
    SEE(true);                                     \
    *at = value;                                   \
  }
LOAD(__ldg)
LOAD(__ldca)
LOAD(__ldcg)
LOAD(__ldcs)
LOAD(__ldlu)
LOAD(__ldcv)
STORE(__stwb)
STORE(__stcg)
STORE(__stcs)
STORE(__stwt)
#undef STORE
#undef LOAD
#undef SEE
#undef HINTED

[[noreturn]] NOT_INLINED inline void __trap() { emulator::fail_assertion("__trap()", CALLER); }
