// CUDA's warp operations, barriers with a result, and clocks. The operations themselves are in runtime/waiting.h.
#pragma once

namespace emulator {

constexpr unsigned WARP = 32;

// Lanes meet at the same operation with the same mask; at those of fragments, at the same line. Each lane offers a value and
// sees those of the others.
enum Operation { SYNC, SHFL, SHFL_UP, SHFL_DOWN, SHFL_XOR, BALLOT, SOME, EVERY, UNI, MATCH_ANY, MATCH_ALL, REDUCE, ACTIVE,
                 MMA, LOAD_FRAGMENT, STORE_FRAGMENT };

void meet(Operation operation, unsigned mask, uint64_t value, const void* where, int line = 0);
unsigned lanes_of(unsigned mask);  // those that the block has
uint64_t seen(unsigned lane);      // the value of a lane; of one outside of the mask 0, or all bits set where accesses are checked
unsigned active();                 // the lanes that came to an ACTIVE together
unsigned lane();
void require_warp(const void* where);  // of 32 threads
// All lanes load or store a fragment at a line: `length` elements of `size` bytes lie side by side, `ldm` elements from the next.
void begin_fragment(Operation operation, const void* at, unsigned size, unsigned length, unsigned ldm, const void* where,
                    int line);
uint64_t nanoseconds();

UNSEEN inline unsigned vote(Operation operation, unsigned mask, bool value, const void* where) {
  meet(operation, mask, value, where);
  unsigned ballot = 0;
  for (unsigned l = 0, lanes = lanes_of(mask); l < WARP; ++l)
    if (lanes >> l & 1 && seen(l)) ballot |= 1u << l;
  return ballot;
}

// Exchange values of any size, in pieces of 8 bytes.
template <class T>
UNSEEN T shuffle(Operation operation, unsigned mask, const T& value, unsigned from, const void* where) {
  static_assert(std::is_trivially_copyable_v<T>, "lanes exchange what can be copied byte by byte");
  T result = value;
  for (size_t at = 0; at < sizeof(T); at += 8) {
    const size_t size = sizeof(T) - at < 8 ? sizeof(T) - at : 8;
    uint64_t bits = 0;
    __builtin_memcpy(&bits, reinterpret_cast<const char*>(&value) + at, size);
    meet(operation, mask, bits, where);
    bits = seen(from);
    __builtin_memcpy(reinterpret_cast<char*>(&result) + at, &bits, size);
  }
  return result;
}

// Combine the values of all lanes, in the order of the lanes.
template <class T, class F>
UNSEEN T reduce(unsigned mask, const T& value, F combine, const void* where) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "lanes reduce values of at most 8 bytes");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  meet(REDUCE, mask, bits, where);
  T result = value;
  bool first = true;
  for (unsigned l = 0, lanes = lanes_of(mask); l < WARP; ++l) {
    if (!(lanes >> l & 1)) continue;
    T other = value;
    bits = seen(l);
    __builtin_memcpy(&other, &bits, sizeof(T));
    result = first ? other : combine(result, other);
    first = false;
  }
  return result;
}

template <class T>
UNSEEN unsigned match(Operation operation, unsigned mask, T value, const void* where) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "lanes are matched by values of 4 or 8 bytes");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  meet(operation, mask, bits, where);
  unsigned equal = 0;
  for (unsigned l = 0, lanes = lanes_of(mask); l < WARP; ++l)
    if (lanes >> l & 1 && seen(l) == bits) equal |= 1u << l;
  return equal;
}

}  // namespace emulator

// By its line two threads know that they wait at the same one: the compiler may make two calls of it.
NOT_INLINED inline void __syncthreads(int line = __builtin_LINE()) { emulator::barrier(0, CALLER, line); }
NOT_INLINED inline int __syncthreads_count(int value, int line = __builtin_LINE()) {
  return emulator::barrier(value != 0, CALLER, line);
}
NOT_INLINED inline int __syncthreads_or(int value, int line = __builtin_LINE()) {
  return emulator::barrier(value != 0, CALLER, line) > 0;
}
NOT_INLINED inline int __syncthreads_and(int value, int line = __builtin_LINE()) {
  return emulator::barrier(value == 0, CALLER, line) == 0;
}
NOT_INLINED inline void __syncwarp(unsigned mask = ~0u) { emulator::meet(emulator::SYNC, mask, 0, CALLER); }
NOT_INLINED inline void __threadfence() { emulator::fence(true); }
NOT_INLINED inline void __threadfence_system() { emulator::fence(true); }
NOT_INLINED inline void __threadfence_block() { emulator::fence(false); }  // of no use to other blocks
NOT_INLINED inline void __nanosleep(unsigned) { emulator::nap(CALLER); }
inline long long clock64() { return emulator::nanoseconds(); }
inline long emulated_clock() { return emulator::nanoseconds(); }
#define clock() emulated_clock()  // the C library has another

template <class T>
NOT_INLINED T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  static_assert(sizeof(T) <= 8, "__shfl_sync takes values of at most 8 bytes");
  const unsigned l = emulator::lane();
  return emulator::shuffle(emulator::SHFL, mask, value, l / width * width + unsigned(from) % width, CALLER);
}
template <class T>
NOT_INLINED T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  static_assert(sizeof(T) <= 8, "__shfl_up_sync takes values of at most 8 bytes");
  const unsigned l = emulator::lane();
  return emulator::shuffle(emulator::SHFL_UP, mask, value, by <= l % width ? l - by : l, CALLER);
}
template <class T>
NOT_INLINED T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  static_assert(sizeof(T) <= 8, "__shfl_down_sync takes values of at most 8 bytes");
  const unsigned l = emulator::lane();
  return emulator::shuffle(emulator::SHFL_DOWN, mask, value, l % width + by < unsigned(width) ? l + by : l, CALLER);
}
template <class T>
NOT_INLINED T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
  static_assert(sizeof(T) <= 8, "__shfl_xor_sync takes values of at most 8 bytes");
  const unsigned l = emulator::lane(), from = l ^ unsigned(by);
  return emulator::shuffle(emulator::SHFL_XOR, mask, value, from / width <= l / width ? from : l, CALLER);
}

NOT_INLINED inline unsigned __ballot_sync(unsigned mask, int value) {
  return emulator::vote(emulator::BALLOT, mask, value, CALLER);
}
NOT_INLINED inline int __any_sync(unsigned mask, int value) {
  return emulator::vote(emulator::SOME, mask, value, CALLER) != 0;
}
NOT_INLINED inline int __all_sync(unsigned mask, int value) {
  return emulator::vote(emulator::EVERY, mask, value, CALLER) == emulator::lanes_of(mask);
}
NOT_INLINED inline int __uni_sync(unsigned mask, int value) {
  const unsigned ballot = emulator::vote(emulator::UNI, mask, value, CALLER);
  return ballot == 0 || ballot == emulator::lanes_of(mask);
}
NOT_INLINED inline unsigned __activemask(int line = __builtin_LINE()) {
  emulator::meet(emulator::ACTIVE, 0, 0, CALLER, line);
  return emulator::active();
}
template <class T>
NOT_INLINED unsigned __match_any_sync(unsigned mask, T value) {
  return emulator::match(emulator::MATCH_ANY, mask, value, CALLER);
}
template <class T>
NOT_INLINED unsigned __match_all_sync(unsigned mask, T value, int* all) {
  const unsigned lanes = emulator::lanes_of(mask);
  *all = emulator::match(emulator::MATCH_ALL, mask, value, CALLER) == lanes;
  return *all ? mask : 0;
}

#define REDUCE(name, type, result)                                                                         \
  NOT_INLINED inline type __reduce_##name##_sync(unsigned mask, type value) {                              \
    return emulator::reduce(mask, value, [](type x, type y) UNSEEN { return type(result); }, CALLER);      \
  }
REDUCE(add, unsigned, x + y)
REDUCE(min, unsigned, x < y ? x : y)
REDUCE(max, unsigned, x > y ? x : y)
REDUCE(add, int, unsigned(x) + unsigned(y))
REDUCE(min, int, x < y ? x : y)
REDUCE(max, int, x > y ? x : y)
REDUCE(and, unsigned, x & y)
REDUCE(or, unsigned, x | y)
REDUCE(xor, unsigned, x ^ y)
#undef REDUCE

namespace emulator {
// Round to 10 bits of mantissa, halves away from zero; infinities and NaN stay what they are.
UNSEEN inline float to_tf32(float x) {
  unsigned bits = bits_as<unsigned>(x);
  if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & 0xffffe000;
  return bits_as<float>(bits);
}
}  // namespace emulator

// mma.sync.m16n8k8 with TF32, for kernels that both compilers take: they call it where __CUDA_ARCH__ is not defined.
NOT_INLINED inline void emulated_mma_tf32(float* sums, const float (&a)[4], const float (&b)[2]) {
  emulator::mma_tf32(sums, a, b, CALLER);
}
