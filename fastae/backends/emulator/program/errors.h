// The state of CUDA's errors, and what surrounds every call of the API.
#pragma once

namespace emulator {

static std::recursive_mutex device_lock;  // one thread of the host at a time
static cudaError_t last = cudaSuccess;    // of cudaGetLastError
static cudaError_t sticky = cudaSuccess;  // of a kernel that failed: every call returns it
static cudaError_t pending = cudaSuccess; // the same, before the host has waited for the kernel
static std::string unread;                // the message of a failed launch, until the program asks for errors
static std::string printed;               // by kernels, and not shown yet
static At printed_at;
static bool printed_too_much;

inline void show_printed() {
  if (!printed.empty()) fwrite(printed.data(), 1, printed.size(), stdout);
  if (printed_too_much) fputs("\n(kernels printed more than 1 MiB: some of it is not shown)\n", stdout);
  printed.clear(), printed_too_much = false;
}

// Around every call of the API.
struct Entered {
  const Fencing own;
  std::lock_guard<std::recursive_mutex> guard{device_lock};
  const char* name;
  At at;
  explicit Entered(const char* name, At at = {}) : name(name), at(at) {
    if (pending != cudaSuccess) sticky = last = pending, pending = cudaSuccess;
  }
  std::string place() const { return place_of(at) + ": " + name; }
  // An error that no correct program has.
  cudaError_t wrong(cudaError_t error, const std::string& words) const {
    complain(place() + ": " + words);
    return last = error;
  }
  // An error that may happen.
  cudaError_t failed(cudaError_t error, const std::string& words = "") const {
    if (!words.empty()) remark(place() + ": " + words);
    return last = error;
  }
};

#define ENTER(name)                 \
  using namespace emulator;         \
  const Entered call(name, at);     \
  if (sticky != cudaSuccess) return sticky;

// The host has waited for the device: print the kernels' output, and return their error.
inline cudaError_t waited() {
  show_printed();
  if (pending != cudaSuccess) sticky = last = pending, pending = cudaSuccess;
  return sticky;
}

}  // namespace emulator

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define ERROR(name, number, words) case name: return #name;
#include "api/error_codes.h"
#undef ERROR
  }
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define ERROR(name, number, words) case name: return words;
#include "api/error_codes.h"
#undef ERROR
  }
  return "unrecognized error code";
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard<std::recursive_mutex> guard(emulator::device_lock);
  emulator::unread.clear();
  return emulator::last;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  if (emulator::sticky == cudaSuccess) emulator::last = cudaSuccess;
  return error;
}
