// CUDA's atomic operations, on the types for which CUDA has them: a part of device.h. Threads run one at a time.
#pragma once

namespace emulator {

// The threads for which an operation is atomic, of the device or of a block; and bits beside it: by an atomic type of C++;
// the value that was read there before was a guess.
enum Scope { DEVICE, BLOCK, CPP, GUESSED = 4 };

template <class T, class... Types>
constexpr bool is_one_of = (std::is_same_v<T, Types> || ...);

}  // namespace emulator

// The second argument is converted to the type of the place, as by CUDA's own overloads.
#define ATOMIC_IN(name, scope, reads, result, ...)                                                      \
  template <class T>                                                                                    \
  NOT_INLINED T name(T* at, std::common_type_t<T> value) {                                              \
    static_assert(emulator::is_one_of<T, __VA_ARGS__>, #name " takes a pointer to one of: " #__VA_ARGS__); \
    emulator::touch(at, sizeof(T), reads, emulator::scope, CALLER);                                     \
    const T old = *at;                                                                                  \
    *at = result;                                                                                       \
    return old;                                                                                         \
  }
#define ATOMIC(name, reads, result, ...)                     \
  ATOMIC_IN(name, DEVICE, reads, result, __VA_ARGS__)        \
  ATOMIC_IN(name##_block, BLOCK, reads, result, __VA_ARGS__) \
  ATOMIC_IN(name##_system, DEVICE, reads, result, __VA_ARGS__)
ATOMIC(atomicAdd, true, old + value, int, unsigned, unsigned long long, float, double)
ATOMIC(atomicSub, true, old - value, int, unsigned)
ATOMIC(atomicMin, true, value < old ? value : old, int, unsigned, long long, unsigned long long)
ATOMIC(atomicMax, true, value > old ? value : old, int, unsigned, long long, unsigned long long)
ATOMIC(atomicAnd, true, old & value, int, unsigned, long long, unsigned long long)
ATOMIC(atomicOr, true, old | value, int, unsigned, long long, unsigned long long)
ATOMIC(atomicXor, true, old ^ value, int, unsigned, long long, unsigned long long)
ATOMIC(atomicInc, true, old >= value ? 0 : old + 1, unsigned)
ATOMIC(atomicDec, true, old == 0 || old > value ? value : old - 1, unsigned)
ATOMIC(atomicExch, false, value, int, unsigned, unsigned long long, float)
#undef ATOMIC
#undef ATOMIC_IN

#define CAS(name, scope)                                                                                        \
  template <class T>                                                                                            \
  NOT_INLINED T name(T* at, std::common_type_t<T> expected, std::common_type_t<T> value) {                      \
    static_assert(emulator::is_one_of<T, int, unsigned, unsigned short, unsigned long long>,                    \
                  #name " takes a pointer to one of: int, unsigned, unsigned short, unsigned long long");       \
    emulator::touch(at, sizeof(T), true, emulator::scope | emulator::GUESSED, CALLER);                          \
    const T old = *at;                                                                                          \
    if (old == expected) *at = value;                                                                           \
    return old;                                                                                                 \
  }
CAS(atomicCAS, DEVICE)
CAS(atomicCAS_block, BLOCK)
CAS(atomicCAS_system, DEVICE)
#undef CAS

// red.release and ld.acquire of the PTX ISA, for kernels that both compilers take.
template <class T>
NOT_INLINED void emulated_add_release(T* at, T value) {
  emulator::release(at, sizeof(T), CALLER);
  *at += value;
}
template <class T>
NOT_INLINED T emulated_load_acquire(const T* at) {
  emulator::acquire(at, sizeof(T), CALLER);
  const T value = *at;
  emulator::nap(CALLER);  // a thread that waits in a loop lets the others go on
  return value;
}
