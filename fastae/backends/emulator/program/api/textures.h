// Arrays, textures and surfaces: what a program has of CUDA's API for them, and what a kernel reads and writes. Included
// where a file names one. (CUDA C++ programming guide, on texture and surface memory and on texture fetching.)
#pragma once

#include "language/halves.h"

enum cudaChannelFormatKind {
  cudaChannelFormatKindSigned, cudaChannelFormatKindUnsigned, cudaChannelFormatKindFloat, cudaChannelFormatKindNone
};
struct cudaChannelFormatDesc {
  int x, y, z, w;  // bits of each channel
  cudaChannelFormatKind f;
};
inline cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w, cudaChannelFormatKind f) { return {x, y, z, w, f}; }
enum { cudaArrayDefault = 0, cudaArrayLayered = 1, cudaArraySurfaceLoadStore = 2, cudaArrayCubemap = 4, cudaArrayTextureGather = 8 };

enum cudaTextureAddressMode { cudaAddressModeWrap, cudaAddressModeClamp, cudaAddressModeMirror, cudaAddressModeBorder };
enum cudaTextureFilterMode { cudaFilterModePoint, cudaFilterModeLinear };
enum cudaTextureReadMode { cudaReadModeElementType, cudaReadModeNormalizedFloat };
struct cudaTextureDesc {
  cudaTextureAddressMode addressMode[3];
  cudaTextureFilterMode filterMode;
  cudaTextureReadMode readMode;
  int sRGB;
  float borderColor[4];
  int normalizedCoords;
  unsigned maxAnisotropy;
  cudaTextureFilterMode mipmapFilterMode;
  float mipmapLevelBias, minMipmapLevelClamp, maxMipmapLevelClamp;
  int disableTrilinearOptimization, seamlessCubemap;
};
enum cudaResourceType { cudaResourceTypeArray, cudaResourceTypeMipmappedArray, cudaResourceTypeLinear, cudaResourceTypePitch2D };
struct cudaResourceDesc {
  cudaResourceType resType;
  union {
    struct {
      cudaArray_t array;
    } array;
    struct {
      void* devPtr;
      cudaChannelFormatDesc desc;
      size_t sizeInBytes;
    } linear;
    struct {
      void* devPtr;
      cudaChannelFormatDesc desc;
      size_t width, height, pitchInBytes;
    } pitch2D;
  } res;
  unsigned flags;
};
struct cudaResourceViewDesc;
using cudaTextureObject_t = unsigned long long;
using cudaSurfaceObject_t = unsigned long long;
enum cudaSurfaceBoundaryMode { cudaBoundaryModeZero, cudaBoundaryModeClamp, cudaBoundaryModeTrap };

namespace emulator {

UNSEEN inline size_t bytes_of(const cudaChannelFormatDesc& desc) { return (desc.x + desc.y + desc.z + desc.w) / 8; }

struct Texture {
  char* data;
  cudaChannelFormatDesc desc;
  cudaExtent extent;  // in elements; no height or depth if it has fewer dimensions
  size_t pitch;
  cudaTextureDesc how;
  bool is_linear;
  size_t reach() const {  // in bytes
    const size_t rows = (extent.height ? extent.height : 1) * (extent.depth ? extent.depth : 1);
    return (rows - 1) * pitch + extent.width * bytes_of(desc);
  }
};

template <class T, class = void>
struct Channels {
  static constexpr int count = 1;
  using type = T;
};
template <class T>
struct Channels<T, std::enable_if_t<is_vector<T>>> {
  using type = decltype(T::x);
  static constexpr int count = sizeof(T) / sizeof(type);
};

// Where a coordinate leads, by its mode; -1 for the border.
UNSEEN inline long place_by(cudaTextureAddressMode mode, bool normalized, long i, long n) {
  if (mode == cudaAddressModeBorder) return i < 0 || i >= n ? -1 : i;
  if (normalized && mode == cudaAddressModeWrap) return (i % n + n) % n;
  if (normalized && mode == cudaAddressModeMirror) {
    const long turned = (i % (2 * n) + 2 * n) % (2 * n);
    return turned < n ? turned : 2 * n - 1 - turned;
  }
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

// A channel of the element at an address, as floating point from 0 or -1 to 1 where the texture says so.
template <class C>
UNSEEN C channel_at(const Texture& t, const char* at, int number) {
  const int bits[4] = {t.desc.x, t.desc.y, t.desc.z, t.desc.w};
  if (!bits[number]) return C(0);
  for (int i = 0; i < number; ++i) at += bits[i] / 8;
  const auto as = [&](auto value) UNSEEN {
    __builtin_memcpy(&value, at, sizeof value);
    return value;
  };
  if constexpr (std::is_floating_point_v<C>) {
    if (t.how.readMode == cudaReadModeNormalizedFloat && t.desc.f != cudaChannelFormatKindFloat) {
      if (t.desc.f == cudaChannelFormatKindUnsigned) return bits[number] == 8 ? as(uint8_t()) / 255.0f : as(uint16_t()) / 65535.0f;
      const float value = bits[number] == 8 ? as(int8_t()) / 127.0f : as(int16_t()) / 32767.0f;
      return value < -1 ? -1 : value;
    }
    if (t.desc.f == cudaChannelFormatKindFloat && bits[number] == 16) return Binary16::to_float(as(uint16_t()));
  }
  if (bits[number] == 8 * static_cast<int>(sizeof(C))) return as(C());
  return C(0);
}

template <class T>
UNSEEN T texel(const Texture& t, long x, long y, long z, const void* where) {
  using C = typename Channels<T>::type;
  T result{};
  C* const channels = reinterpret_cast<C*>(&result);
  const bool normalized = t.how.normalizedCoords;
  x = place_by(t.how.addressMode[0], normalized, x, t.extent.width);
  y = t.extent.height ? place_by(t.how.addressMode[1], normalized, y, t.extent.height) : 0;
  z = t.extent.depth ? place_by(t.how.addressMode[2], normalized, z, t.extent.depth) : 0;
  if (x < 0 || y < 0 || z < 0) {
    for (int i = 0; i < Channels<T>::count; ++i) channels[i] = static_cast<C>(t.how.borderColor[i]);
    return result;
  }
  const size_t bytes = bytes_of(t.desc), rows = t.extent.height ? t.extent.height : 1;
  const char* const at = t.data + (z * rows + y) * t.pitch + x * bytes;
#ifdef SEEING
  access_whole(at, bytes, bytes & -bytes, false, where);
#endif
  for (int i = 0; i < Channels<T>::count; ++i) channels[i] = channel_at<C>(t, at, i);
  return result;
}

// The element at a place; or, of a linear filter, a mean of those around, whose weights have 8 bits.
template <class T>
UNSEEN T sampled(cudaTextureObject_t object, int dimensions, float x, float y, float z, const void* where) {
  const Texture& t = *reinterpret_cast<const Texture*>(object);
  if (t.how.normalizedCoords) x *= t.extent.width, y *= t.extent.height, z *= t.extent.depth;
  if (t.how.filterMode == cudaFilterModePoint)
    return texel<T>(t, static_cast<long>(std::floor(x)), static_cast<long>(std::floor(y)), static_cast<long>(std::floor(z)), where);
  using C = typename Channels<T>::type;
  const float at[3] = {x - 0.5f, y - 0.5f, z - 0.5f};
  long first[3] = {};
  float weight[3] = {};
  for (int i = 0; i < dimensions; ++i)
    first[i] = static_cast<long>(std::floor(at[i])), weight[i] = std::nearbyint((at[i] - std::floor(at[i])) * 256) / 256;
  double sums[4] = {};
  for (int corner = 0; corner < 1 << dimensions; ++corner) {
    double share = 1;
    long place[3] = {};
    for (int i = 0; i < dimensions; ++i) place[i] = first[i] + (corner >> i & 1), share *= corner >> i & 1 ? weight[i] : 1 - weight[i];
    if (share == 0) continue;
    const T one = texel<T>(t, place[0], place[1], place[2], where);
    for (int i = 0; i < Channels<T>::count; ++i) sums[i] += share * static_cast<double>(reinterpret_cast<const C*>(&one)[i]);
  }
  T result{};
  for (int i = 0; i < Channels<T>::count; ++i) reinterpret_cast<C*>(&result)[i] = static_cast<C>(sums[i]);
  return result;
}

template <class T>
UNSEEN char* surface_place(cudaSurfaceObject_t object, long x, long y, long z, cudaSurfaceBoundaryMode mode, bool is_write, const void* where) {
  const Texture& t = *reinterpret_cast<const Texture*>(object);
  const long width = static_cast<long>(t.extent.width * bytes_of(t.desc)), size = sizeof(T);
  const long height = t.extent.height ? t.extent.height : 1, depth = t.extent.depth ? t.extent.depth : 1;
  if (mode == cudaBoundaryModeClamp) {
    x = x < 0 ? 0 : x > width - size ? width - size : x;
    y = y < 0 ? 0 : y >= height ? height - 1 : y, z = z < 0 ? 0 : z >= depth ? depth - 1 : z;
  }
  const bool inside = x >= 0 && x + size <= width && y >= 0 && y < height && z >= 0 && z < depth;
  if (!inside && mode == cudaBoundaryModeZero) return nullptr;
  if (!inside) fail_assertion("a surface is read or written within its array: x in bytes, y and z in rows and slices", where);
  char* const at = t.data + (z * height + y) * t.pitch + x;
#ifdef SEEING
  access_whole(at, sizeof(T), sizeof(T) & -sizeof(T), is_write, where);
#endif
  return at;
}

}  // namespace emulator

struct cudaArray {
  cudaChannelFormatDesc desc;
  cudaExtent extent;
  size_t pitch;
  char* data;
  size_t element() const { return emulator::bytes_of(desc); }
};

template <class T>
cudaChannelFormatDesc cudaCreateChannelDesc() {
  using Of = emulator::Channels<T>;
  using C = typename Of::type;
  constexpr int bits = 8 * sizeof(C), n = Of::count;
  constexpr bool is_float = std::is_floating_point_v<C> || emulator::class_kind<C> == 'f';
  constexpr auto kind = is_float ? cudaChannelFormatKindFloat : std::is_signed_v<C> ? cudaChannelFormatKindSigned : cudaChannelFormatKindUnsigned;
  return {bits, n > 1 ? bits : 0, n > 2 ? bits : 0, n > 3 ? bits : 0, kind};
}

#define HERE emulator::At at = emulator::At::here()
cudaError_t cudaMallocArray(cudaArray_t* array, const cudaChannelFormatDesc* desc, size_t width, size_t height = 0, unsigned flags = 0, HERE);
cudaError_t cudaMalloc3DArray(cudaArray_t* array, const cudaChannelFormatDesc* desc, cudaExtent extent, unsigned flags = 0, HERE);
cudaError_t cudaFreeArray(cudaArray_t array, HERE);
cudaError_t cudaArrayGetInfo(cudaChannelFormatDesc* desc, cudaExtent* extent, unsigned* flags, cudaArray_t array);
cudaError_t cudaGetChannelDesc(cudaChannelFormatDesc* desc, cudaArray_const_t array);
cudaError_t cudaMemcpy2DToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width, size_t height,
                                cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width, size_t height,
                                     cudaMemcpyKind kind, cudaStream_t stream = nullptr, HERE);
cudaError_t cudaMemcpy2DFromArray(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y, size_t width, size_t height,
                                  cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpyToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t count, cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpyFromArray(void* to, cudaArray_const_t from, size_t x, size_t y, size_t count, cudaMemcpyKind kind, HERE);
cudaError_t cudaCreateTextureObject(cudaTextureObject_t* object, const cudaResourceDesc* resource, const cudaTextureDesc* texture,
                                    const cudaResourceViewDesc* view = nullptr, HERE);
cudaError_t cudaDestroyTextureObject(cudaTextureObject_t object, HERE);
cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t* object, const cudaResourceDesc* resource, HERE);
cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t object, HERE);
#undef HERE

// What kernels call.
template <class T>
NOT_INLINED T tex1Dfetch(cudaTextureObject_t object, int x) {  // beyond the memory 0
  const auto& t = *reinterpret_cast<const emulator::Texture*>(object);
  if (x < 0 || static_cast<size_t>(x) >= t.extent.width) return T{};
  return emulator::texel<T>(t, x, 0, 0, CALLER);
}
#define SAMPLED(name, dimensions, x, y, z, ...)                                          \
  template <class T>                                                                     \
  NOT_INLINED T name(cudaTextureObject_t object, __VA_ARGS__) {                          \
    return emulator::sampled<T>(object, dimensions, x, y, z, CALLER);                    \
  }
SAMPLED(tex1D, 1, x, 0, 0, float x)
SAMPLED(tex2D, 2, x, y, 0, float x, float y)
SAMPLED(tex3D, 3, x, y, z, float x, float y, float z)
SAMPLED(tex1DLod, 1, x, 0, 0, float x, float)
SAMPLED(tex2DLod, 2, x, y, 0, float x, float y, float)
SAMPLED(tex3DLod, 3, x, y, z, float x, float y, float z, float)
#undef SAMPLED
template <class T>
NOT_INLINED T tex2DLayered(cudaTextureObject_t object, float x, float y, int layer) {
  const auto& t = *reinterpret_cast<const emulator::Texture*>(object);
  const long most = static_cast<long>(t.extent.depth ? t.extent.depth : 1) - 1;
  const float z = static_cast<float>(layer < 0 ? 0 : layer > most ? most : layer) + 0.5f;
  return emulator::sampled<T>(object, 2, x, y, t.how.normalizedCoords ? z / t.extent.depth : z, CALLER);
}
template <class T>
UNSEEN void tex1Dfetch(T* to, cudaTextureObject_t object, int x) { *to = tex1Dfetch<T>(object, x); }
template <class T>
UNSEEN void tex2D(T* to, cudaTextureObject_t object, float x, float y) { *to = tex2D<T>(object, x, y); }

#define ON_SURFACE(name, x, y, z, ...)                                                                                        \
  template <class T>                                                                                                          \
  NOT_INLINED T name##read(cudaSurfaceObject_t object, __VA_ARGS__, cudaSurfaceBoundaryMode mode = cudaBoundaryModeTrap) {    \
    T value{};                                                                                                                \
    const char* const at = emulator::surface_place<T>(object, x, y, z, mode, false, CALLER);                                  \
    if (at) __builtin_memcpy(&value, at, sizeof(T));                                                                          \
    return value;                                                                                                             \
  }                                                                                                                           \
  template <class T>                                                                                                          \
  NOT_INLINED void name##write(T value, cudaSurfaceObject_t object, __VA_ARGS__, cudaSurfaceBoundaryMode mode = cudaBoundaryModeTrap) { \
    char* const at = emulator::surface_place<T>(object, x, y, z, mode, true, CALLER);                                         \
    if (at) __builtin_memcpy(at, &value, sizeof(T));                                                                          \
  }
ON_SURFACE(surf1D, x, 0, 0, int x)
ON_SURFACE(surf2D, x, y, 0, int x, int y)
ON_SURFACE(surf3D, x, y, z, int x, int y, int z)
#undef ON_SURFACE
template <class T>
UNSEEN void surf2Dread(T* to, cudaSurfaceObject_t object, int x, int y, cudaSurfaceBoundaryMode mode = cudaBoundaryModeTrap) {
  *to = surf2Dread<T>(object, x, y, mode);
}
