// CUDA's vector types: float1 to float4 and their like, aligned as CUDA aligns them, with make_*.
#pragma once

namespace emulator {
template <class T>
constexpr bool is_vector = false;
template <class T>
constexpr char class_kind = 0;  // the kind of a class that is a number, as in device.h
}

#define VECTORS(name, T, two, four)                                                     \
  struct name##1 { T x; };                                                              \
  struct alignas(two) name##2 { T x, y; };                                              \
  struct name##3 { T x, y, z; };                                                        \
  struct alignas(four) name##4 { T x, y, z, w; };                                       \
  template <> inline constexpr bool emulator::is_vector<name##1> = true;                       \
  template <> inline constexpr bool emulator::is_vector<name##2> = true;                       \
  template <> inline constexpr bool emulator::is_vector<name##3> = true;                       \
  template <> inline constexpr bool emulator::is_vector<name##4> = true;                       \
  inline name##1 make_##name##1(T x) { return {x}; }                                    \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                            \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                    \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTORS(char, signed char, 2, 4)
VECTORS(uchar, unsigned char, 2, 4)
VECTORS(short, short, 4, 8)
VECTORS(ushort, unsigned short, 4, 8)
VECTORS(int, int, 8, 16)
VECTORS(uint, unsigned, 8, 16)
VECTORS(long, long, 16, 16)
VECTORS(ulong, unsigned long, 16, 16)
VECTORS(longlong, long long, 16, 16)
VECTORS(ulonglong, unsigned long long, 16, 16)
VECTORS(float, float, 8, 16)
VECTORS(double, double, 16, 16)
#undef VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
