// What cuda_fp16.h and cuda_bf16.h share: formats of 16 bits, and how numbers are rounded to them.
//
// In software, since not every compiler has such types, and since a kernel of float may flush subnormal numbers to 0, which
// operations on these formats never do.
#pragma once
#include "device.h"

// Functions that take objects by value are inlined, since g++ has no hook for memory from which an argument is copied, or to
// which a result is. Accesses by a reference are reported as the caller's.
#ifdef SEEING
#define BY_VALUE inline __attribute__((always_inline))
#define OF_MEMORY NOT_INLINED
#define READING(place) emulator::access_whole(&(place), sizeof place, sizeof place, false, CALLER)
#define WRITING(place) emulator::access_whole(&(place), sizeof place, sizeof place, true, CALLER)
#else
#define BY_VALUE inline
#define OF_MEMORY
#define READING(place)
#define WRITING(place)
#endif

namespace emulator {

// `Wide` has all its numbers, none below its own normal ones, and more than twice the digits: a sum, difference,
// product, quotient or root that is rounded to it first, and then to the format, is rounded as if once. (Figueroa, When
// is double rounding innocuous?, SIGNUM 1995.)
struct Binary16 {
  static constexpr int DIGITS = 10, LEAST = -14, MOST = 15;  // after the point; exponents of normal numbers
  static constexpr unsigned short INFINITE = 0x7c00, NOT_A_NUMBER = 0x7fff;
  using Wide = float;
  UNSEEN static float to_float(unsigned short bits) { return widen(bits); }
  UNSEEN static float widen(unsigned short bits) {
    const unsigned sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest > INFINITE) return bits_as<float>(0x7fffffffu);
    if (rest == INFINITE) return bits_as<float>(sign | 0x7f800000u);
    if (rest >= 0x400) return bits_as<float>(sign | ((rest << 13) + 0x38000000u));
    return bits_as<float>(bits_as<unsigned>(bits_as<float>(0x3f000000u | rest) - 0.5f) | sign);  // of 2^-24
  }
};
struct Bfloat16 {
  static constexpr int DIGITS = 7, LEAST = -126, MOST = 127;
  static constexpr unsigned short INFINITE = 0x7f80, NOT_A_NUMBER = 0x7fff;
  using Wide = double;
  UNSEEN static float to_float(unsigned short bits) { return bits_as<float>(static_cast<unsigned>(bits) << 16); }
  UNSEEN static double widen(unsigned short bits) {
    const int rest = bits & 0x7fff;
    if (rest >= 0x80) return to_float(bits);
    return (bits & 0x8000 ? -0x1p-133 : 0x1p-133) * rest;
  }
};

// Round a float or a double to a format, by its bits.
template <class Format, int MODE = FE_TONEAREST, class F>
UNSEEN unsigned short narrow(F x) {
  using Bits = std::conditional_t<sizeof(F) == 8, uint64_t, uint32_t>;
  constexpr int DIGITS = std::numeric_limits<F>::digits - 1, BIAS = std::numeric_limits<F>::max_exponent - 1;
  constexpr Bits INFINITE = Bits{2 * BIAS + 1} << DIGITS, ONE = Bits{1} << DIGITS;
  Bits bits = bits_as<Bits>(x);
  const bool negative = bits >> (8 * sizeof(Bits) - 1);
  const unsigned sign = negative ? 0x8000 : 0;
  bits &= ~Bits{0} >> 1;
  if (bits > INFINITE) return Format::NOT_A_NUMBER;
  if (bits == INFINITE) return sign | Format::INFINITE;
  const int field = static_cast<int>(bits >> DIGITS), exponent = (field ? field : 1) - BIAS;
  const bool outward = MODE == FE_UPWARD ? !negative : MODE == FE_DOWNWARD ? negative : false;
  unsigned result = Format::INFINITE;
  if (exponent <= Format::MOST) {
    const Bits significand = (bits & (ONE - 1)) | (field ? ONE : 0);
    const int below = Format::LEAST - exponent;
    const int dropped = DIGITS - Format::DIGITS + (below < 0 ? 0 : below > Format::DIGITS + 2 ? Format::DIGITS + 2 : below);
    const Bits kept = significand >> dropped, rest = significand - (kept << dropped), half = Bits{1} << (dropped - 1);
    const bool up = MODE == FE_TONEAREST ? rest > half || (rest == half && kept & 1) : outward && rest;
    result = static_cast<unsigned>(kept) + up + (below < 0 ? -below << Format::DIGITS : 0);  // carries as it should
  }
  if (result >= Format::INFINITE) result = Format::INFINITE - (MODE != FE_TONEAREST && !outward);
  return sign | result;
}

// A number with at most 53 bits, of which the last is set if a dropped bit was: it rounds to a format as the whole does.
UNSEEN inline double kept(uint64_t x) { return x >> 53 ? static_cast<double>(x >> 11 | ((x & 0x7ff) != 0)) * 0x1p11 : x; }

// x y + z for numbers of a format, whose product is exact, kept likewise.
UNSEEN inline double fused(double x, double y, double z) {
  const double product = x * y, sum = product + z, other = sum - product;
  const double rest = (product - (sum - other)) + (z - other);  // exactly; NaN beyond all numbers
  uint64_t bits = bits_as<uint64_t>(sum);
  if (!(rest < 0 || rest > 0) || bits & 1) return sum;
  bits += (rest < 0) == (sum < 0) ? 1 : -1;
  return bits_as<double>(bits);
}

template <class Format, int MODE, class I>
UNSEEN unsigned short narrow_integer(I x) {
  const uint64_t size = x < 0 ? -static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
  return narrow<Format, MODE>(x < 0 ? -kept(size) : kept(size));
}

template <class F>
UNSEEN F saturated(F x) {
  return x > 1 ? F(1) : x > 0 ? x : F(0);  // NaN becomes 0
}
template <class F>
UNSEEN F rectified(F x) {
  return x > 0 || x != x ? x : F(0);
}

}  // namespace emulator
