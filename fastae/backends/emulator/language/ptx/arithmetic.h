// Instructions of PTX that compute, compare and convert.
#pragma once

#include "operands.h"

namespace emulated_ptx {

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
PTX To clamped(From x) {  // to the type's range
  using L = std::numeric_limits<To>;
  const __int128 wide = x;
  return wide < L::min() ? L::min() : wide > L::max() ? L::max() : static_cast<To>(x);
}
template <class To, class From>
PTX To converted(From x) { return static_cast<To>(x); }
template <class T, class S>
PTX T saturated(S x) {  // floating point to [0, 1], whole numbers to the type's range
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

}  // namespace emulated_ptx
