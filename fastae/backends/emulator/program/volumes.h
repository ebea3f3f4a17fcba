// Memory of three dimensions, arrays, textures, and pools. The rows of a slice are a pitch apart.
#pragma once

namespace emulator {

constexpr size_t PITCH = 512;

struct Volume {  // one end of a copy, with the bytes between its rows and slices
  char* at;
  size_t pitch, slice, left;  // rows of a slice from here on
};

inline cudaError_t copy_volume(const Entered& call, const cudaMemcpy3DParms* p, cudaStream_t stream, bool waits) {
  if (!p) return call.wrong(cudaErrorInvalidValue, "there is no description of the copy");
  if (!is_stream(stream)) return call.wrong(cudaErrorInvalidResourceHandle, "the stream does not exist");
  if ((p->srcArray != nullptr) == (p->srcPtr.ptr != nullptr) || (p->dstArray != nullptr) == (p->dstPtr.ptr != nullptr))
    return call.wrong(cudaErrorInvalidValue, "each end is an array or a pitched pointer: one of srcArray and srcPtr, and of dstArray and dstPtr");
  const cudaArray_t array = p->srcArray ? p->srcArray : p->dstArray;
  const size_t element = array ? array->element() : 1;
  const size_t width = p->extent.width * element, height = p->extent.height, depth = p->extent.depth;
  if (!width || !height || !depth) return cudaSuccess;
  std::string wrong;
  const auto end_of = [&](const char* what, cudaArray_t of, const cudaPitchedPtr& given, const cudaPos& pos) -> Volume {
    if (of) {
      const cudaExtent& e = of->extent;
      if (pos.x + p->extent.width > e.width || pos.y + height > std::max<size_t>(e.height, 1) || pos.z + depth > std::max<size_t>(e.depth, 1))
        wrong = text("the %s goes beyond the array, of %zu x %zu x %zu elements", what, e.width, e.height, e.depth);
      const size_t slice = of->pitch * std::max<size_t>(e.height, 1);
      return {of->data + pos.z * slice + pos.y * of->pitch + pos.x * of->element(), of->pitch, slice, height};
    }
    if (width + pos.x > given.pitch) wrong = text("rows of %zu bytes at the %s are wider than its pitch, %zu", width + pos.x, what, given.pitch);
    const size_t rows = std::max<size_t>(given.ysize, height + pos.y);
    if (depth > 1 && given.ysize < height + pos.y)
      wrong = text("%zu rows at the %s are more than its ysize, %zu", height + pos.y, what, given.ysize);
    const size_t slice = given.pitch * rows;
    return {static_cast<char*>(given.ptr) + pos.z * slice + pos.y * given.pitch + pos.x, given.pitch, slice, height};
  };
  const Volume from = end_of("source", p->srcArray, p->srcPtr, p->srcPos), to = end_of("destination", p->dstArray, p->dstPtr, p->dstPos);
  if (!wrong.empty()) return call.wrong(cudaErrorInvalidValue, wrong);
  const auto reach = [&](const Volume& v) { return (depth - 1) * v.slice + (height - 1) * v.pitch + width; };
  const cudaError_t error = check_copy(call, to.at, reach(to), from.at, reach(from), p->kind);
  if (error != cudaSuccess) return error;
  submit(stream, [=] {
    for (size_t z = 0; z < depth; ++z) move(to.at + z * to.slice, to.pitch, from.at + z * from.slice, from.pitch, width, height);
  });
  return waits ? waited() : cudaSuccess;
}

inline cudaError_t fill_volume(const Entered& call, cudaPitchedPtr to, int value, cudaExtent extent, cudaStream_t stream) {
  if (extent.width > to.pitch) return call.wrong(cudaErrorInvalidValue, text("rows of %zu bytes are wider than the pitch, %zu", extent.width, to.pitch));
  for (size_t z = 0; z < extent.depth; ++z) {
    const cudaError_t error = fill_in(call, static_cast<char*>(to.ptr) + z * to.pitch * to.ysize, to.pitch, value, extent.width, extent.height, stream);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace emulator

cudaError_t cudaMalloc3D(cudaPitchedPtr* pointer, cudaExtent extent, emulator::At at) {
  ENTER("cudaMalloc3D");
  if (!pointer) return call.wrong(cudaErrorInvalidValue, "the place for the pointer is null");
  *pointer = {nullptr, (extent.width + PITCH - 1) / PITCH * PITCH, extent.width, extent.height};
  return allocate_in(call, &pointer->ptr, pointer->pitch * extent.height * extent.depth, OF_DEVICE);
}
cudaError_t cudaMemset3D(cudaPitchedPtr to, int value, cudaExtent extent, emulator::At at) {
  ENTER("cudaMemset3D");
  return fill_volume(call, to, value, extent, nullptr);
}
cudaError_t cudaMemset3DAsync(cudaPitchedPtr to, int value, cudaExtent extent, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemset3DAsync");
  return fill_volume(call, to, value, extent, stream);
}
cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* copy, emulator::At at) {
  ENTER("cudaMemcpy3D");
  return copy_volume(call, copy, nullptr, true);
}
cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* copy, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemcpy3DAsync");
  return copy_volume(call, copy, stream, false);
}

// Arrays.
static cudaError_t new_array(const emulator::Entered& call, cudaArray_t* array, const cudaChannelFormatDesc* desc, cudaExtent extent) {
  using namespace emulator;
  if (!array || !desc || !extent.width) return call.wrong(cudaErrorInvalidValue, "an array has a place for its handle, a format and a width");
  const auto made = std::make_unique<cudaArray>(cudaArray{*desc, extent, 0, nullptr});
  made->pitch = (extent.width * made->element() + 31) / 32 * 32;
  void* data = nullptr;
  const size_t rows = std::max<size_t>(extent.height, 1) * std::max<size_t>(extent.depth, 1);
  const cudaError_t error = allocate_in(call, &data, made->pitch * rows, OF_DEVICE);
  if (error != cudaSuccess) return error;
  made->data = static_cast<char*>(data);
  *array = new cudaArray(*made);
  return cudaSuccess;
}
cudaError_t cudaMallocArray(cudaArray_t* array, const cudaChannelFormatDesc* desc, size_t width, size_t height, unsigned, emulator::At at) {
  ENTER("cudaMallocArray");
  return new_array(call, array, desc, {width, height, 0});
}
cudaError_t cudaMalloc3DArray(cudaArray_t* array, const cudaChannelFormatDesc* desc, cudaExtent extent, unsigned flags, emulator::At at) {
  ENTER("cudaMalloc3DArray");
  if (flags & cudaArrayCubemap) return call.wrong(cudaErrorNotSupported, "cubemaps are not emulated");
  return new_array(call, array, desc, extent);
}
cudaError_t cudaFreeArray(cudaArray_t array, emulator::At at) {
  ENTER("cudaFreeArray");
  if (!array) return cudaSuccess;
  const cudaError_t error = free_in(call, array->data, false);
  if (error == cudaSuccess) delete array;
  return error;
}
cudaError_t cudaArrayGetInfo(cudaChannelFormatDesc* desc, cudaExtent* extent, unsigned* flags, cudaArray_t array) {
  if (desc) *desc = array->desc;
  if (extent) *extent = array->extent;
  if (flags) *flags = 0;
  return cudaSuccess;
}
cudaError_t cudaGetChannelDesc(cudaChannelFormatDesc* desc, cudaArray_const_t array) {
  *desc = array->desc;
  return cudaSuccess;
}
static cudaError_t copy_array(const emulator::Entered& call, cudaArray_const_t array, size_t x, size_t y, void* other, size_t pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream, bool to, bool waits) {
  using namespace emulator;
  if (!array) return call.wrong(cudaErrorInvalidValue, "there is no array");
  const size_t rows = std::max<size_t>(array->extent.height, 1), bytes = array->extent.width * array->element();
  if (x + width > bytes || y + height > rows)
    return call.wrong(cudaErrorInvalidValue, text("%zu bytes of %zu rows from byte %zu of row %zu on go beyond the array, of %zu bytes in %zu rows", width, height, x, y, bytes, rows));
  char* const place = array->data + y * array->pitch + x;
  return to ? copy_in(call, place, array->pitch, other, pitch, width, height, kind, stream, waits) : copy_in(call, other, pitch, place, array->pitch, width, height, kind, stream, waits);
}
cudaError_t cudaMemcpy2DToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width, size_t height, cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpy2DToArray");
  return copy_array(call, to, x, y, const_cast<void*>(from), pitch, width, height, kind, nullptr, true, true);
}
cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemcpy2DToArrayAsync");
  return copy_array(call, to, x, y, const_cast<void*>(from), pitch, width, height, kind, stream, true, false);
}
cudaError_t cudaMemcpy2DFromArray(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y, size_t width, size_t height, cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpy2DFromArray");
  return copy_array(call, from, x, y, to, pitch, width, height, kind, nullptr, false, true);
}
static cudaError_t copy_all_rows(const emulator::Entered& call, cudaArray_const_t array, size_t x, size_t y, void* other, size_t count, cudaMemcpyKind kind, bool to) {
  using namespace emulator;
  const size_t row = array ? array->extent.width * array->element() : 0;
  if (x || !array || (count > row && count % row)) return copy_array(call, array, x, y, other, count, count, 1, kind, nullptr, to, true);
  return copy_array(call, array, 0, y, other, std::min(row, count), std::min(row, count), count > row ? count / row : 1, kind, nullptr, to, true);
}
cudaError_t cudaMemcpyToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t count, cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpyToArray");
  return copy_all_rows(call, to, x, y, const_cast<void*>(from), count, kind, true);
}
cudaError_t cudaMemcpyFromArray(void* to, cudaArray_const_t from, size_t x, size_t y, size_t count, cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpyFromArray");
  return copy_all_rows(call, from, x, y, to, count, kind, false);
}

// Textures and surfaces; what kernels call is in api/textures.h.
cudaError_t cudaCreateTextureObject(cudaTextureObject_t* object, const cudaResourceDesc* resource, const cudaTextureDesc* texture, const cudaResourceViewDesc*, emulator::At at) {
  ENTER("cudaCreateTextureObject");
  if (!object || !resource || !texture) return call.wrong(cudaErrorInvalidValue, "a texture has a place for its handle, a resource and a description");
  Texture t{};
  t.how = *texture;
  if (resource->resType == cudaResourceTypeArray) {
    const cudaArray& a = *resource->res.array.array;
    t.data = a.data, t.desc = a.desc, t.extent = a.extent, t.pitch = a.pitch;
  } else if (resource->resType == cudaResourceTypeLinear) {
    t.data = static_cast<char*>(resource->res.linear.devPtr), t.desc = resource->res.linear.desc, t.is_linear = true;
    t.extent = {resource->res.linear.sizeInBytes / std::max<size_t>(bytes_of(t.desc), 1), 0, 0};
  } else if (resource->resType == cudaResourceTypePitch2D) {
    const auto& p = resource->res.pitch2D;
    t.data = static_cast<char*>(p.devPtr), t.desc = p.desc, t.extent = {p.width, p.height, 0}, t.pitch = p.pitchInBytes;
    if (p.pitchInBytes % 32) return call.wrong(cudaErrorInvalidValue, text("the pitch of a texture is a multiple of 32 bytes, not %zu", p.pitchInBytes));
  } else {
    return call.wrong(cudaErrorNotSupported, "textures of mipmapped arrays are not emulated");
  }
  if (!bytes_of(t.desc)) return call.wrong(cudaErrorInvalidValue, "the format of a texture has no bits: cudaCreateChannelDesc<T>() makes one");
  const std::string words = wrong_with("texture's memory", t.data, t.reach());
  if (!words.empty()) return call.wrong(cudaErrorInvalidValue, words);
  if (side_of(t.data) == HOST) return call.wrong(cudaErrorInvalidValue, "a texture is of the device's memory, and this is the host's");
  if (t.how.filterMode == cudaFilterModeLinear && t.desc.f != cudaChannelFormatKindFloat && t.how.readMode == cudaReadModeElementType)
    return call.wrong(cudaErrorInvalidValue, "linear filtering is of floating point: cudaReadModeNormalizedFloat makes it of whole numbers");
  *object = reinterpret_cast<cudaTextureObject_t>(new Texture(t));
  return cudaSuccess;
}
cudaError_t cudaDestroyTextureObject(cudaTextureObject_t object, emulator::At at) {
  ENTER("cudaDestroyTextureObject");
  delete reinterpret_cast<Texture*>(object);
  return cudaSuccess;
}
cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t* object, const cudaResourceDesc* resource, emulator::At at) {
  ENTER("cudaCreateSurfaceObject");
  if (!object || !resource || resource->resType != cudaResourceTypeArray) return call.wrong(cudaErrorInvalidValue, "a surface is of an array");
  const cudaArray& a = *resource->res.array.array;
  *object = reinterpret_cast<cudaSurfaceObject_t>(new Texture{a.data, a.desc, a.extent, a.pitch, {}, false});
  return cudaSuccess;
}
cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t object, emulator::At at) {
  ENTER("cudaDestroySurfaceObject");
  delete reinterpret_cast<Texture*>(object);
  return cudaSuccess;
}

// The pool of the device.
static unsigned long long release_threshold;
static cudaMemPool_t the_pool() { return reinterpret_cast<cudaMemPool_t>(&release_threshold); }
#define FIRST_DEVICE_OF_POOL(device) \
  if (device != 0) return call.failed(cudaErrorInvalidDevice, text("there is one device, 0, and no device %d", device));
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device, emulator::At at) {
  ENTER("cudaDeviceGetDefaultMemPool");
  FIRST_DEVICE_OF_POOL(device)
  *pool = the_pool();
  return cudaSuccess;
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device, emulator::At at) { return cudaDeviceGetDefaultMemPool(pool, device, at); }
cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t, emulator::At at) {
  ENTER("cudaDeviceSetMemPool");
  FIRST_DEVICE_OF_POOL(device)
  return cudaSuccess;
}
#undef FIRST_DEVICE_OF_POOL
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*, emulator::At at) {
  ENTER("cudaMemPoolCreate");
  *pool = the_pool();
  return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t, emulator::At) { return cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value, emulator::At at) {
  ENTER("cudaMemPoolSetAttribute");
  if (attribute == cudaMemPoolAttrReleaseThreshold) release_threshold = *static_cast<unsigned long long*>(value);
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value, emulator::At at) {
  ENTER("cudaMemPoolGetAttribute");
  unsigned long long& number = *static_cast<unsigned long long*>(value);
  if (attribute < cudaMemPoolAttrReleaseThreshold) {
    *static_cast<int*>(value) = 1;
  } else {
    number = attribute == cudaMemPoolAttrReleaseThreshold ? release_threshold : used;
  }
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t, emulator::At) { return cudaSuccess; }
