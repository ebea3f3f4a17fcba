// The device and its properties.
#pragma once

#define FIRST_DEVICE(device) \
  if (device != 0) return call.failed(cudaErrorInvalidDevice, text("there is one device, 0, and no device %d", device));

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device, emulator::At at) {
  ENTER("cudaSetDevice");
  FIRST_DEVICE(device)
  return cudaSuccess;
}
cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp*) { return cudaGetDevice(device); }
static unsigned device_flags;
cudaError_t cudaSetDeviceFlags(unsigned flags) {
  device_flags = flags;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  *flags = device_flags;
  return cudaSuccess;
}
cudaError_t cudaSetValidDevices(int*, int) { return cudaSuccess; }
cudaError_t cudaInitDevice(int device, unsigned, unsigned, emulator::At at) {
  ENTER("cudaInitDevice");
  FIRST_DEVICE(device)
  return cudaSuccess;
}
cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* words, emulator::At at) {
  ENTER("cudaDeviceGetByPCIBusId");
  if (strcmp(words, "0000:01:00.0") != 0) return call.failed(cudaErrorInvalidDevice, text("there is one device, 0000:01:00.0, and none at %s", words));
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, emulator::At at) {
  ENTER("cudaGetDeviceProperties");
  FIRST_DEVICE(device)
  cudaDeviceProp& p = *properties;
  p = {};
  snprintf(p.name, sizeof p.name, "fastae emulator");
  p.totalGlobalMem = DEVICE_BYTES, p.sharedMemPerBlock = DEFAULT_SHARED, p.sharedMemPerBlockOptin = MOST_SHARED;
  p.sharedMemPerMultiprocessor = SHARED_A_MULTIPROCESSOR, p.reservedSharedMemPerBlock = 1 << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536, p.warpSize = WARP, p.memPitch = 0x7fffffff;
  p.maxThreadsPerBlock = 1024, p.maxThreadsPerMultiProcessor = THREADS_A_MULTIPROCESSOR;
  p.maxBlocksPerMultiProcessor = BLOCKS_A_MULTIPROCESSOR, p.multiProcessorCount = MULTIPROCESSORS;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024, p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff, p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.clockRate = 1000000, p.memoryClockRate = 1000000, p.memoryBusWidth = 256, p.l2CacheSize = 4 << 20;
  p.totalConstMem = 64 << 10, p.major = 9, p.minor = 0, p.textureAlignment = 512, p.texturePitchAlignment = 32;
  p.surfaceAlignment = 512, p.deviceOverlap = 1, p.asyncEngineCount = 1, p.canMapHostMemory = 1, p.concurrentKernels = 1;
  p.unifiedAddressing = 1, p.managedMemory = 1, p.concurrentManagedAccess = 1, p.streamPrioritiesSupported = 1;
  p.globalL1CacheSupported = p.localL1CacheSupported = 1, p.singleToDoublePrecisionPerfRatio = 2;
  p.computePreemptionSupported = 1, p.canUseHostPointerForRegisteredMem = 1, p.cooperativeLaunch = 1;
  p.memoryPoolsSupported = 1, p.maxTexture1D = 131072, p.pciBusID = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, emulator::At at) {
  ENTER("cudaDeviceGetAttribute");
  FIRST_DEVICE(device)
  cudaDeviceProp p;
  cudaGetDeviceProperties(&p, 0, at);
  switch (attribute) {
#define CASE(name, number, of) case cudaDevAttr##name: *value = of; return cudaSuccess;
    DEVICE_ATTRIBUTES(CASE)
#undef CASE
  }
  return call.failed(cudaErrorInvalidValue, text("the emulator has no attribute %d", attribute));
}
cudaError_t cudaDeviceGetPCIBusId(char* words, int length, int device, emulator::At at) {
  ENTER("cudaDeviceGetPCIBusId");
  FIRST_DEVICE(device)
  snprintf(words, length, "0000:01:00.0");
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  *available = emulator::DEVICE_BYTES - emulator::used, *total = emulator::DEVICE_BYTES;
  return cudaSuccess;
}
static size_t limits[8] = {1024, 1 << 20, 8 << 20, 2, 2048, 64, 0, 0};
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
  if (limit < 0 || limit > cudaLimitPersistingL2CacheSize) return cudaErrorInvalidValue;
  *value = limits[limit];
  return cudaSuccess;
}
cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value) {
  if (limit < 0 || limit > cudaLimitPersistingL2CacheSize) return cudaErrorInvalidValue;
  limits[limit] = value;
  if (limit == cudaLimitMallocHeapSize && !emulator::heap_next) emulator::heap_limit = std::max<size_t>(value, 4096);
  return cudaSuccess;
}
cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) { return cudaSuccess; }
cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig) { return cudaSuccess; }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0, *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer, emulator::At at) {
  ENTER("cudaDeviceCanAccessPeer");
  FIRST_DEVICE(device)
  FIRST_DEVICE(peer)
  *can = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned, emulator::At at) {
  ENTER("cudaDeviceEnablePeerAccess");
  return call.failed(cudaErrorInvalidDevice, text("there is no other device, and no device %d to share memory with", peer));
}
cudaError_t cudaDeviceDisablePeerAccess(int, emulator::At at) {
  ENTER("cudaDeviceDisablePeerAccess");
  return call.failed(cudaErrorPeerAccessNotEnabled);
}
cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }
