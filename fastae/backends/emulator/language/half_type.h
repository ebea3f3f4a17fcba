// A type of 16 bits, pairs of it, and all that CUDA has for both. cuda_fp16.h and cuda_bf16.h include this, each with
// NAME, TYPE, PAIR, RAW, RAW_PAIR and FORMAT defined: half or bfloat16, and what belongs to it. (CUDA math API.)
//
// Every operation rounds once, to the nearest, ties to even. CUDA's own functions of hexp's kind are off by up to 2 units
// of the last place; these are computed in double.

#define UNARY(name, of, ...)                                                         \
  BY_VALUE TYPE name(TYPE a) {                                                  \
    const double x = emulator::FORMAT::widen(a.__x);                                 \
    return RAW{emulator::narrow<emulator::FORMAT>(double(__VA_ARGS__))};             \
  }                                                                                  \
  BY_VALUE PAIR of(PAIR a) { return PAIR(name(a.x), name(a.y)); }
#define BINARY(name, of, ...)                                                        \
  BY_VALUE TYPE name(TYPE a, TYPE b) {                                          \
    const emulator::FORMAT::Wide x = emulator::FORMAT::widen(a.__x), y = emulator::FORMAT::widen(b.__x); \
    return RAW{emulator::narrow<emulator::FORMAT>(__VA_ARGS__)};                     \
  }                                                                                  \
  BY_VALUE PAIR of(PAIR a, PAIR b) { return PAIR(name(a.x, b.x), name(a.y, b.y)); }
#define FUSED(name, of, then)                                                        \
  BY_VALUE TYPE name(TYPE a, TYPE b, TYPE c) {                                  \
    const double x = emulator::FORMAT::widen(a.__x), y = emulator::FORMAT::widen(b.__x); \
    return RAW{emulator::narrow<emulator::FORMAT>(then(emulator::fused(x, y, emulator::FORMAT::widen(c.__x))))}; \
  }                                                                                  \
  BY_VALUE PAIR of(PAIR a, PAIR b, PAIR c) { return PAIR(name(a.x, b.x, c.x), name(a.y, b.y, c.y)); }
#define COMPARED(name, ...)                                                          \
  BY_VALUE bool __h##name(TYPE a, TYPE b) {                                     \
    const emulator::FORMAT::Wide x = emulator::FORMAT::widen(a.__x), y = emulator::FORMAT::widen(b.__x); \
    return __VA_ARGS__;                                                              \
  }                                                                                  \
  BY_VALUE bool __hb##name##2(PAIR a, PAIR b) { return __h##name(a.x, b.x) && __h##name(a.y, b.y); } \
  BY_VALUE PAIR __h##name##2(PAIR a, PAIR b) { return PAIR(__h##name(a.x, b.x), __h##name(a.y, b.y)); } \
  BY_VALUE unsigned __h##name##2_mask(PAIR a, PAIR b) {                         \
    return (__h##name(a.x, b.x) ? 0xffffu : 0) | (__h##name(a.y, b.y) ? 0xffff0000u : 0); \
  }
#define JOINED_(before, name, after) before##name##after
#define JOINED(before, name, after) JOINED_(before, name, after)
#define NAMED(before, after) JOINED(before, NAME, after)

struct RAW {
  unsigned short x;
};
struct alignas(4) RAW_PAIR {
  unsigned short x, y;
};

// What reads or writes memory by a reference is a look of the caller's.
struct TYPE {
  unsigned short __x;

  TYPE() = default;
  constexpr TYPE(RAW raw) : __x(raw.x) {}
  BY_VALUE TYPE(float x) : __x(emulator::narrow<emulator::FORMAT>(x)) {}
  BY_VALUE TYPE(double x) : __x(emulator::narrow<emulator::FORMAT>(x)) {}
  template <class I, std::enable_if_t<std::is_integral_v<I>, int> = 0>
  BY_VALUE TYPE(I x) : __x(emulator::narrow_integer<emulator::FORMAT, FE_TONEAREST>(x)) {}
  OF_MEMORY operator RAW() const {
    READING(*this);
    return {__x};
  }
  OF_MEMORY operator float() const {
    READING(*this);
    return emulator::FORMAT::to_float(__x);
  }
  template <class I, std::enable_if_t<std::is_integral_v<I>, int> = 0>
  OF_MEMORY operator I() const {
    READING(*this);
    const auto x = emulator::FORMAT::widen(__x);
    if constexpr (std::is_same_v<I, bool>) {
      return x != 0;
    } else {
      return emulator::to_integer<I>(static_cast<float>(std::trunc(x)));
    }
  }
};
static_assert(sizeof(TYPE) == 2 && std::is_trivially_copyable_v<TYPE>);

struct alignas(4) PAIR {
  TYPE x, y;

  PAIR() = default;
  BY_VALUE PAIR(TYPE low, TYPE high) : x(low), y(high) {}
  BY_VALUE PAIR(RAW_PAIR raw) : x(RAW{raw.x}), y(RAW{raw.y}) {}
  OF_MEMORY operator RAW_PAIR() const {
    READING(*this);
    return {x.__x, y.__x};
  }
};
template <>
inline constexpr bool emulator::is_vector<PAIR> = true;

// Conversions.

BY_VALUE TYPE NAMED(__float2, )(float x) { return x; }
BY_VALUE TYPE NAMED(__double2, )(double x) { return x; }
BY_VALUE float NAMED(__, 2float)(TYPE a) { return emulator::FORMAT::to_float(a.__x); }
BY_VALUE unsigned short NAMED(__, _as_ushort)(TYPE a) { return a.__x; }
BY_VALUE short NAMED(__, _as_short)(TYPE a) { return static_cast<short>(a.__x); }
BY_VALUE TYPE NAMED(__ushort_as_, )(unsigned short bits) { return RAW{bits}; }
BY_VALUE TYPE NAMED(__short_as_, )(short bits) { return RAW{static_cast<unsigned short>(bits)}; }

#define BY(suffix, MODE)                                                                          \
  BY_VALUE TYPE NAMED(__float2, suffix)(float x) { return RAW{emulator::narrow<emulator::FORMAT, MODE>(x)}; }
BY(_rn, FE_TONEAREST)
BY(_rz, FE_TOWARDZERO)
BY(_ru, FE_UPWARD)
BY(_rd, FE_DOWNWARD)
#undef BY
#define BY(suffix, MODE, word, I, whole)                                                          \
  BY_VALUE TYPE JOINED(__##word##2, NAME, suffix)(I x) {                                     \
    return RAW{emulator::narrow_integer<emulator::FORMAT, MODE>(x)};                              \
  }                                                                                               \
  BY_VALUE I JOINED(__, NAME, 2##word##suffix)(TYPE a) {                                     \
    return emulator::to_integer<I>(static_cast<float>(whole(emulator::FORMAT::widen(a.__x))));    \
  }
#define WHOLE(word, I)                             \
  BY(_rn, FE_TONEAREST, word, I, std::nearbyint)   \
  BY(_rz, FE_TOWARDZERO, word, I, std::trunc)      \
  BY(_ru, FE_UPWARD, word, I, std::ceil)           \
  BY(_rd, FE_DOWNWARD, word, I, std::floor)
WHOLE(int, int)
WHOLE(uint, unsigned)
WHOLE(short, short)
WHOLE(ushort, unsigned short)
WHOLE(ll, long long)
WHOLE(ull, unsigned long long)
#undef WHOLE
#undef BY
BY_VALUE signed char NAMED(__, 2char_rz)(TYPE a) { return a; }
BY_VALUE unsigned char NAMED(__, 2uchar_rz)(TYPE a) { return a; }

BY_VALUE PAIR NAMED(make_, 2)(TYPE x, TYPE y) { return PAIR(x, y); }
BY_VALUE PAIR JOINED(__halves2, NAME, 2)(TYPE x, TYPE y) { return PAIR(x, y); }
BY_VALUE PAIR JOINED(NAMED(__, 2), NAME, 2)(TYPE x) { return PAIR(x, x); }
BY_VALUE PAIR NAMED(__float2, 2_rn)(float x) { return PAIR(x, x); }
BY_VALUE PAIR NAMED(__floats2, 2_rn)(float x, float y) { return PAIR(x, y); }
BY_VALUE PAIR NAMED(__float22, 2_rn)(float2 x) { return PAIR(x.x, x.y); }
BY_VALUE float2 NAMED(__, 22float2)(PAIR a) { return {float(a.x), float(a.y)}; }
BY_VALUE float __low2float(PAIR a) { return a.x; }
BY_VALUE float __high2float(PAIR a) { return a.y; }
BY_VALUE TYPE NAMED(__low2, )(PAIR a) { return a.x; }
BY_VALUE TYPE NAMED(__high2, )(PAIR a) { return a.y; }
BY_VALUE PAIR NAMED(__low2, 2)(PAIR a) { return PAIR(a.x, a.x); }
BY_VALUE PAIR NAMED(__high2, 2)(PAIR a) { return PAIR(a.y, a.y); }
BY_VALUE PAIR NAMED(__lows2, 2)(PAIR a, PAIR b) { return PAIR(a.x, b.x); }
BY_VALUE PAIR NAMED(__highs2, 2)(PAIR a, PAIR b) { return PAIR(a.y, b.y); }
BY_VALUE PAIR __lowhigh2highlow(PAIR a) { return PAIR(a.y, a.x); }

// Arithmetic. Of a number and NaN the smaller or larger one is the number, but for _nan; -0 is below 0.

BINARY(__hadd, __hadd2, x + y)
BINARY(__hsub, __hsub2, x - y)
BINARY(__hmul, __hmul2, x * y)
BINARY(__hdiv, __h2div, x / y)
BINARY(__hadd_rn, __hadd2_rn, x + y)
BINARY(__hsub_rn, __hsub2_rn, x - y)
BINARY(__hmul_rn, __hmul2_rn, x * y)
BINARY(__hadd_sat, __hadd2_sat, emulator::saturated(x + y))
BINARY(__hsub_sat, __hsub2_sat, emulator::saturated(x - y))
BINARY(__hmul_sat, __hmul2_sat, emulator::saturated(x * y))
BINARY(__hmax, __hmax2, x > y || y != y || (x == y && !std::signbit(x)) ? x : y)
BINARY(__hmin, __hmin2, x < y || y != y || (x == y && std::signbit(x)) ? x : y)
BINARY(__hmax_nan, __hmax2_nan, x > y || x != x || (x == y && !std::signbit(x)) ? x : y)
BINARY(__hmin_nan, __hmin2_nan, x < y || x != x || (x == y && std::signbit(x)) ? x : y)
FUSED(__hfma, __hfma2, )
FUSED(__hfma_sat, __hfma2_sat, emulator::saturated)
FUSED(__hfma_relu, __hfma2_relu, emulator::rectified)
BY_VALUE TYPE __hneg(TYPE a) { return RAW{static_cast<unsigned short>(a.__x ^ 0x8000)}; }
BY_VALUE PAIR __hneg2(PAIR a) { return PAIR(__hneg(a.x), __hneg(a.y)); }
BY_VALUE TYPE __habs(TYPE a) { return RAW{static_cast<unsigned short>(a.__x & 0x7fff)}; }
BY_VALUE PAIR __habs2(PAIR a) { return PAIR(__habs(a.x), __habs(a.y)); }
BY_VALUE PAIR __hcmadd(PAIR a, PAIR b, PAIR c) {  // of complex numbers
  return PAIR(__hfma(__hneg(a.y), b.y, __hfma(a.x, b.x, c.x)), __hfma(a.y, b.x, __hfma(a.x, b.y, c.y)));
}

COMPARED(eq, x == y)
COMPARED(ne, x < y || x > y)
COMPARED(lt, x < y)
COMPARED(le, x <= y)
COMPARED(gt, x > y)
COMPARED(ge, x >= y)
COMPARED(equ, !(x < y || x > y))  // or one is NaN
COMPARED(neu, !(x == y))
COMPARED(ltu, !(x >= y))
COMPARED(leu, !(x > y))
COMPARED(gtu, !(x <= y))
COMPARED(geu, !(x < y))
BY_VALUE bool __hisnan(TYPE a) { return (a.__x & 0x7fff) > emulator::FORMAT::INFINITE; }
BY_VALUE PAIR __hisnan2(PAIR a) { return PAIR(__hisnan(a.x), __hisnan(a.y)); }
BY_VALUE int __hisinf(TYPE a) {
  return (a.__x & 0x7fff) != emulator::FORMAT::INFINITE ? 0 : a.__x >> 15 ? -1 : 1;
}

// Mathematics.

UNARY(hsqrt, h2sqrt, std::sqrt(x))
UNARY(hrsqrt, h2rsqrt, 1 / std::sqrt(x))
UNARY(hrcp, h2rcp, 1 / x)
UNARY(hexp, h2exp, std::exp(x))
UNARY(hexp2, h2exp2, std::exp2(x))
UNARY(hexp10, h2exp10, std::pow(10.0, x))
UNARY(hlog, h2log, std::log(x))
UNARY(hlog2, h2log2, std::log2(x))
UNARY(hlog10, h2log10, std::log10(x))
UNARY(hsin, h2sin, std::sin(x))
UNARY(hcos, h2cos, std::cos(x))
UNARY(htanh, h2tanh, std::tanh(x))
UNARY(htanh_approx, h2tanh_approx, std::tanh(x))
UNARY(hceil, h2ceil, std::ceil(x))
UNARY(hfloor, h2floor, std::floor(x))
UNARY(htrunc, h2trunc, std::trunc(x))
UNARY(hrint, h2rint, std::nearbyint(x))

// Operators. Two pairs compare as both of their numbers do.

#define OPERATOR(sign, of, of_pairs)                                                 \
  BY_VALUE TYPE operator sign(TYPE a, TYPE b) { return of(a, b); }              \
  BY_VALUE PAIR operator sign(PAIR a, PAIR b) { return of_pairs(a, b); }        \
  OF_MEMORY inline TYPE& operator sign##=(TYPE& a, TYPE b) {                         \
    READING(a);                                                                      \
    WRITING(a);                                                                      \
    return a = of(a, b);                                                             \
  }                                                                                  \
  OF_MEMORY inline PAIR& operator sign##=(PAIR& a, PAIR b) {                         \
    READING(a);                                                                      \
    WRITING(a);                                                                      \
    return a = of_pairs(a, b);                                                       \
  }
OPERATOR(+, __hadd, __hadd2)
OPERATOR(-, __hsub, __hsub2)
OPERATOR(*, __hmul, __hmul2)
OPERATOR(/, __hdiv, __h2div)
#undef OPERATOR
#define OPERATOR(sign, T, of)                                                        \
  OF_MEMORY inline T& operator sign##sign(T& a) {                                    \
    READING(a);                                                                      \
    WRITING(a);                                                                      \
    return a = of(1.0f);                                                             \
  }                                                                                  \
  OF_MEMORY inline T operator sign##sign(T& a, int) {                                \
    READING(a);                                                                      \
    WRITING(a);                                                                      \
    const T before = a;                                                              \
    a = of(1.0f);                                                                    \
    return before;                                                                   \
  }                                                                                  \
  BY_VALUE T operator sign(T a)
OPERATOR(+, TYPE, a + TYPE) { return a; }
OPERATOR(-, TYPE, a - TYPE) { return __hneg(a); }
OPERATOR(+, PAIR, a + NAMED(__float2, 2_rn)) { return a; }
OPERATOR(-, PAIR, a - NAMED(__float2, 2_rn)) { return __hneg2(a); }
#undef OPERATOR
#define OPERATOR(sign, name)                                                         \
  BY_VALUE bool operator sign(TYPE a, TYPE b) { return __h##name(a, b); }       \
  BY_VALUE bool operator sign(PAIR a, PAIR b) { return __hb##name##2(a, b); }
OPERATOR(==, eq)
OPERATOR(!=, neu)
OPERATOR(<, lt)
OPERATOR(<=, le)
OPERATOR(>, gt)
OPERATOR(>=, ge)
#undef OPERATOR

// A pair is added to number by number, each at once.
#define ADD(name, scope, T)                                          \
  NOT_INLINED inline T name(T* at, T value) {                        \
    emulator::touch(at, sizeof(T), true, emulator::scope, CALLER);   \
    const T old = *at;                                               \
    *at = old + value;                                               \
    return old;                                                      \
  }
ADD(atomicAdd, DEVICE, TYPE)
ADD(atomicAdd_block, BLOCK, TYPE)
ADD(atomicAdd_system, DEVICE, TYPE)
ADD(atomicAdd, DEVICE, PAIR)
ADD(atomicAdd_block, BLOCK, PAIR)
ADD(atomicAdd_system, DEVICE, PAIR)
#undef ADD

#undef NAMED
#undef JOINED
#undef JOINED_
#undef COMPARED
#undef FUSED
#undef BINARY
#undef UNARY
