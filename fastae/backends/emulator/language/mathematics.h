// CUDA's mathematics that C++ does not have: functions, and intrinsics. (CUDA C++ programming guide, on mathematical
// functions, which states the errors.)
#pragma once
#include <math.h>
#include <stdlib.h>

#include "include/math_constants.h"

namespace emulator {
template <class... T>
using Numbers = std::enable_if_t<(std::is_arithmetic_v<T> && ...), std::common_type_t<T...>>;
template <class T>
using Real = std::enable_if_t<std::is_arithmetic_v<T>, std::conditional_t<std::is_same_v<T, float>, float, double>>;
}  // namespace emulator

// Of a number and NaN, the number.
template <class A, class B>
constexpr emulator::Numbers<A, B> min(A a, B b) {
  const emulator::Numbers<A, B> x = a, y = b;
  return x < y || y != y ? x : y;
}
template <class A, class B>
constexpr emulator::Numbers<A, B> max(A a, B b) {
  const emulator::Numbers<A, B> x = a, y = b;
  return x > y || y != y ? x : y;
}
inline unsigned umin(unsigned x, unsigned y) { return min(x, y); }
inline unsigned umax(unsigned x, unsigned y) { return max(x, y); }
inline long long llmin(long long x, long long y) { return min(x, y); }
inline long long llmax(long long x, long long y) { return max(x, y); }
inline unsigned long long ullmin(unsigned long long x, unsigned long long y) { return min(x, y); }
inline unsigned long long ullmax(unsigned long long x, unsigned long long y) { return max(x, y); }

// Templates, for a C library may have functions of these names.
template <class T>
emulator::Real<T> rsqrt(T x) {
  return 1 / std::sqrt(static_cast<emulator::Real<T>>(x));
}
template <class T>
emulator::Real<T> sinpi(T x) {  // the argument within a quarter of a period, which is exact
  using R = emulator::Real<T>;
  const R halves = std::nearbyint(2 * static_cast<R>(x)), rest = static_cast<R>(x) - halves / 2;
  if (!(std::abs(halves) < R(INFINITY))) return R(NAN);
  const int quarter = static_cast<int>(std::fmod(halves, R(4)) + 4) % 4;
  const double angle = CUDART_PI * static_cast<double>(rest);
  const double value = quarter % 2 ? std::cos(angle) : std::sin(angle);
  return static_cast<R>(quarter >= 2 ? -value : value);
}
template <class T>
emulator::Real<T> cospi(T x) {
  using R = emulator::Real<T>;
  const R halves = std::nearbyint(2 * static_cast<R>(x)), rest = static_cast<R>(x) - halves / 2;
  if (!(std::abs(halves) < R(INFINITY))) return R(NAN);
  const int quarter = static_cast<int>(std::fmod(halves, R(4)) + 5) % 4;
  const double angle = CUDART_PI * static_cast<double>(rest);
  const double value = quarter % 2 ? std::cos(angle) : std::sin(angle);
  return static_cast<R>(quarter >= 2 ? -value : value);
}
template <class T>
std::enable_if_t<std::is_arithmetic_v<T>, float> rsqrtf(T x) {
  return 1 / std::sqrt(static_cast<float>(x));
}
template <class T>
std::enable_if_t<std::is_arithmetic_v<T>, float> sinpif(T x) {
  return sinpi(static_cast<float>(x));
}
template <class T>
std::enable_if_t<std::is_arithmetic_v<T>, float> cospif(T x) {
  return cospi(static_cast<float>(x));
}
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }
inline void sincospi(float x, float* s, float* c) { *s = sinpi(x), *c = cospi(x); }
inline void sincospif(float x, float* s, float* c) { sincospi(x, s, c); }
inline void sincos(float x, float* s, float* c) { *s = std::sin(x), *c = std::cos(x); }

namespace emulator {
inline double erfcx(double x) {
  if (x < 25) {
    const double square = x * x;
    return std::exp(square) * (1 + std::fma(x, x, -square)) * std::erfc(x);
  }
  double sum = 1, term = 1;
  for (int k = 1; k < 12; ++k) sum += term *= -(2 * k - 1) / (2 * x * x);
  return sum / (x * std::sqrt(CUDART_PI));
}
inline double erfcinv(double y) {  // by Halley's method
  if (!(y > 0 && y < 2)) return y == 0 ? INFINITY : y == 2 ? -INFINITY : NAN;
  if (y > 1) return -erfcinv(2 - y);
  const double w = -std::log(y * (2 - y));
  double x = y > 0.3 ? (1 - y) * 0.886 : y > 0.01 ? std::sqrt(w) - 0.45 : std::sqrt(w - std::log(std::sqrt(CUDART_PI * w)));
  for (int i = 0; i < 6; ++i) {
    const double error = (std::erfc(x) - y) / (2 / std::sqrt(CUDART_PI) * std::exp(-x * x));
    x += error / (1 + x * error);
  }
  return x;
}
inline double erfinv(double y) {
  if (std::abs(y) > 0.5) return y > 0 ? erfcinv(1 - y) : -erfcinv(1 + y);
  double x = y * 0.886;
  for (int i = 0; i < 5; ++i) {
    const double error = (std::erf(x) - y) / (2 / std::sqrt(CUDART_PI) * std::exp(-x * x));
    x -= error / (1 + x * error);
  }
  return x;
}
inline double bessel_i(int order, double x) {  // the sum of its series, whose terms have one sign
  double term = order ? x / 2 : 1, sum = term;
  for (int k = 1; std::abs(term) > 1e-18 * std::abs(sum) && std::abs(sum) < INFINITY; ++k)
    sum += term *= x / 2 / k * (x / 2) / (k + order);
  return sum;
}
template <class T>
T norm(int n, const T* x) {  // without overflow on the way
  double most = 0, sum = 0;
  for (int i = 0; i < n; ++i) most = std::fmax(most, std::abs(static_cast<double>(x[i])));
  if (most == INFINITY) return static_cast<T>(most);
  for (int i = 0; i < n; ++i) sum += most > 0 ? x[i] / most * (x[i] / most) : static_cast<double>(x[i]);
  return static_cast<T>(most > 0 ? most * std::sqrt(sum) : sum);
}
template <class... T>
double norm_of(T... x) {
  const double values[] = {static_cast<double>(x)...};
  return norm(sizeof...(x), values);
}
}  // namespace emulator

// A function of double, one of float by the same name, and that of float with an f, computed in double.
#define BOTH(name, parameters, floats, ...)                                \
  inline double name(parameters(double)) { return __VA_ARGS__; }           \
  inline float name(parameters(float)) { return floats(__VA_ARGS__); }     \
  inline float name##f(parameters(float)) { return floats(__VA_ARGS__); }
#define ONLY_F(name, parameters, floats, ...)                              \
  inline double name(parameters(double)) { return __VA_ARGS__; }           \
  inline float name##f(parameters(float)) { return floats(__VA_ARGS__); }
#define OF_X(T) T x
#define OF_XY(T) T x, T y
#define OF_XYZ(T) T x, T y, T z
#define OF_XYZW(T) T x, T y, T z, T w

BOTH(rcbrt, OF_X, float, 1 / std::cbrt(static_cast<double>(x)))
BOTH(erfcx, OF_X, float, emulator::erfcx(x))
BOTH(erfinv, OF_X, float, emulator::erfinv(x))
BOTH(erfcinv, OF_X, float, emulator::erfcinv(x))
BOTH(normcdf, OF_X, float, std::erfc(-static_cast<double>(x) * M_SQRT1_2) / 2)
BOTH(normcdfinv, OF_X, float, -M_SQRT2 * emulator::erfcinv(2 * static_cast<double>(x)))
BOTH(cyl_bessel_i0, OF_X, float, emulator::bessel_i(0, x))
BOTH(cyl_bessel_i1, OF_X, float, emulator::bessel_i(1, x))
BOTH(rhypot, OF_XY, float, 1 / emulator::norm_of(x, y))
ONLY_F(norm3d, OF_XYZ, float, emulator::norm_of(x, y, z))
ONLY_F(norm4d, OF_XYZW, float, emulator::norm_of(x, y, z, w))
ONLY_F(rnorm3d, OF_XYZ, float, 1 / emulator::norm_of(x, y, z))
ONLY_F(rnorm4d, OF_XYZW, float, 1 / emulator::norm_of(x, y, z, w))

#undef OF_XYZW
#undef OF_XYZ
#undef OF_XY
#undef OF_X
#undef ONLY_F
#undef BOTH
inline double norm(int n, const double* x) { return emulator::norm(n, x); }
inline float normf(int n, const float* x) { return emulator::norm(n, x); }
inline double rnorm(int n, const double* x) { return 1 / norm(n, x); }
inline float rnormf(int n, const float* x) { return 1 / emulator::norm(n, x); }
inline float exp10(float x) { return exp10f(x); }

// Fast ones. As on a GPU, an exponential is 2 to the power of a rounded product, whose error grows with x: 2 + floor(
// |1.173 x|) ulp of __expf, 2 + floor(|2.95 x|) of __exp10f. __sinf, __cosf and __tanf are sinf, cosf and tanf here;
// a GPU's are off by 2^-21.4 between -pi and pi, and by more beyond.
inline float __expf(float x) { return exp2f(x * CUDART_L2E_F); }
inline float __exp10f(float x) { return exp2f(x * 3.321928095f); }
inline float __log2f(float x) { return log2f(x); }
inline float __logf(float x) { return log2f(x) * CUDART_LN2_F; }
inline float __log10f(float x) { return log2f(x) * 0.301029996f; }
inline float __powf(float x, float y) { return exp2f(y * log2f(x)); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __tanhf(float x) { return tanhf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __saturatef(float x) { return x > 1 ? 1.0f : x > 0 ? x : 0.0f; }  // NaN becomes 0
inline float fdividef(float x, float y) { return x / y; }
inline float __fdividef(float x, float y) {  // by more than 2^126: 0
  if (std::abs(y) > 0x1p126f && std::abs(y) < INFINITY) return std::isinf(x) ? NAN : x * 0.0f;
  return x / y;
}
inline float __frsqrt_rn(float x) { return static_cast<float>(1 / std::sqrt(static_cast<double>(x))); }

#define DIRECTED(name, R, suffix, MODE, add, sub, mul, div, fma_, rcp, root)                                       \
  inline R add##suffix(R x, R y) { return emulator::rounded<MODE, R>([](R a, R b) { return a + b; }, x, y); }       \
  inline R mul##suffix(R x, R y) { return emulator::rounded<MODE, R>([](R a, R b) { return a * b; }, x, y); }       \
  inline R sub##suffix(R x, R y) { return emulator::rounded<MODE, R>([](R a, R b) { return a - b; }, x, y); }       \
  inline R div##suffix(R x, R y) { return emulator::rounded<MODE, R>([](R a, R b) { return a / b; }, x, y); }       \
  inline R rcp##suffix(R x) { return emulator::rounded<MODE, R>([](R a) { return 1 / a; }, x); }                    \
  inline R root##suffix(R x) { return emulator::rounded<MODE, R>([](R a) { return std::sqrt(a); }, x); }            \
  inline R fma_##suffix(R x, R y, R z) {                                                                            \
    return emulator::rounded<MODE, R>([](R a, R b, R c) { return std::fma(a, b, c); }, x, y, z);                    \
  }
#define DIRECTIONS(R, ...)                         \
  DIRECTED(, R, _rn, FE_TONEAREST, __VA_ARGS__)    \
  DIRECTED(, R, _rz, FE_TOWARDZERO, __VA_ARGS__)   \
  DIRECTED(, R, _ru, FE_UPWARD, __VA_ARGS__)       \
  DIRECTED(, R, _rd, FE_DOWNWARD, __VA_ARGS__)
DIRECTIONS(float, __fadd, __fsub, __fmul, __fdiv, __fmaf, __frcp, __fsqrt)
DIRECTIONS(double, __dadd, __dsub, __dmul, __ddiv, __fma, __drcp, __dsqrt)
#undef DIRECTIONS
#undef DIRECTED
// Numbers below the normal ones are kept, whatever the kernel's setting; here it is the kernel's.
inline float __fmaf_ieee_rn(float x, float y, float z) { return __fmaf_rn(x, y, z); }
inline float __fmaf_ieee_rz(float x, float y, float z) { return __fmaf_rz(x, y, z); }
inline float __fmaf_ieee_ru(float x, float y, float z) { return __fmaf_ru(x, y, z); }
inline float __fmaf_ieee_rd(float x, float y, float z) { return __fmaf_rd(x, y, z); }
