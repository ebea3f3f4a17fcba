// CUDA's intrinsics for several numbers in a word: two of 16 bits, or four of 8. (CUDA math API, on SIMD intrinsics and on
// DPX.) Included where a file names one.
#pragma once

#include "intrinsics.h"
#include "vectors.h"

namespace emulator {

template <class T>
inline T kept_within(int x) {  // clamped to the type
  using L = std::numeric_limits<T>;
  return x < L::min() ? L::min() : x > L::max() ? L::max() : static_cast<T>(x);
}
template <class T, class F>
inline unsigned of_each(unsigned a, unsigned b, F compute) {
  unsigned result = 0;
  for (unsigned at = 0; at < 32; at += 8 * sizeof(T))
    result |= static_cast<unsigned>(static_cast<std::make_unsigned_t<T>>(compute(static_cast<T>(a >> at), static_cast<T>(b >> at)))) << at;
  return result;
}
template <class T>
inline unsigned sum_of_differences(unsigned a, unsigned b) {
  unsigned sum = 0;
  for (unsigned at = 0; at < 32; at += 8 * sizeof(T)) {
    const int x = static_cast<T>(a >> at), y = static_cast<T>(b >> at);
    sum += x < y ? y - x : x - y;
  }
  return sum;
}

}  // namespace emulator

#define OF_EACH(name, T, result)                                                            \
  inline unsigned name(unsigned a, unsigned b) {                                            \
    return emulator::of_each<T>(a, b, [](int x, int y) { return static_cast<T>(result); });  \
  }
#define UNARY(name, T, result) \
  inline unsigned name(unsigned a) { return emulator::of_each<T>(a, a, [](int x, int) { return static_cast<T>(result); }); }
#define COMPARED(name, size, T, comparison)                  \
  OF_EACH(__vcmp##name##size, T, x comparison y ? -1 : 0)    \
  OF_EACH(__vset##name##size, T, x comparison y ? 1 : 0)
#define SIZE(size, S, U)                                                               \
  UNARY(__vabs##size, S, x < 0 ? -x : x)                                               \
  UNARY(__vabsss##size, S, emulator::kept_within<S>(x < 0 ? -x : x))                   \
  UNARY(__vneg##size, S, -x)                                                           \
  UNARY(__vnegss##size, S, emulator::kept_within<S>(-x))                               \
  OF_EACH(__vadd##size, U, x + y)                                                      \
  OF_EACH(__vaddss##size, S, emulator::kept_within<S>(x + y))                          \
  OF_EACH(__vaddus##size, U, emulator::kept_within<U>(x + y))                          \
  OF_EACH(__vsub##size, U, x - y)                                                      \
  OF_EACH(__vsubss##size, S, emulator::kept_within<S>(x - y))                          \
  OF_EACH(__vsubus##size, U, emulator::kept_within<U>(x - y))                          \
  OF_EACH(__vabsdiffs##size, S, x < y ? y - x : x - y)                                 \
  OF_EACH(__vabsdiffu##size, U, x < y ? y - x : x - y)                                 \
  OF_EACH(__vavgs##size, S, (x + y + (x + y >= 0)) >> 1) /* a half away from zero */   \
  OF_EACH(__vavgu##size, U, (x + y + 1) >> 1)                                          \
  OF_EACH(__vhaddu##size, U, (x + y) >> 1)                                             \
  OF_EACH(__vmaxs##size, S, x > y ? x : y)                                             \
  OF_EACH(__vmaxu##size, U, x > y ? x : y)                                             \
  OF_EACH(__vmins##size, S, x < y ? x : y)                                             \
  OF_EACH(__vminu##size, U, x < y ? x : y)                                             \
  COMPARED(eq, size, U, ==)                                                            \
  COMPARED(ne, size, U, !=)                                                            \
  COMPARED(ges, size, S, >=)                                                           \
  COMPARED(geu, size, U, >=)                                                           \
  COMPARED(gts, size, S, >)                                                            \
  COMPARED(gtu, size, U, >)                                                            \
  COMPARED(les, size, S, <=)                                                           \
  COMPARED(leu, size, U, <=)                                                           \
  COMPARED(lts, size, S, <)                                                            \
  COMPARED(ltu, size, U, <)                                                            \
  inline unsigned __vsads##size(unsigned a, unsigned b) { return emulator::sum_of_differences<S>(a, b); } \
  inline unsigned __vsadu##size(unsigned a, unsigned b) { return emulator::sum_of_differences<U>(a, b); }
SIZE(2, int16_t, uint16_t)
SIZE(4, int8_t, uint8_t)
#undef SIZE
#undef COMPARED
#undef UNARY

// Dot products of two numbers of 16 bits with the lower or upper two of four of 8.
inline int __dp2a_lo(int a, int b, int c) { return c + (int16_t)a * (int8_t)b + (int16_t)(a >> 16) * (int8_t)(b >> 8); }
inline int __dp2a_hi(int a, int b, int c) { return __dp2a_lo(a, b >> 16, c); }
inline unsigned __dp2a_lo(unsigned a, unsigned b, unsigned c) { return c + (a & 0xffff) * (b & 0xff) + (a >> 16) * (b >> 8 & 0xff); }
inline unsigned __dp2a_hi(unsigned a, unsigned b, unsigned c) { return __dp2a_lo(a, b >> 16, c); }
inline int __dp2a_lo(short2 a, char4 b, int c) { return c + a.x * b.x + a.y * b.y; }
inline int __dp2a_hi(short2 a, char4 b, int c) { return c + a.x * b.z + a.y * b.w; }
inline unsigned __dp2a_lo(ushort2 a, uchar4 b, unsigned c) { return c + a.x * b.x + a.y * b.y; }
inline unsigned __dp2a_hi(ushort2 a, uchar4 b, unsigned c) { return c + a.x * b.z + a.y * b.w; }
inline int __dp4a(char4 a, char4 b, int c) { return c + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }
inline unsigned __dp4a(uchar4 a, uchar4 b, unsigned c) { return c + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

// Sums, the largest and the smallest in one (DPX): of 32 bits, and of two of 16; none below 0 with relu.
#define OF_WORDS(suffix, T, least)                                                                                     \
  inline T __viaddmax_##suffix(T a, T b, T c) { return max(max(static_cast<T>((unsigned)a + (unsigned)b), c), T(least)); } \
  inline T __viaddmin_##suffix(T a, T b, T c) { return max(min(static_cast<T>((unsigned)a + (unsigned)b), c), T(least)); } \
  inline T __vimax3_##suffix(T a, T b, T c) { return max(max(max(a, b), c), T(least)); }                                \
  inline T __vimin3_##suffix(T a, T b, T c) { return max(min(min(a, b), c), T(least)); }
OF_WORDS(s32, int, INT_MIN)
OF_WORDS(s32_relu, int, 0)
OF_WORDS(u32, unsigned, 0)
#undef OF_WORDS
inline int __vimax_s32_relu(int a, int b) { return max(max(a, b), 0); }
inline int __vimin_s32_relu(int a, int b) { return max(min(a, b), 0); }
#define OF_HALVES(suffix, T, least)                                                                                    \
  OF_EACH(emulated_vmax_##suffix, T, max(max(x, y), least))                                                            \
  OF_EACH(emulated_vmin_##suffix, T, max(min(x, y), least))                                                            \
  inline unsigned __viaddmax_##suffix(unsigned a, unsigned b, unsigned c) { return emulated_vmax_##suffix(__vadd2(a, b), c); } \
  inline unsigned __viaddmin_##suffix(unsigned a, unsigned b, unsigned c) { return emulated_vmin_##suffix(__vadd2(a, b), c); }
OF_HALVES(s16x2, int16_t, -32768)
OF_HALVES(s16x2_relu, int16_t, 0)
OF_HALVES(u16x2, uint16_t, 0)
#undef OF_HALVES
inline unsigned __vimax3_s16x2(unsigned a, unsigned b, unsigned c) { return __vmaxs2(__vmaxs2(a, b), c); }
inline unsigned __vimin3_s16x2(unsigned a, unsigned b, unsigned c) { return __vmins2(__vmins2(a, b), c); }
inline unsigned __vimax3_u16x2(unsigned a, unsigned b, unsigned c) { return __vmaxu2(__vmaxu2(a, b), c); }
inline unsigned __vimin3_u16x2(unsigned a, unsigned b, unsigned c) { return __vminu2(__vminu2(a, b), c); }
inline unsigned __vimax3_s16x2_relu(unsigned a, unsigned b, unsigned c) { return __vmaxs2(__vimax3_s16x2(a, b, c), 0); }
inline unsigned __vimin3_s16x2_relu(unsigned a, unsigned b, unsigned c) { return __vmaxs2(__vimin3_s16x2(a, b, c), 0); }
inline unsigned __vimax_s16x2_relu(unsigned a, unsigned b) { return __vmaxs2(__vmaxs2(a, b), 0); }
inline unsigned __vimin_s16x2_relu(unsigned a, unsigned b) { return __vmaxs2(__vmins2(a, b), 0); }

// And which of the two it was: whether it was the first.
#define WITH_CHOICE(suffix, T)                                                                              \
  inline T __vibmax_##suffix(T a, T b, bool* first) { return *first = a >= b, a >= b ? a : b; }              \
  inline T __vibmin_##suffix(T a, T b, bool* first) { return *first = a <= b, a <= b ? a : b; }
WITH_CHOICE(s32, int)
WITH_CHOICE(u32, unsigned)
#undef WITH_CHOICE
#define WITH_CHOICE(name, T, result, sign)                                                                  \
  inline unsigned name(unsigned a, unsigned b, bool* upper, bool* lower) {                                  \
    *lower = static_cast<T>(a) sign static_cast<T>(b), *upper = static_cast<T>(a >> 16) sign static_cast<T>(b >> 16); \
    return result(a, b);                                                                                    \
  }
WITH_CHOICE(__vibmax_s16x2, int16_t, __vmaxs2, >=)
WITH_CHOICE(__vibmin_s16x2, int16_t, __vmins2, <=)
WITH_CHOICE(__vibmax_u16x2, uint16_t, __vmaxu2, >=)
WITH_CHOICE(__vibmin_u16x2, uint16_t, __vminu2, <=)
#undef WITH_CHOICE
#undef OF_EACH
