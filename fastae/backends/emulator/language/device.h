// CUDA C++ for the CPU's C++ compiler: put before a .cu file. The functions that it declares in `emulator` are in runtime/.
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
#include <ctime>
#include <limits>
#include <type_traits>
#include <utility>

#define __CUDACC__ 1  // __CUDA_ARCH__ stays undefined
#define __global__
#define __device__
#define __host__
#define __noinline__  // the C++ library's headers have it as an attribute
#define __constant__
#define __forceinline__ inline
#define __grid_constant__
#define __maxnreg__(...)
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __device_builtin__
#define __builtin_align__(n) __attribute__((aligned(n)))
// A section for each variable, since g++ does not mix those of inline functions with others in one; `gather_shared` makes one
// section of them. Aligned, since a GPU loads four floats from any array; used, so that unread variables count as well.
#define __shared__ static __attribute__((section("cushared" IN_QUOTES(__COUNTER__)), aligned(16), used))
#define IN_QUOTES(x) IN_QUOTES_AS_IT_IS(x)
#define IN_QUOTES_AS_IT_IS(x) #x
#define UNSEEN __attribute__((no_sanitize("thread")))  // the emulator's own code, whose accesses are not checked
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
extern dim3 grid, block_size, block_index, thread_index;
UNSEEN inline dim3 value_of(const dim3& index) { return index; }
int barrier(bool value, const void* where, int line);  // returns how many threads of the block had true
void grid_barrier(const void* where);
bool is_cooperative();
void touch(const void* address, uint64_t size, bool reads, int scope, const void* where);
void touch_to_read(const void* address, uint64_t size, int scope, const void* where);
void release_at(const void* address, int scope);
void acquire_at(const void* address);
void access(const void* address, uint64_t size, bool is_write, const void* where);
void access_whole(const void* address, uint64_t size, uint64_t alignment, bool is_write, const void* where);
[[noreturn]] void fail_assertion(const char* words, const void* where);
void fence(bool of_device);
void release(const void* address, uint64_t size, const void* where);
void acquire(const void* address, uint64_t size, const void* where);
void nap(const void* where);
void mma_tf32(float* sums, const float* a, const float* b, const void* where);
// Dynamic shared memory, of which a launch uses as much as it asked for, and space around it that no thread may touch.
struct Room {
  char before[64 << 10], shared[227 << 10], behind[64 << 10];
};
extern Room room __attribute__((visibility("hidden"), aligned(1024)));
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with);

// The type of a parameter, for Python (arguments.py): of a pointer, that of what it points to. The kind of numbers, of which
// a vector has several, is NumPy's letter; 'c' is char, 'h' bfloat16, 'v' void, and 0 another type.
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
  return class_kind<T>;
}
template <class T>
constexpr Type type_of() {
  using P = std::remove_cv_t<std::remove_all_extents_t<std::remove_pointer_t<T>>>;  // of a pointer to rows, their numbers
  constexpr bool pointer = std::is_pointer_v<T>;
  if constexpr (std::is_void_v<P>) {
    return {pointer, 'v', 1, 1};
  } else if constexpr (is_vector<P>) {
    return {pointer, kind_of<decltype(P::x)>(), sizeof(P::x), sizeof(P)};
  } else {
    return {pointer, kind_of<P>(), static_cast<unsigned short>(kind_of<P>() ? sizeof(P) : 0), sizeof(P)};
  }
}

// A kernel as Python calls it, with the addresses of its arguments.
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

}  // namespace emulator

#define threadIdx (emulator::value_of(emulator::thread_index))
#define blockIdx (emulator::value_of(emulator::block_index))
#define blockDim (emulator::value_of(emulator::block_size))
#define gridDim (emulator::value_of(emulator::grid))

#include "atomics.h"
#include "warps.h"

// Loads and stores with hints for caches.
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

// Addresses. Those in shared memory count from the beginning of this library, so that 32 bits are enough.
namespace emulator {
extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
bool is_shared_address(const void* at);
bool is_local_address(const void* at);
inline uintptr_t window() { return reinterpret_cast<uintptr_t>(__ehdr_start); }
}  // namespace emulator
inline size_t __cvta_generic_to_shared(const void* at) { return reinterpret_cast<uintptr_t>(at) - emulator::window(); }
inline void* __cvta_shared_to_generic(size_t at) { return reinterpret_cast<void*>(at + emulator::window()); }
inline size_t __cvta_generic_to_global(const void* at) { return reinterpret_cast<uintptr_t>(at); }
inline void* __cvta_global_to_generic(size_t at) { return reinterpret_cast<void*>(at); }
inline unsigned __isShared(const void* at) { return emulator::is_shared_address(at); }
inline unsigned __isLocal(const void* at) { return emulator::is_local_address(at); }
inline unsigned __isGlobal(const void* at) { return !__isShared(at) && !__isLocal(at); }

[[noreturn]] NOT_INLINED inline void __trap() { emulator::fail_assertion("__trap()", CALLER); }
