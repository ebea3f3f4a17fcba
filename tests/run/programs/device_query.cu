// What a program asks of a device before it does anything.
//> devices: 1
//> warp 32, threads 1024, dimensions 1024 1024 64
//> shared memory: 49152 bytes, 232448 on request
//> concurrent kernels: yes, managed memory: yes
//> attribute: 32
//> free is no more than total: yes
//> device 7: invalid device ordinal
//> and no error is left: no error
#include <iostream>
#include <memory>
#include <string>
#include <cuda_runtime.h>
#include <helper_cuda.h>

int main(int argc, char **argv) {
  int deviceCount = 0;
  checkCudaErrors(cudaGetDeviceCount(&deviceCount));
  printf("devices: %d\n", deviceCount);
  for (int dev = 0; dev < deviceCount; ++dev) {
    cudaSetDevice(dev);
    cudaDeviceProp deviceProp;
    cudaGetDeviceProperties(&deviceProp, dev);
    printf("warp %d, threads %d, dimensions %d %d %d\n", deviceProp.warpSize, deviceProp.maxThreadsPerBlock,
           deviceProp.maxThreadsDim[0], deviceProp.maxThreadsDim[1], deviceProp.maxThreadsDim[2]);
    printf("shared memory: %zu bytes, %zu on request\n", deviceProp.sharedMemPerBlock, deviceProp.sharedMemPerBlockOptin);
    printf("concurrent kernels: %s, managed memory: %s\n", deviceProp.concurrentKernels ? "yes" : "no",
           deviceProp.managedMemory ? "yes" : "no");
    if (_ConvertSMVer2Cores(deviceProp.major, deviceProp.minor) <= 0) return 1;
  }
  int warp, driver, runtime;
  checkCudaErrors(cudaDeviceGetAttribute(&warp, cudaDevAttrWarpSize, 0));
  std::cout << "attribute: " << warp << std::endl;
  checkCudaErrors(cudaDriverGetVersion(&driver));
  checkCudaErrors(cudaRuntimeGetVersion(&runtime));
  size_t free_bytes, total_bytes;
  checkCudaErrors(cudaMemGetInfo(&free_bytes, &total_bytes));
  std::cout << "free is no more than total: " << (free_bytes <= total_bytes && driver >= runtime ? "yes" : "no") << '\n';
  std::cout << "device 7: " << cudaGetErrorString(cudaSetDevice(7)) << '\n';
  cudaGetLastError();
  std::cout << "and no error is left: " << cudaGetErrorString(cudaGetLastError()) << '\n';
}
