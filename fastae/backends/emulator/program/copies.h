// Copies and fills, with checks of their directions and bounds.
#pragma once

namespace emulator {

enum Side { HOST, DEVICE_SIDE, EITHER };

inline Side side_of(const void* p) {
  if (const Allocation* a = allocation_of(reinterpret_cast<uintptr_t>(p))) return a->kind == OF_DEVICE ? DEVICE_SIDE : EITHER;
  if (in_arena(p)) return DEVICE_SIDE;  // freed, or behind an allocation
  return is_image(reinterpret_cast<uintptr_t>(p)) ? EITHER : HOST;
}

constexpr const char* KINDS[] = {"cudaMemcpyHostToHost", "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost",
                                 "cudaMemcpyDeviceToDevice", "cudaMemcpyDefault"};

// What is wrong with one end of a copy, or "": `from` is the first byte, `reach` the number of bytes.
inline std::string wrong_with(const char* what, const void* p, size_t reach) {
  if (!p) return text("the %s is a null pointer", what);
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  if (is_mere_name(p))
    return text("the %s is a variable of the device, of which the host has but the name: cudaMemcpy%sSymbol copies, and "
                "cudaGetSymbolAddress gives its address", what, *what == 's' ? "From" : "To");
  if (!in_arena(p)) {
    const std::string beyond = beyond_piece(at, reach);
    return beyond.empty() ? "" : text("%zu bytes at the %s", reach, what) + beyond;
  }
  const Allocation* const a = allocation_of(at);
  if (!a) return text("the %s is no memory of the device%s", what, described(at).c_str());
  const size_t left = a->base + a->bytes - at;
  if (reach <= left) return "";
  return text("%zu bytes at the %s, but only %zu are left there of %s", reach, what, left, of_allocation(*a).c_str());
}

inline cudaError_t check_copy(const Entered& call, const void* to, size_t to_reach, const void* from, size_t from_reach,
                              cudaMemcpyKind kind) {
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
    return call.wrong(cudaErrorInvalidMemcpyDirection, text("%d is no direction of a copy", kind));
  if (to && from && kind != cudaMemcpyDefault) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const Side is_to = side_of(to), is_from = side_of(from);
    const bool wrong_to = is_to != EITHER && (is_to == DEVICE_SIDE) != to_device;
    const bool wrong_from = is_from != EITHER && (is_from == DEVICE_SIDE) != from_device;
    if (wrong_to || wrong_from) {
      const auto memory = [](bool device) { return device ? "the device's memory" : "the host's memory"; };
      std::string words = std::string(KINDS[kind]) + ", but ";
      if (wrong_to) words += std::string("the destination is ") + memory(is_to == DEVICE_SIDE);
      if (wrong_to && wrong_from) words += " and ";
      if (wrong_from) words += std::string("the source is ") + memory(is_from == DEVICE_SIDE);
      return call.wrong(cudaErrorInvalidValue, words);
    }
  }
  for (const std::string& words : {wrong_with("destination", to, to_reach), wrong_with("source", from, from_reach)})
    if (!words.empty()) return call.wrong(cudaErrorInvalidValue, words);
  return cudaSuccess;
}

inline void move(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height) {
  if (!width || !height) return;
  const Opened target(to, (height - 1) * to_pitch + width), source(from, (height - 1) * from_pitch + width, false);
  work_touches(from, from_pitch, width, height, false), work_touches(to, to_pitch, width, height, true);
  for (size_t row = 0; row < height; ++row) {
    char* const into = static_cast<char*>(to) + row * to_pitch;
    const char* const of = static_cast<const char*>(from) + row * from_pitch;
    std::memmove(into, of, width);
    carried(into, of, width);
  }
}

inline cudaError_t copy_in(const Entered& call, void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                           size_t height, cudaMemcpyKind kind, cudaStream_t stream, bool waits) {
  if (!width || !height) return cudaSuccess;
  if (!is_stream(stream)) return call.wrong(cudaErrorInvalidResourceHandle, "the stream does not exist");
  if (height > 1 && (width > to_pitch || width > from_pitch))
    return call.wrong(cudaErrorInvalidPitchValue, text("rows of %zu bytes are wider than a pitch, %zu or %zu", width, to_pitch, from_pitch));
  const cudaError_t error = check_copy(call, to, (height - 1) * to_pitch + width, from, (height - 1) * from_pitch + width, kind);
  if (error != cudaSuccess) return error;
  const size_t reach = (height - 1) * from_pitch + width, to_reach = (height - 1) * to_pitch + width;
  const Side is_to = side_of(to), is_from = side_of(from);
  const std::string name = call.name;
  const At at = call.at;
  submit(stream, [=] {
    if (is_to == HOST || kind == cudaMemcpyDeviceToHost) look_for_unwritten(place_of(at) + ": " + name, from, from_pitch, width, height);
    begin_work(stream, name, at);
    const bool pends = !waits && ((is_from != DEVICE_SIDE && leave_pending(from, reach, false)) |
                                  (is_to != DEVICE_SIDE && leave_pending(to, to_reach, true)));
    move(to, to_pitch, from, from_pitch, width, height);
    if (pends || (is_to == DEVICE_SIDE && is_from == DEVICE_SIDE)) return;
    if (waits || is_to == HOST) host_waits_for_stream(stream);  // which does not begin before, where memory is not pinned
  });
  return waits ? waited() : cudaSuccess;
}

inline cudaError_t fill_in(const Entered& call, void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
  if (!width || !height) return cudaSuccess;
  if (!is_stream(stream)) return call.wrong(cudaErrorInvalidResourceHandle, "the stream does not exist");
  const size_t reach = (height - 1) * pitch + width;
  if (to && side_of(to) == HOST)
    return call.wrong(cudaErrorInvalidValue, "it fills the device's memory, and this is the host's: memset");
  const std::string words = wrong_with("destination", to, reach);
  if (!words.empty()) return call.wrong(cudaErrorInvalidValue, words);
  const std::string name = call.name;
  const At at = call.at;
  submit(stream, [=] {
    begin_work(stream, name, at);
    work_touches(to, pitch, width, height, true);
    const Opened target(to, reach);
    for (size_t row = 0; row < height; ++row) std::memset(static_cast<char*>(to) + row * pitch, value, width);
  });
  return cudaSuccess;
}

cudaError_t copy_symbol(void* symbol, size_t size, void* other, size_t count, size_t offset, cudaMemcpyKind kind, bool to,
                        const char* by, At at, cudaStream_t stream) {
  ENTER(by);
  if (offset + count > size)
    return call.wrong(cudaErrorInvalidValue, text("%zu bytes from byte %zu on, but the variable has %zu", count, offset, size));
  char* const place = static_cast<char*>(symbol) + offset;
  copies_symbol = true;
  const cudaError_t error = to ? copy_in(call, place, 0, other, 0, count, 1, kind, stream, true)
                               : copy_in(call, other, 0, place, 0, count, 1, kind, stream, true);
  copies_symbol = false;
  return error;
}

cudaError_t allocate(void** pointer, size_t bytes, int kind, const char* by, At at) {
  ENTER(by);
  return allocate_in(call, pointer, bytes, Kind(kind));
}

}  // namespace emulator

cudaError_t cudaFree(const void* pointer, emulator::At at) {
  ENTER("cudaFree");
  host_waits_for_all();
  return free_in(call, pointer, false);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream, emulator::At at) {
  ENTER("cudaFreeAsync");
  if (const Allocation* a = pointer ? allocation_of(reinterpret_cast<uintptr_t>(pointer)) : nullptr) {
    begin_work(stream, call.name, at);
    work_touches(pointer, 0, a->bytes, 1, true);
  }
  return free_in(call, pointer, false);
}
cudaError_t cudaFreeHost(void* pointer, emulator::At at) {
  ENTER("cudaFreeHost");
  return free_in(call, pointer, true);
}
cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned, emulator::At at) {
  ENTER("cudaHostRegister");
  const uintptr_t base = reinterpret_cast<uintptr_t>(pointer);
  if (!pointer || !bytes || in_arena(pointer)) return call.wrong(cudaErrorInvalidValue, "this is no memory of the host's own");
  if (allocation_of(base)) return call.wrong(cudaErrorHostMemoryAlreadyRegistered, "it is registered already");
  live[base] = {base, bytes, REGISTERED, "cudaHostRegister", at, {}, base, base};
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* pointer, emulator::At at) {
  ENTER("cudaHostUnregister");
  Allocation* const a = allocation_of(reinterpret_cast<uintptr_t>(pointer));
  if (!a || a->kind != REGISTERED) return call.wrong(cudaErrorHostMemoryNotRegistered, "it is not registered");
  release_allocation(*a, at);
  return cudaSuccess;
}
cudaError_t cudaHostGetFlags(unsigned* flags, void* pointer, emulator::At at) {
  ENTER("cudaHostGetFlags");
  const Allocation* const a = allocation_of(reinterpret_cast<uintptr_t>(pointer));
  if (!a || (a->kind != PINNED && a->kind != REGISTERED)) return call.wrong(cudaErrorInvalidValue, "this is no pinned memory");
  *flags = cudaHostAllocMapped;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  using namespace emulator;
  const std::lock_guard<std::recursive_mutex> guard(device_lock);
  const Allocation* const a = allocation_of(reinterpret_cast<uintptr_t>(pointer));
  void* const p = const_cast<void*>(pointer);
  constexpr cudaMemoryType types[] = {cudaMemoryTypeDevice, cudaMemoryTypeManaged, cudaMemoryTypeHost, cudaMemoryTypeHost, cudaMemoryTypeDevice};
  *attributes = {a ? types[a->kind] : cudaMemoryTypeUnregistered, a ? 0 : -2, a ? p : nullptr, a && a->kind != OF_DEVICE ? p : nullptr};
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpy");
  return copy_in(call, to, 0, from, 0, bytes, 1, kind, nullptr, true);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemcpyAsync");
  return copy_in(call, to, 0, from, 0, bytes, 1, kind, stream, false);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, size_t bytes, emulator::At at) {
  ENTER("cudaMemcpyPeer");
  return copy_in(call, to, 0, from, 0, bytes, 1, cudaMemcpyDeviceToDevice, nullptr, true);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemcpyPeerAsync");
  return copy_in(call, to, 0, from, 0, bytes, 1, cudaMemcpyDeviceToDevice, stream, false);
}
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind, emulator::At at) {
  ENTER("cudaMemcpy2D");
  return copy_in(call, to, to_pitch, from, from_pitch, width, height, kind, nullptr, true);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemcpy2DAsync");
  return copy_in(call, to, to_pitch, from, from_pitch, width, height, kind, stream, false);
}
cudaError_t cudaMemset(void* to, int value, size_t bytes, emulator::At at) {
  ENTER("cudaMemset");
  return fill_in(call, to, 0, value, bytes, 1, nullptr);
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemsetAsync");
  return fill_in(call, to, 0, value, bytes, 1, stream);
}
cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width, size_t height, emulator::At at) {
  ENTER("cudaMemset2D");
  return fill_in(call, to, pitch, value, width, height, nullptr);
}
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream, emulator::At at) {
  ENTER("cudaMemset2DAsync");
  return fill_in(call, to, pitch, value, width, height, stream);
}
cudaError_t cudaMemPrefetchAsync(const void*, size_t, int, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, int) { return cudaSuccess; }
