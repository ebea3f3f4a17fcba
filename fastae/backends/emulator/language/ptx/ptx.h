// What the instructions of inline PTX become: ptx.py makes calls of this of every asm statement. (NVIDIA, PTX ISA 8.)
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
PTX T unknown() {  // nobody has written it
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

// Addresses. Those of shared memory count from where this library lies, so that they have 32 bits.
template <Space S>
struct Place {
  static constexpr int space = S;
  uintptr_t address;
  PTX const void* at() const { return reinterpret_cast<const void*>(address); }
};
template <Space S, class R>
PTX Place<S> at(R address, long long by) {
  if constexpr (S == SHARED) {
    return {emulator::window() + static_cast<uintptr_t>(address) + static_cast<uintptr_t>(by)};
  } else {
    static_assert(sizeof(R) == 8, "an address of global memory has 64 bits: the constraint l");
    return {static_cast<uintptr_t>(address) + static_cast<uintptr_t>(by)};
  }
}
PTX unsigned long long cvta_to_shared(unsigned long long at) { return at - emulator::window(); }
PTX unsigned long long cvta_from_shared(unsigned long long at) { return at + emulator::window(); }
PTX unsigned long long cvta_to_global(unsigned long long at) { return at; }
PTX unsigned long long cvta_from_global(unsigned long long at) { return at; }
inline bool is_shared(unsigned long long at) { return __isShared(reinterpret_cast<const void*>(at)); }
inline bool is_global(unsigned long long at) { return __isGlobal(reinterpret_cast<const void*>(at)); }
inline bool is_local(unsigned long long at) { return __isLocal(reinterpret_cast<const void*>(at)); }

// Loads and stores, of several values at once too.
template <class T, int n>
struct Values {
  T x[n];
};
template <class T, int n, Space S>
PTX_ACCESS Values<T, n> ld(Place<S> place) {
  PTX_SEE(place, n * sizeof(T), false);
  Values<T, n> values;
  __builtin_memcpy(&values, place.at(), sizeof values);
  return values;
}
template <class T, int n, Space S>
PTX_ACCESS void st(Place<S> place, Values<T, n> values) {
  PTX_SEE(place, n * sizeof(T), true);
  __builtin_memcpy(const_cast<void*>(place.at()), &values, sizeof values);
}
#define PTX_CHECK(place, is_write) \
  if (sizeof(T) && decltype(place)::space == SHARED) emulator::access_in(-1, place.at(), sizeof(T), sizeof(T), is_write, CALLER)
template <class T, Space S>
NOT_INLINED T ld_strong(Place<S> place, Order order, bool of_block) {
  PTX_CHECK(place, false);
  if (order == VOLATILE) {
    emulator::touch_volatile(place.at(), sizeof(T), false, CALLER);
  } else {
    emulator::touch_to_read(place.at(), sizeof(T), of_block ? emulator::BLOCK : emulator::DEVICE, CALLER);
  }
  if (order == ACQUIRE) emulator::hear_now(place.at());
  const T value = *static_cast<const volatile T*>(place.at());
  emulator::nap_if_seen(place.at(), bits_of(value), CALLER);  // whoever waits lets the others go on
  return value;
}
template <class T, Space S>
NOT_INLINED void st_strong(Place<S> place, T value, Order order, bool of_block) {
  PTX_CHECK(place, true);
  const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;
  if (order == VOLATILE) {
    emulator::touch_volatile(place.at(), sizeof(T), true, CALLER);
  } else {
    emulator::touch(place.at(), sizeof(T), false, scope, CALLER);
  }
  if (order == RELEASE) emulator::tell_now(place.at(), scope);
  *static_cast<volatile T*>(const_cast<void*>(place.at())) = value;
}

#define PTX_ATOM(name, reads, result)                                                                     \
  template <class T, Space S>                                                                             \
  NOT_INLINED T atom_##name(Place<S> place, T value, Order order, bool of_block) {                        \
    PTX_CHECK(place, true);                                                                               \
    const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;                                      \
    emulator::touch(place.at(), sizeof(T), reads, scope, CALLER);                                         \
    if (order == RELEASE || order == ACQ_REL) emulator::tell_now(place.at(), scope);                      \
    if (order == ACQUIRE || order == ACQ_REL) emulator::hear_now(place.at());                             \
    T* const at = static_cast<T*>(const_cast<void*>(place.at()));                                         \
    const T old = *at;                                                                                    \
    *at = static_cast<T>(result);                                                                         \
    return old;                                                                                           \
  }
PTX_ATOM(add, true, old + value)
PTX_ATOM(min, true, value < old ? value : old)
PTX_ATOM(max, true, value > old ? value : old)
PTX_ATOM(exch, false, value)
PTX_ATOM(inc, true, old >= value ? 0 : old + 1)
PTX_ATOM(dec, true, old == 0 || old > value ? value : old - 1)
#undef PTX_ATOM
#define PTX_ATOM(name, sign)                                                                              \
  template <class T, Space S>                                                                             \
  NOT_INLINED T atom_##name(Place<S> place, T value, Order order, bool of_block) {                        \
    PTX_CHECK(place, true);                                                                               \
    const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;                                      \
    emulator::touch(place.at(), sizeof(T), true, scope, CALLER);                                          \
    if (order == RELEASE || order == ACQ_REL) emulator::tell_now(place.at(), scope);                      \
    if (order == ACQUIRE || order == ACQ_REL) emulator::hear_now(place.at());                             \
    T* const at = static_cast<T*>(const_cast<void*>(place.at()));                                         \
    const T old = *at;                                                                                    \
    *at = emulator::bits_as<T>(bits_of(old) sign bits_of(value));                                         \
    return old;                                                                                           \
  }
PTX_ATOM(and, &)
PTX_ATOM(or, |)
PTX_ATOM(xor, ^)
#undef PTX_ATOM
template <class T, Space S>
NOT_INLINED T atom_cas(Place<S> place, T expected, T value, Order order, bool of_block) {
  PTX_CHECK(place, true);
  const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;
  emulator::touch(place.at(), sizeof(T), true, scope | emulator::GUESSED, CALLER);
  if (order == RELEASE || order == ACQ_REL) emulator::tell_now(place.at(), scope);
  if (order == ACQUIRE || order == ACQ_REL) emulator::hear_now(place.at());
  T* const at = static_cast<T*>(const_cast<void*>(place.at()));
  const T old = *at;
  if (bits_of(old) == bits_of(expected)) *at = value;
  return old;
}
#undef PTX_CHECK

// Asynchronous copies.
NOT_INLINED inline void cp_async(Place<SHARED> to, Place<GLOBAL> from, unsigned size, unsigned read, bool whole_line) {
  const bool allowed = whole_line ? size == 16 : size == 4 || size == 8 || size == 16;
  if (!allowed || read > size) {
    emulator::fail_assertion("cp.async.ca copies 4, 8 or 16 bytes at once, cp.async.cg 16", CALLER);
  }
  emulator::access_in(-1, to.at(), size, size, true, CALLER);
  emulator::copy_in_group(const_cast<void*>(to.at()), from.at(), size, size - read, size, CALLER);
  emulator::move_bytes(const_cast<void*>(to.at()), from.at(), size, size - read);
}
NOT_INLINED inline void commit_group() { emulator::commit_group(); }
NOT_INLINED inline void wait_group(unsigned but) { emulator::wait_for_groups(but); }

// Barriers.
NOT_INLINED inline void bar_sync(unsigned number, unsigned threads, int line = __builtin_LINE()) {
  emulator::named_barrier(number, threads, true, CALLER, line);
}
NOT_INLINED inline void bar_arrive(unsigned number, unsigned threads, int line = __builtin_LINE()) {
  emulator::named_barrier(number, threads, false, CALLER, line);
}
NOT_INLINED inline void warp_sync(unsigned mask) { emulator::meet(emulator::SYNC, mask, 0, CALLER); }
NOT_INLINED inline void mbarrier_init(Place<SHARED> place, unsigned count) {
  emulator::begin_phases(const_cast<void*>(place.at()), count, CALLER);
}
NOT_INLINED inline unsigned long long mbarrier_arrive(Place<SHARED> place, unsigned count, bool drops) {
  return emulator::arrive(const_cast<void*>(place.at()), count, drops, CALLER);
}
UNSEEN inline bool try_phase(void* at, uint64_t phase, const void* where) {
  if (emulator::passed(at, phase, where)) return true;
  emulator::nap(where);
  return emulator::passed(at, phase, where);
}
NOT_INLINED inline bool mbarrier_test(Place<SHARED> place, unsigned long long state) {
  return try_phase(const_cast<void*>(place.at()), state, CALLER);
}
NOT_INLINED inline bool mbarrier_parity(Place<SHARED> place, unsigned parity) {
  void* const at = const_cast<void*>(place.at());
  const uint64_t phase = emulator::phase_of(at, CALLER);
  return try_phase(at, (phase & 1) == parity ? phase : phase - 1, CALLER);
}

// Operations of a warp. `c` has the last lane of a segment, and in its upper half which bits of a lane's number are its segment's.
#define PTX_SHFL(name, operation, of_source, is_in)                                                                  \
  NOT_INLINED inline unsigned shfl_##name(unsigned value, unsigned b, unsigned c, unsigned mask, bool& valid) {       \
    const unsigned lane = emulator::lane(), segment = c >> 8 & 31, last = (lane & segment) | (c & 31 & ~segment);     \
    const unsigned first = lane & segment, by = b & 31, source = of_source;                                           \
    valid = is_in;                                                                                                    \
    (void)first, (void)last;                                                                                          \
    return emulator::shuffle(emulator::operation, mask, value, valid ? source : lane, CALLER);                        \
  }
PTX_SHFL(up, SHFL_UP, lane - by, static_cast<int>(source) >= static_cast<int>(last))
PTX_SHFL(down, SHFL_DOWN, lane + by, source <= last)
PTX_SHFL(bfly, SHFL_XOR, lane ^ by, source <= last)
PTX_SHFL(idx, SHFL, first | (by & ~segment), source <= last)
#undef PTX_SHFL
NOT_INLINED inline bool elect(unsigned mask, unsigned& first) {
  emulator::meet(emulator::SYNC, mask, 0, CALLER);
  first = __builtin_ctz(mask);
  return emulator::lane() == first;
}

// Arithmetic. Whole numbers wrap around.
template <class T>
using Unsigned = Bits<sizeof(T)>;
#define PTX_SIGNS(name, sign)                                                                            \
  template <class T>                                                                                     \
  PTX T name(T x, T y) {                                                                                 \
    if constexpr (std::is_floating_point_v<T>) return x sign y;                                          \
    else return static_cast<T>(static_cast<uint64_t>(x) sign static_cast<uint64_t>(y));                  \
  }
PTX_SIGNS(add, +)
PTX_SIGNS(sub, -)
PTX_SIGNS(mul, *)
#undef PTX_SIGNS
template <class T>
PTX T mul_lo(T x, T y) {
  return static_cast<T>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
}
template <class T>
PTX T mul_hi(T x, T y) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return static_cast<T>(static_cast<Wide>(x) * static_cast<Wide>(y) >> (8 * sizeof(T)));
}
template <class T>
PTX auto mul_wide(T x, T y) {
  using Wide = std::conditional_t<std::is_signed_v<T>, std::make_signed_t<Bits<2 * sizeof(T)>>, Bits<2 * sizeof(T)>>;
  return static_cast<Wide>(static_cast<Wide>(x) * static_cast<Wide>(y));
}
PTX int mul24_lo(int x, int y) { return __mul24(x, y); }
PTX unsigned mul24_lo(unsigned x, unsigned y) { return __umul24(x, y); }
template <class T>
PTX T mul24_lo(T x, T y) {
  if constexpr (std::is_signed_v<T>) return __mul24(x, y);
  else return __umul24(x, y);
}
template <class T>
PTX T mul24_hi(T x, T y) {
  if constexpr (std::is_signed_v<T>) return static_cast<T>(static_cast<int64_t>(x << 8 >> 8) * (y << 8 >> 8) >> 16);
  else return static_cast<T>(static_cast<uint64_t>(x & 0xffffff) * (y & 0xffffff) >> 16);
}
template <class T>
PTX T div_(T x, T y) {
  return x / y;
}
template <class T>
PTX T rem(T x, T y) {
  return x % y;
}
template <class T>
PTX T abs_(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::abs(x);
  else return x < 0 ? static_cast<T>(0 - static_cast<Unsigned<T>>(x)) : x;
}
template <class T>
PTX T neg(T x) {
  if constexpr (std::is_floating_point_v<T>) return -x;
  else return static_cast<T>(0 - static_cast<Unsigned<T>>(x));
}
template <class T>
PTX T min(T x, T y) {
  return x < y || y != y ? x : y;
}
template <class T>
PTX T max(T x, T y) {
  return x > y || y != y ? x : y;
}
template <class T>
PTX T min_or_nan(T x, T y) {
  return x != x ? x : y != y ? y : min(x, y);
}
template <class T>
PTX T max_or_nan(T x, T y) {
  return x != x ? x : y != y ? y : max(x, y);
}
template <class T>
PTX T and_(T x, T y) { return x & y; }
template <class T>
PTX T or_(T x, T y) { return x | y; }
template <class T>
PTX T xor_(T x, T y) { return x ^ y; }
template <class T>
PTX T not_(T x) { return ~x; }
template <class T>
PTX T cnot(T x) { return x == 0; }
template <class T>
PTX T shl(T x, unsigned by) {
  return by >= 8 * sizeof(T) ? T(0) : static_cast<T>(x << by);
}
template <class T>
PTX T shr(T x, unsigned by) {  // no further than its width
  const unsigned most = 8 * sizeof(T) - 1;
  return std::is_signed_v<T> ? static_cast<T>(x >> (by > most ? most : by)) : by > most ? T(0) : static_cast<T>(x >> by);
}
template <class T>
PTX T sad(T x, T y, T z) {
  return static_cast<T>(static_cast<Unsigned<T>>(z) + (x < y ? static_cast<Unsigned<T>>(y) - static_cast<Unsigned<T>>(x)
                                                             : static_cast<Unsigned<T>>(x) - static_cast<Unsigned<T>>(y)));
}
template <class T>
PTX unsigned popc(T x) {
  return __builtin_popcountll(static_cast<Unsigned<T>>(x));
}
template <class T>
PTX unsigned clz(T x) {
  return x ? __builtin_clzll(static_cast<Unsigned<T>>(x)) - (64 - 8 * sizeof(T)) : 8 * sizeof(T);
}
template <class T>
PTX T brev(T x) {
  return static_cast<T>(__brevll(static_cast<Unsigned<T>>(x)) >> (64 - 8 * sizeof(T)));
}
template <class T>
PTX unsigned bfind(T x) {  // the highest bit that is not the sign's
  const Unsigned<T> bits = static_cast<Unsigned<T>>(std::is_signed_v<T> && x < T(0) ? ~x : x);
  return bits ? 8 * sizeof(T) - 1 - clz(bits) : ~0u;
}
template <class T>
PTX unsigned bfind_shift(T x) {
  const unsigned found = bfind(x);
  return found == ~0u ? found : 8 * sizeof(T) - 1 - found;
}
template <class T>
PTX T bfe(T x, unsigned begin, unsigned length) {  // beyond the last bit its sign
  constexpr unsigned WIDTH = 8 * sizeof(T);
  begin &= 0xff, length &= 0xff;
  if (length == 0) return 0;
  const unsigned last = begin + length - 1 < WIDTH - 1 ? begin + length - 1 : WIDTH - 1;
  const bool sign = std::is_signed_v<T> && static_cast<Unsigned<T>>(x) >> last & 1;
  const Unsigned<T> from = begin < WIDTH ? static_cast<Unsigned<T>>(x) >> begin : 0;
  const unsigned count = begin < WIDTH && WIDTH - begin < length ? WIDTH - begin : begin < WIDTH ? length : 0;
  const Unsigned<T> mask = count >= WIDTH ? ~Unsigned<T>(0) : (Unsigned<T>(1) << count) - 1;
  return static_cast<T>((from & mask) | (sign ? ~mask : 0));
}
template <class T>
PTX T bfi(T field, T into, unsigned begin, unsigned length) {
  constexpr unsigned WIDTH = 8 * sizeof(T);
  begin &= 0xff, length &= 0xff;
  if (begin >= WIDTH || length == 0) return into;
  const T mask = (length >= WIDTH ? ~T(0) : (T(1) << length) - 1) << begin;
  return (into & ~mask) | (field << begin & mask);
}
PTX unsigned lop3(unsigned x, unsigned y, unsigned z, unsigned table) {
  unsigned result = 0;
  for (int i = 0; i < 8; ++i)
    if (table >> i & 1) result |= (i & 4 ? x : ~x) & (i & 2 ? y : ~y) & (i & 1 ? z : ~z);
  return result;
}
#define PTX_PRMT(name, ...)                                                      \
  PTX unsigned prmt_##name(unsigned x, unsigned y, unsigned c) {                 \
    static constexpr unsigned selectors[4] = {__VA_ARGS__};                      \
    return __byte_perm(x, y, selectors[c & 3]);                                  \
  }
PTX_PRMT(f4e, 0x3210, 0x4321, 0x5432, 0x6543)
PTX_PRMT(b4e, 0x5670, 0x6701, 0x7012, 0x0123)
PTX_PRMT(rc8, 0x0000, 0x1111, 0x2222, 0x3333)
PTX_PRMT(ecl, 0x3210, 0x3211, 0x3222, 0x3333)
PTX_PRMT(ecr, 0x0000, 0x1110, 0x2210, 0x3210)
PTX_PRMT(rc16, 0x1010, 0x3232, 0x1010, 0x3232)
#undef PTX_PRMT
template <class X, class Y, class S>
PTX S dp4a(X x, Y y, S sum) {
  for (int i = 0; i < 32; i += 8) {
    const int of_x = std::is_signed_v<X> ? static_cast<int8_t>(x >> i) : static_cast<uint8_t>(x >> i);
    const int of_y = std::is_signed_v<Y> ? static_cast<int8_t>(y >> i) : static_cast<uint8_t>(y >> i);
    sum = static_cast<S>(static_cast<unsigned>(sum) + static_cast<unsigned>(of_x * of_y));
  }
  return sum;
}
template <class X, class Y, class S>
PTX S dp2a(X x, Y y, S sum, int first) {
  for (int i = 0; i < 2; ++i) {
    const int of_x = std::is_signed_v<X> ? static_cast<int16_t>(x >> 16 * i) : static_cast<uint16_t>(x >> 16 * i);
    const int at = 8 * (first + i), of_y = std::is_signed_v<Y> ? static_cast<int8_t>(y >> at) : static_cast<uint8_t>(y >> at);
    sum = static_cast<S>(static_cast<unsigned>(sum) + static_cast<unsigned>(of_x * of_y));
  }
  return sum;
}
template <class X, class Y, class S>
PTX S dp2a_lo(X x, Y y, S sum) { return dp2a(x, y, sum, 0); }
template <class X, class Y, class S>
PTX S dp2a_hi(X x, Y y, S sum) { return dp2a(x, y, sum, 2); }

// The carry bit, which the instructions of one statement leave to those of the next.
inline bool left_carry;
NOT_INLINED inline bool kept_carry() { return left_carry; }
NOT_INLINED inline void keep_carry(bool carry) { left_carry = carry; }
template <class T>
PTX T add_carry(T x, T y, bool carry, bool* out) {
  T first = 0, sum = 0;
  const bool over = __builtin_add_overflow(x, y, &first), again = __builtin_add_overflow(first, T(carry), &sum);
  if (out) *out = over || again;
  return sum;
}
template <class T>
PTX T sub_borrow(T x, T y, bool borrow, bool* out) {
  T first = 0, rest = 0;
  const bool under = __builtin_sub_overflow(x, y, &first), again = __builtin_sub_overflow(first, T(borrow), &rest);
  if (out) *out = under || again;
  return rest;
}

// Floating point, where it is not CUDA's functions that do it.
template <class T>
PTX T fma(T x, T y, T z) { return std::fma(x, y, z); }
template <class T>
PTX T sqrt(T x) { return std::sqrt(x); }
template <class T>
PTX T rsqrt(T x) { return 1 / std::sqrt(x); }
template <class T>
PTX T rcp(T x) { return 1 / x; }
template <class T>
PTX T ex2(T x) { return exp2f(x); }
template <class T>
PTX T lg2(T x) { return log2f(x); }
template <class T>
PTX T sin(T x) { return sinf(x); }
template <class T>
PTX T cos(T x) { return cosf(x); }
template <class T>
PTX T tanh(T x) { return tanhf(x); }
template <class T>
PTX T copysign(T sign, T x) { return std::copysign(x, sign); }
template <class T>
PTX bool testp_finite(T x) { return std::isfinite(x); }
template <class T>
PTX bool testp_infinite(T x) { return std::isinf(x); }
template <class T>
PTX bool testp_number(T x) { return x == x; }
template <class T>
PTX bool testp_notanumber(T x) { return x != x; }
template <class T>
PTX bool testp_normal(T x) { return std::isnormal(x); }
template <class T>
PTX bool testp_subnormal(T x) { return std::fpclassify(x) == FP_SUBNORMAL; }
PTX float tf32(float x) { return emulator::to_tf32(x); }

// Conversions.
template <class T>
PTX T rounded_not(T x) { return x; }
template <class T>
PTX T rounded_rn(T x) { return std::nearbyint(x); }
template <class T>
PTX T rounded_rz(T x) { return std::trunc(x); }
template <class T>
PTX T rounded_rd(T x) { return std::floor(x); }
template <class T>
PTX T rounded_ru(T x) { return std::ceil(x); }
template <class I, class F>
PTX I to_integer(F x) {
  return emulator::to_integer<I>(x);
}
template <class To, class From>
PTX To clamped(From x) {  // to what there is of the type
  using L = std::numeric_limits<To>;
  const __int128 wide = x;
  return wide < L::min() ? L::min() : wide > L::max() ? L::max() : static_cast<To>(x);
}
template <class To, class From>
PTX To converted(From x) { return static_cast<To>(x); }
template <class T, class S>
PTX T saturated(S x) {  // floating point to [0, 1], whole numbers to what there is
  if constexpr (std::is_floating_point_v<T>) return x > 1 ? T(1) : x > 0 ? T(x) : T(0);
  else return clamped<T>(x);
}

#define PTX_COMPARE(name, result)  \
  template <class T>               \
  PTX bool compare_##name(T x, T y) { return result; }
PTX_COMPARE(eq, x == y)
PTX_COMPARE(ne, (x < y || x > y))
PTX_COMPARE(lt, x < y)
PTX_COMPARE(le, x <= y)
PTX_COMPARE(gt, x > y)
PTX_COMPARE(ge, x >= y)
PTX_COMPARE(lo, x < y)
PTX_COMPARE(ls, x <= y)
PTX_COMPARE(hi, x > y)
PTX_COMPARE(hs, x >= y)
PTX_COMPARE(equ, !(x < y || x > y))
PTX_COMPARE(neu, !(x == y))
PTX_COMPARE(ltu, !(x >= y))
PTX_COMPARE(leu, !(x > y))
PTX_COMPARE(gtu, !(x <= y))
PTX_COMPARE(geu, !(x < y))
PTX_COMPARE(num, (x == x && y == y))
PTX_COMPARE(nan, (x != x || y != y))
#undef PTX_COMPARE
#undef PTX
#undef PTX_ACCESS
#undef PTX_SEE

}  // namespace emulated_ptx
