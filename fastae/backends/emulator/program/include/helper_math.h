// Arithmetic of float2 to float4, int2 to int4 and uint2 to uint4, as the header of CUDA's samples has it.
#pragma once
#include <cmath>
#include <type_traits>

typedef unsigned int uint;
typedef unsigned short ushort;

#define BOTH inline __host__ __device__

namespace helper_math {
template <class V>
struct Vector {
  static constexpr int length = 0;
};
#define VECTOR(name, T)                       \
  template <>                                 \
  struct Vector<name##2> {                    \
    static constexpr int length = 2;          \
    using type = T;                           \
  };                                          \
  template <>                                 \
  struct Vector<name##3> {                    \
    static constexpr int length = 3;          \
    using type = T;                           \
  };                                          \
  template <>                                 \
  struct Vector<name##4> {                    \
    static constexpr int length = 4;          \
    using type = T;                           \
  };
VECTOR(float, float)
VECTOR(int, int)
VECTOR(uint, unsigned)
#undef VECTOR

template <class V>
using Of = std::enable_if_t<(Vector<V>::length > 0), typename Vector<V>::type>;
template <class V>
using OfFloats = std::enable_if_t<std::is_same_v<Of<V>, float>, float>;

template <class F, class V, class... More>
BOTH V each(F f, V a, More... more) {
  if constexpr (Vector<V>::length == 2) return V{f(a.x, more.x...), f(a.y, more.y...)};
  if constexpr (Vector<V>::length == 3) return V{f(a.x, more.x...), f(a.y, more.y...), f(a.z, more.z...)};
  if constexpr (Vector<V>::length == 4)
    return V{f(a.x, more.x...), f(a.y, more.y...), f(a.z, more.z...), f(a.w, more.w...)};
}
template <class V>
BOTH Of<V> sum(V a) {
  if constexpr (Vector<V>::length == 2) return a.x + a.y;
  if constexpr (Vector<V>::length == 3) return a.x + a.y + a.z;
  if constexpr (Vector<V>::length == 4) return a.x + a.y + a.z + a.w;
}
}  // namespace helper_math

#define OPERATOR(o)                                                                                              \
  template <class V, class T = helper_math::Of<V>>                                                               \
  BOTH V operator o(V a, V b) {                                                                                  \
    return helper_math::each([](T x, T y) { return T(x o y); }, a, b);                                           \
  }                                                                                                              \
  template <class V, class T = helper_math::Of<V>>                                                               \
  BOTH V operator o(V a, std::common_type_t<T> b) {                                                              \
    return helper_math::each([b](T x) { return T(x o b); }, a);                                                  \
  }                                                                                                              \
  template <class V, class T = helper_math::Of<V>>                                                               \
  BOTH V operator o(std::common_type_t<T> a, V b) {                                                              \
    return helper_math::each([a](T x) { return T(a o x); }, b);                                                  \
  }                                                                                                              \
  template <class V, class B, class T = helper_math::Of<V>>                                                      \
  BOTH void operator o##=(V& a, B b) {                                                                           \
    a = a o b;                                                                                                   \
  }
OPERATOR(+)
OPERATOR(-)
OPERATOR(*)
OPERATOR(/)
#undef OPERATOR
template <class V, class T = helper_math::Of<V>>
BOTH V operator-(V a) {
  return helper_math::each([](T x) { return T(-x); }, a);
}

#define EACH(name, result)                                               \
  template <class V, class T = helper_math::Of<V>>                       \
  BOTH V name(V a, V b) {                                                \
    return helper_math::each([](T x, T y) { return T(result); }, a, b);  \
  }
EACH(fminf, x < y ? x : y)
EACH(fmaxf, x > y ? x : y)
EACH(min, x < y ? x : y)
EACH(max, x > y ? x : y)
EACH(fmodf, ::fmodf(x, y))
#undef EACH
#define EACH(name, result)                                      \
  template <class V, class T = helper_math::Of<V>>              \
  BOTH V name(V a) {                                            \
    return helper_math::each([](T x) { return T(result); }, a); \
  }
EACH(fabs, x < 0 ? -x : x)
EACH(abs, x < 0 ? -x : x)
EACH(floorf, ::floorf(x))
EACH(fracf, x - ::floorf(x))
#undef EACH
BOTH float fracf(float x) { return x - floorf(x); }

template <class V, class T = helper_math::Of<V>>
BOTH T dot(V a, V b) {
  return helper_math::sum(a * b);
}
template <class V, class T = helper_math::OfFloats<V>>
BOTH float length(V a) {
  return sqrtf(dot(a, a));
}
template <class V, class T = helper_math::OfFloats<V>>
BOTH V normalize(V a) {
  return a * (1 / sqrtf(dot(a, a)));
}
BOTH float3 cross(float3 a, float3 b) { return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
template <class V, class T = helper_math::OfFloats<V>>
BOTH V reflect(V i, V n) {
  return i - n * (2 * dot(n, i));
}

BOTH float lerp(float a, float b, float t) { return a + t * (b - a); }
template <class V, class T = helper_math::OfFloats<V>>
BOTH V lerp(V a, V b, float t) {
  return a + t * (b - a);
}
BOTH float clamp(float x, float least, float most) { return fmaxf(least, fminf(x, most)); }
BOTH int clamp(int x, int least, int most) { return max(least, min(x, most)); }
BOTH uint clamp(uint x, uint least, uint most) { return max(least, min(x, most)); }
template <class V, class T = helper_math::Of<V>>
BOTH V clamp(V x, V least, V most) {
  return max(least, min(x, most));
}
template <class V, class T = helper_math::Of<V>>
BOTH V clamp(V x, std::common_type_t<T> least, std::common_type_t<T> most) {
  return helper_math::each([=](T x) { return x < least ? least : x > most ? most : x; }, x);
}
BOTH float smoothstep(float a, float b, float x) {
  const float y = clamp((x - a) / (b - a), 0.0f, 1.0f);
  return y * y * (3 - 2 * y);
}
template <class V, class T = helper_math::OfFloats<V>>
BOTH V smoothstep(V a, V b, V x) {
  return helper_math::each([](float a, float b, float x) { return smoothstep(a, b, x); }, a, b, x);
}

// Vectors of other vectors, and of one number.
#define MADE(name, T)                                                                         \
  BOTH name##2 make_##name##2(T s) { return {s, s}; }                                         \
  BOTH name##3 make_##name##3(T s) { return {s, s, s}; }                                      \
  BOTH name##4 make_##name##4(T s) { return {s, s, s, s}; }                                   \
  BOTH name##2 make_##name##2(name##3 a) { return {a.x, a.y}; }                               \
  BOTH name##3 make_##name##3(name##2 a, T z = 0) { return {a.x, a.y, z}; }                   \
  BOTH name##3 make_##name##3(name##4 a) { return {a.x, a.y, a.z}; }                          \
  BOTH name##4 make_##name##4(name##3 a, T w = 0) { return {a.x, a.y, a.z, w}; }
MADE(float, float)
MADE(int, int)
MADE(uint, unsigned)
#undef MADE
#define MADE(name, T, other)                                                                   \
  BOTH name##2 make_##name##2(other##2 a) { return {T(a.x), T(a.y)}; }                         \
  BOTH name##3 make_##name##3(other##3 a) { return {T(a.x), T(a.y), T(a.z)}; }                 \
  BOTH name##4 make_##name##4(other##4 a) { return {T(a.x), T(a.y), T(a.z), T(a.w)}; }
MADE(float, float, int)
MADE(float, float, uint)
MADE(int, int, float)
MADE(int, int, uint)
MADE(uint, unsigned, int)
#undef MADE
#undef BOTH
