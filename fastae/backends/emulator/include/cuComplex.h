// Complex numbers as vectors of two, by the names that CUDA's C interface has for them.
#pragma once

using cuFloatComplex = float2;
using cuDoubleComplex = double2;
using cuComplex = cuFloatComplex;

namespace emulator {
template <class C>
using Part = decltype(C::x);
template <class C>
inline C times(C a, C b) {
  return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x};
}
template <class C>
inline C over(C a, C b) {  // scaled, so that no square overflows
  const Part<C> scale = Part<C>(1) / (std::fabs(b.x) + std::fabs(b.y));
  const C p{a.x * scale, a.y * scale}, q{b.x * scale, b.y * scale};
  const Part<C> square = q.x * q.x + q.y * q.y;
  return {(p.x * q.x + p.y * q.y) / square, (p.y * q.x - p.x * q.y) / square};
}
}  // namespace emulator

#define EMULATED_COMPLEX(C, Real, f)                                              \
  inline Real cuCreal##f(C x) { return x.x; }                                     \
  inline Real cuCimag##f(C x) { return x.y; }                                     \
  inline C cuConj##f(C x) { return {x.x, -x.y}; }                                 \
  inline C cuCadd##f(C a, C b) { return {a.x + b.x, a.y + b.y}; }                 \
  inline C cuCsub##f(C a, C b) { return {a.x - b.x, a.y - b.y}; }                 \
  inline C cuCmul##f(C a, C b) { return emulator::times(a, b); }                  \
  inline C cuCdiv##f(C a, C b) { return emulator::over(a, b); }                   \
  inline Real cuCabs##f(C x) { return std::hypot(x.x, x.y); }                     \
  inline C cuCfma##f(C a, C b, C c) { return cuCadd##f(emulator::times(a, b), c); }
EMULATED_COMPLEX(cuFloatComplex, float, f)
EMULATED_COMPLEX(cuDoubleComplex, double, )
#undef EMULATED_COMPLEX

inline cuFloatComplex make_cuFloatComplex(float x, float y) { return {x, y}; }
inline cuDoubleComplex make_cuDoubleComplex(double x, double y) { return {x, y}; }
inline cuComplex make_cuComplex(float x, float y) { return {x, y}; }
inline cuDoubleComplex cuComplexFloatToDouble(cuFloatComplex x) { return {x.x, x.y}; }
inline cuFloatComplex cuComplexDoubleToFloat(cuDoubleComplex x) {
  return {static_cast<float>(x.x), static_cast<float>(x.y)};
}
