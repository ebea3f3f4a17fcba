// Registers, operands and special registers of inline PTX.
#pragma once

#include "language/asynchronous.h"
#include "language/device.h"

namespace emulator {
void access_in(int space, const void* address, uint64_t size, uint64_t alignment, bool is_write, const void* where);
void touch_volatile(const void* address, uint64_t size, bool is_write, const void* where);
void nap_if_seen(const void* address, uint64_t bits, const void* where);
void named_barrier(unsigned number, unsigned threads, bool waits, const void* where, int line);
}  // namespace emulator

namespace emulated_ptx {

#define PTX inline __attribute__((always_inline))
#ifdef SEEING
#define PTX_ACCESS NOT_INLINED
#define PTX_SEE(place, size, is_write) emulator::access_in(decltype(place)::space, place.at(), size, size, is_write, CALLER)
#else
#define PTX_ACCESS PTX
#define PTX_SEE(place, size, is_write)
#endif

enum Space { GENERIC, GLOBAL, SHARED, CLUSTER = SHARED };  // as access_in has them
enum Order { WEAK, VOLATILE, RELAXED, ACQUIRE, RELEASE, ACQ_REL };

// Registers are integers and floats of their width; values of other types are put into them bit by bit.
template <size_t bytes>
using Bits = std::conditional_t<bytes == 1, uint8_t, std::conditional_t<bytes == 2, uint16_t,
             std::conditional_t<bytes == 4, uint32_t, uint64_t>>>;
template <class T>
PTX Bits<sizeof(T)> bits_of(T x) {
  return emulator::bits_as<Bits<sizeof(T)>>(x);
}
template <class T>
PTX T unknown() {  // the value of a register that was not written
  if constexpr (std::is_same_v<T, bool>) return true;
  else return emulator::bits_as<T>(Bits<sizeof(T)>(~Bits<sizeof(T)>(0)));
}

// An operand that an asm statement is given, and where it puts its results.
template <class R, class T>
PTX R give(T x) {
  static_assert(sizeof(T) == sizeof(R), "an operand of asm is not as wide as its constraint: h has 16 bits, r and f 32, l and d 64");
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<R>(x);
  } else {
    static_assert(std::is_floating_point_v<R> == std::is_floating_point_v<T>,
                  "an operand of asm: f and d are for floating point, h, r and l for whole numbers and pointers");
    return emulator::bits_as<R>(x);
  }
}
template <class T, class R>
PTX void take(T& to, R x) {
  static_assert(sizeof(T) == sizeof(R), "an operand of asm is not as wide as its constraint: h has 16 bits, r and f 32, l and d 64");
  static_assert(std::is_floating_point_v<R> == std::is_floating_point_v<T>,
                "an operand of asm: f and d are for floating point, h, r and l for whole numbers and pointers");
  if constexpr (std::is_pointer_v<T>) {
    to = reinterpret_cast<T>(x);
  } else {
    to = emulator::bits_as<T>(x);
  }
}

// A register as an operand of a type: its lower bits; and a result in a register, extended by its sign if it has one.
template <class T, class R>
PTX T in(R x) {
  static_assert(sizeof(T) <= sizeof(R), "an instruction of PTX reads more bits than its operand has");
  return emulator::bits_as<T>(static_cast<Bits<sizeof(T)>>(bits_of(x)));
}
template <class R, class T>
PTX void put(R& to, T x) {
  static_assert(sizeof(T) <= sizeof(R), "an instruction of PTX writes more bits than its result has");
  if constexpr (sizeof(T) == sizeof(R)) {
    to = emulator::bits_as<R>(x);
  } else if constexpr (std::is_integral_v<T>) {
    to = emulator::bits_as<R>(static_cast<Bits<sizeof(R)>>(x));
  } else {
    to = emulator::bits_as<R>(static_cast<Bits<sizeof(R)>>(bits_of(x)));
  }
}
template <class... T>
PTX auto packed(T... x) {  // the first in the lowest bits
  using All = Bits<(sizeof(T) + ...)>;
  All all = 0;
  int at = 0;
  ((all |= static_cast<All>(bits_of(x)) << at, at += 8 * sizeof(T)), ...);
  return all;
}
template <class T>
struct Whole {
  T value;
  template <int parts>
  PTX auto part(int i) const {
    using Part = Bits<sizeof(T) / parts>;
    return static_cast<Part>(bits_of(value) >> (8 * sizeof(Part) * i));
  }
};
template <class T>
PTX Whole<T> whole(T x) {
  return {x};
}

// Special registers.
#define PTX_OF_PLACE(name, place)                                                       \
  UNSEEN inline unsigned name##_x() { return emulator::value_of(emulator::place).x; }   \
  UNSEEN inline unsigned name##_y() { return emulator::value_of(emulator::place).y; }   \
  UNSEEN inline unsigned name##_z() { return emulator::value_of(emulator::place).z; }
PTX_OF_PLACE(tid, thread_index)
PTX_OF_PLACE(ntid, block_size)
PTX_OF_PLACE(ctaid, block_index)
PTX_OF_PLACE(nctaid, grid)
#undef PTX_OF_PLACE
constexpr unsigned MULTIPROCESSORS = 4;
inline unsigned laneid() { return emulator::lane(); }
UNSEEN inline unsigned warpid() { return (tid_x() + ntid_x() * (tid_y() + ntid_y() * tid_z())) / 32; }
inline unsigned nwarpid() { return 64; }
UNSEEN inline unsigned smid() { return (ctaid_x() + nctaid_x() * (ctaid_y() + nctaid_y() * ctaid_z())) % MULTIPROCESSORS; }
inline unsigned nsmid() { return MULTIPROCESSORS; }
inline unsigned long long gridid() { return 1; }
inline unsigned lanemask_eq() { return 1u << emulator::lane(); }
inline unsigned lanemask_lt() { return lanemask_eq() - 1; }
inline unsigned lanemask_le() { return lanemask_lt() | lanemask_eq(); }
inline unsigned lanemask_gt() { return ~lanemask_le(); }
inline unsigned lanemask_ge() { return ~lanemask_lt(); }
inline unsigned long long clock64() { return emulator::nanoseconds(); }
inline unsigned clock() { return static_cast<unsigned>(emulator::nanoseconds()); }
inline unsigned clock_hi() { return emulator::nanoseconds() >> 32; }
inline unsigned long long globaltimer() { return emulator::nanoseconds(); }
inline unsigned globaltimer_lo() { return clock(); }
inline unsigned globaltimer_hi() { return clock_hi(); }

}  // namespace emulated_ptx
