// CUDA's integer intrinsics, and conversions between types of numbers.
#pragma once
#include <cfenv>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace emulator {
void rounding(int mode);

// A result rounded upwards, downwards or towards 0, or to the nearest without becoming part of a fused operation: what
// is volatile is computed between the two calls.
template <int MODE, class R, class F, class... T>
NOT_INLINED R rounded(F compute, T... arguments) {
  volatile R result;
  [&](volatile T... kept) {
    if (MODE != FE_TONEAREST) rounding(MODE);
    result = compute(static_cast<T>(kept)...);
    if (MODE != FE_TONEAREST) rounding(FE_TONEAREST);
  }(arguments...);
  return result;
}

template <class To, class From>
To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

// A whole number to the nearest that there is; NaN as the PTX ISA has it (cvt).
template <class I, class F>
I to_integer(F whole) {
  constexpr int DIGITS = std::numeric_limits<I>::digits;
  if (whole != whole) return sizeof(I) == 8 || sizeof(F) == 8 ? static_cast<I>(I(1) << (8 * sizeof(I) - 1)) : 0;
  if (whole >= std::ldexp(F(1), DIGITS)) return std::numeric_limits<I>::max();
  if (whole <= static_cast<F>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
  return static_cast<I>(whole);
}
}  // namespace emulator

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __clzll(long long bits) { return bits ? __builtin_clzll(bits) : 64; }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline unsigned __brev(unsigned bits) {
  bits = (bits >> 1 & 0x55555555u) | (bits & 0x55555555u) << 1;
  bits = (bits >> 2 & 0x33333333u) | (bits & 0x33333333u) << 2;
  bits = (bits >> 4 & 0x0f0f0f0fu) | (bits & 0x0f0f0f0fu) << 4;
  return __builtin_bswap32(bits);
}
inline unsigned long long __brevll(unsigned long long bits) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(bits))) << 32 | __brev(bits >> 32);
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned choice = selector >> (4 * i) & 15;
    unsigned byte = bytes >> (8 * (choice & 7)) & 0xff;
    if (choice & 8) byte = byte & 0x80 ? 0xff : 0;  // its sign
    result |= byte << (8 * i);
  }
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return ((static_cast<uint64_t>(high) << 32 | low) << (by & 31)) >> 32;
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned by) {
  return by >= 32 ? low : __funnelshift_l(low, high, by);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return (static_cast<uint64_t>(high) << 32 | low) >> (by & 31);
}
inline unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned by) {
  return by >= 32 ? high : __funnelshift_r(low, high, by);
}
inline unsigned __fns(unsigned mask, unsigned base, int offset) {  // the n-th set bit from a place on, or before it
  const int step = offset < 0 ? -1 : 1;
  int left = offset < 0 ? -offset : offset;
  if (left == 0) return mask >> base & 1 ? base : ~0u;
  for (int at = static_cast<int>(base); at >= 0 && at < 32; at += step)
    if (mask >> at & 1 && --left == 0) return at;
  return ~0u;
}
inline unsigned short __nv_bswap16(unsigned short x) { return __builtin_bswap16(x); }
inline unsigned __nv_bswap32(unsigned x) { return __builtin_bswap32(x); }
inline unsigned long long __nv_bswap64(unsigned long long x) { return __builtin_bswap64(x); }
inline int __mul24(int x, int y) {  // of the lower 24 bits
  return static_cast<int>(static_cast<int64_t>(static_cast<int>(static_cast<unsigned>(x) << 8) >> 8) *
                          (static_cast<int>(static_cast<unsigned>(y) << 8) >> 8));
}
inline unsigned __umul24(unsigned x, unsigned y) { return (x & 0xffffff) * (y & 0xffffff); }
inline int __mulhi(int x, int y) { return static_cast<int64_t>(x) * y >> 32; }
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<uint64_t>(x) * y >> 32; }
inline long long __mul64hi(long long x, long long y) { return static_cast<__int128>(x) * y >> 64; }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return static_cast<unsigned __int128>(x) * y >> 64;
}
inline unsigned __usad(unsigned x, unsigned y, unsigned z) { return (x < y ? y - x : x - y) + z; }
inline unsigned __sad(int x, int y, unsigned z) {
  return (x < y ? static_cast<unsigned>(y) - x : static_cast<unsigned>(x) - y) + z;
}
inline int __hadd(int x, int y) { return (static_cast<int64_t>(x) + y) >> 1; }
inline int __rhadd(int x, int y) { return (static_cast<int64_t>(x) + y + 1) >> 1; }
inline unsigned __uhadd(unsigned x, unsigned y) { return (static_cast<uint64_t>(x) + y) >> 1; }
inline unsigned __urhadd(unsigned x, unsigned y) { return (static_cast<uint64_t>(x) + y + 1) >> 1; }
inline int __dp4a(int x, int y, int sum) {
  for (int i = 0; i < 32; i += 8) sum += static_cast<int8_t>(x >> i) * static_cast<int8_t>(y >> i);
  return sum;
}
inline unsigned __dp4a(unsigned x, unsigned y, unsigned sum) {
  for (int i = 0; i < 32; i += 8) sum += (x >> i & 0xff) * (y >> i & 0xff);
  return sum;
}

inline int __float_as_int(float x) { return emulator::bits_as<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator::bits_as<unsigned>(x); }
inline float __int_as_float(int x) { return emulator::bits_as<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits_as<float>(x); }
inline long long __double_as_longlong(double x) { return emulator::bits_as<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator::bits_as<double>(x); }
inline int __double2hiint(double x) { return __double_as_longlong(x) >> 32; }
inline int __double2loint(double x) { return static_cast<int>(__double_as_longlong(x)); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double(static_cast<long long>(static_cast<uint64_t>(static_cast<unsigned>(high)) << 32 |
                                                     static_cast<unsigned>(low)));
}

// The older names of some. Templates, for a program may have functions of these names.
#define OLDER(name, type, ...)                                                              \
  template <class T>                                                                        \
  std::enable_if_t<std::is_arithmetic_v<T>, type> name(T x) {                               \
    return emulator::bits_as<type>(static_cast<__VA_ARGS__>(x));                            \
  }
OLDER(float_as_int, int, float)
OLDER(float_as_uint, unsigned, float)
OLDER(int_as_float, float, int)
OLDER(uint_as_float, float, unsigned)
#undef OLDER
#define OLDER(name, T)                                                                      \
  template <class X, class Y>                                                               \
  std::enable_if_t<std::is_integral_v<X> && std::is_integral_v<Y>, T> name(X x, Y y) {      \
    return __##name(static_cast<T>(x), static_cast<T>(y));                                  \
  }
OLDER(mulhi, int)
OLDER(umulhi, unsigned)
OLDER(mul64hi, long long)
OLDER(umul64hi, unsigned long long)
OLDER(mul24, int)
OLDER(umul24, unsigned)
#undef OLDER

#define TO_INTEGER(from, F, to, I)                                                                    \
  inline I __##from##2##to##_rn(F x) { return emulator::to_integer<I>(std::nearbyint(x)); }           \
  inline I __##from##2##to##_rz(F x) { return emulator::to_integer<I>(std::trunc(x)); }               \
  inline I __##from##2##to##_ru(F x) { return emulator::to_integer<I>(std::ceil(x)); }                \
  inline I __##from##2##to##_rd(F x) { return emulator::to_integer<I>(std::floor(x)); }
#define TO_INTEGERS(from, F)                  \
  TO_INTEGER(from, F, int, int)               \
  TO_INTEGER(from, F, uint, unsigned)         \
  TO_INTEGER(from, F, ll, long long)          \
  TO_INTEGER(from, F, ull, unsigned long long)
TO_INTEGERS(float, float)
TO_INTEGERS(double, double)
#undef TO_INTEGERS
#undef TO_INTEGER

#define TO_FLOAT_BY(from, T, to, F, suffix, MODE) \
  inline F __##from##2##to##suffix(T x) {         \
    return emulator::rounded<MODE, F>([](T kept) { return static_cast<F>(kept); }, x); \
  }
#define TO_FLOAT(from, T, to, F)                        \
  TO_FLOAT_BY(from, T, to, F, _rn, FE_TONEAREST)        \
  TO_FLOAT_BY(from, T, to, F, _rz, FE_TOWARDZERO)       \
  TO_FLOAT_BY(from, T, to, F, _ru, FE_UPWARD)           \
  TO_FLOAT_BY(from, T, to, F, _rd, FE_DOWNWARD)
TO_FLOAT(int, int, float, float)
TO_FLOAT(uint, unsigned, float, float)
TO_FLOAT(ll, long long, float, float)
TO_FLOAT(ull, unsigned long long, float, float)
TO_FLOAT(ll, long long, double, double)
TO_FLOAT(ull, unsigned long long, double, double)
TO_FLOAT(double, double, float, float)
#undef TO_FLOAT
#undef TO_FLOAT_BY
inline double __int2double_rn(int x) { return x; }
inline double __uint2double_rn(unsigned x) { return x; }
