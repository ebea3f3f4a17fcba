// CUDA for a whole program: put before it, behind language/device.h. Host and kernels are compiled together, without
// __CUDA_ARCH__; in functions for the device alone, run/rewrite.py has another name for it.
#pragma once
#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#define __CUDACC__ 1
#define __NVCC__ 1
#define __CUDACC_VER_MAJOR__ 12
#define __CUDACC_VER_MINOR__ 4
#define __CUDACC_VER_BUILD__ 0
#define CUDART_VERSION 12040
#define CUDA_VERSION 12040
#define EMULATED_CUDA_ARCH 900
#define EMULATED_VARIABLE __attribute__((section("cudevice")))
#define __managed__ __attribute__((section("cumanaged")))

// Variables instead of macros: a program may have variables of its own with these names.
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef clock
static const dim3 &threadIdx = emulator::thread_index, &blockIdx = emulator::block_index;
static const dim3 &blockDim = emulator::block_size, &gridDim = emulator::grid;

#include "types.h"

namespace emulator {

struct At {  // a place in the source
  const char* file = "";
  int line = 0;
  static constexpr At here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

}  // namespace emulator

#define HERE emulator::At at = emulator::At::here()  // the last parameter of a call whose messages name its line

#include "launch.h"

#include "devices.h"
#include "functions.h"
#include "memory.h"
#include "streams.h"

#undef HERE
