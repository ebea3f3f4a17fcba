// Errors and devices: what program/errors.h and program/devices.h define.
#pragma once

cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaDeviceSynchronize(HERE);
inline cudaError_t cudaThreadSynchronize(HERE) { return cudaDeviceSynchronize(at); }
cudaError_t cudaDeviceReset(HERE);
inline cudaError_t cudaThreadExit(HERE) { return cudaDeviceReset(at); }
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device, HERE);
cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp*);
cudaError_t cudaSetDeviceFlags(unsigned);
cudaError_t cudaGetDeviceFlags(unsigned* flags);
cudaError_t cudaSetValidDevices(int* devices, int count);
cudaError_t cudaInitDevice(int device, unsigned deviceFlags, unsigned flags, HERE);
cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* words, HERE);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, HERE);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, HERE);
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device, HERE);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* available, size_t* total);
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit);
cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value);
cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache);
cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig);
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest);
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer, HERE);
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags, HERE);
cudaError_t cudaDeviceDisablePeerAccess(int peer, HERE);
cudaError_t cudaProfilerStart();
cudaError_t cudaProfilerStop();
