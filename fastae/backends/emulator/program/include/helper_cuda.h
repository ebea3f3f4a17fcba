// What CUDA's samples include: checks of errors, and the choice of a device.
#pragma once
#include <cstdio>
#include <cstdlib>

#include "helper_string.h"

template <class T>
void check(T result, const char* function, const char* file, int line) {
  if (!result) return;
  fprintf(stderr, "CUDA error at %s:%d code=%d(%s) \"%s\"\n", file, line, static_cast<int>(result),
          cudaGetErrorName(static_cast<cudaError_t>(result)), function);
  exit(EXIT_FAILURE);
}
#define checkCudaErrors(...) check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

inline void last_error(const char* message, const char* file, int line) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  fprintf(stderr, "%s(%d): CUDA error: %s: (%d) %s\n", file, line, message, static_cast<int>(error), cudaGetErrorString(error));
  exit(EXIT_FAILURE);
}
#define getLastCudaError(message) last_error(message, __FILE__, __LINE__)

inline int _ConvertSMVer2Cores(int, int) { return 128; }
inline const char* _ConvertSMVer2ArchName(int, int) { return "Hopper"; }
inline int gpuGetMaxGflopsDeviceId() { return 0; }
inline int findCudaDevice(int, const char**) { return 0; }
inline bool checkCudaCapabilities(int major, int minor) { return major < 9 || (major == 9 && minor == 0); }
