// Memory: what program/memory.h, copies.h and volumes.h define.
#pragma once

template <class T>
cudaError_t cudaMalloc(T** pointer, size_t bytes, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMalloc", at);
}
template <class T>
cudaError_t cudaMallocAsync(T** pointer, size_t bytes, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocAsync", at);
}
template <class T>
cudaError_t cudaMallocManaged(T** pointer, size_t bytes, unsigned = cudaMemAttachGlobal, HERE) {
  return emulator::allocate((void**)pointer, bytes, 1, "cudaMallocManaged", at);
}
template <class T>
cudaError_t cudaMallocHost(T** pointer, size_t bytes, unsigned = 0, HERE) {
  return emulator::allocate((void**)pointer, bytes, 2, "cudaMallocHost", at);
}
template <class T>
cudaError_t cudaHostAlloc(T** pointer, size_t bytes, unsigned = 0, HERE) {
  return emulator::allocate((void**)pointer, bytes, 2, "cudaHostAlloc", at);
}
template <class T>
cudaError_t cudaMallocPitch(T** pointer, size_t* pitch, size_t width, size_t height, HERE) {
  *pitch = (width + 511) / 512 * 512;
  return emulator::allocate((void**)pointer, *pitch * height, 0, "cudaMallocPitch", at);
}
cudaError_t cudaFree(const void* pointer, HERE);
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t, HERE);
cudaError_t cudaFreeHost(void* pointer, HERE);
cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned flags, HERE);
cudaError_t cudaHostUnregister(void* pointer, HERE);
cudaError_t cudaHostGetFlags(unsigned* flags, void* pointer, HERE);
template <class T>
cudaError_t cudaHostGetDevicePointer(T** device, void* host, unsigned) {
  *device = static_cast<T*>(host);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, size_t bytes, HERE);
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemset(void* to, int value, size_t bytes, HERE);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width, size_t height, HERE);
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t = nullptr, HERE);
cudaError_t cudaMalloc3D(cudaPitchedPtr* pointer, cudaExtent extent, HERE);
cudaError_t cudaMemset3D(cudaPitchedPtr to, int value, cudaExtent extent, HERE);
cudaError_t cudaMemset3DAsync(cudaPitchedPtr to, int value, cudaExtent extent, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* copy, HERE);
cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* copy, cudaStream_t = nullptr, HERE);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device, HERE);
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device, HERE);
cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool, HERE);
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties, HERE);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool, HERE);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value, HERE);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value, HERE);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep, HERE);
template <class T>
cudaError_t cudaMallocFromPoolAsync(T** pointer, size_t bytes, cudaMemPool_t, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocFromPoolAsync", at);
}
template <class T>
cudaError_t cudaMallocAsync(T** pointer, size_t bytes, cudaMemPool_t, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocAsync", at);
}
cudaError_t cudaMemPrefetchAsync(const void*, size_t, int, cudaStream_t = nullptr);
cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, int);
template <class T>
cudaError_t cudaMemcpyToSymbol(const T& symbol, const void* from, size_t count, size_t offset = 0,
                               cudaMemcpyKind kind = cudaMemcpyHostToDevice, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), (void*)from, count, offset, kind, true, "cudaMemcpyToSymbol", at, nullptr);
}
template <class T>
cudaError_t cudaMemcpyToSymbolAsync(const T& symbol, const void* from, size_t count, size_t offset, cudaMemcpyKind kind,
                                    cudaStream_t stream = nullptr, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), (void*)from, count, offset, kind, true, "cudaMemcpyToSymbolAsync", at, stream);
}
template <class T>
cudaError_t cudaMemcpyFromSymbol(void* to, const T& symbol, size_t count, size_t offset = 0,
                                 cudaMemcpyKind kind = cudaMemcpyDeviceToHost, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), to, count, offset, kind, false, "cudaMemcpyFromSymbol", at, nullptr);
}
template <class T>
cudaError_t cudaMemcpyFromSymbolAsync(void* to, const T& symbol, size_t count, size_t offset, cudaMemcpyKind kind,
                                      cudaStream_t stream = nullptr, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), to, count, offset, kind, false, "cudaMemcpyFromSymbolAsync", at, stream);
}
template <class P, class T>
cudaError_t cudaGetSymbolAddress(P** pointer, const T& symbol) {
  emulator::has_address(&symbol, sizeof symbol);
  *pointer = (P*)&symbol;
  return cudaSuccess;
}
template <class T>
cudaError_t cudaGetSymbolSize(size_t* size, const T&) {
  *size = sizeof(T);
  return cudaSuccess;
}
