// A whole CUDA program as a process: the runtime of kernels, and CUDA's API for the host.
#define PROGRAM
#include "../runtime/runtime.cpp"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "language/halves.h"
#include "api/api.h"
#include "api/textures.h"

namespace emulator {
static uintptr_t running_with;  // the arguments of the launch that runs
static size_t running_with_size;
}  // namespace emulator

#include "messages.h"
#include "host_heap.h"
#include "errors.h"
#include "memory.h"
#include "heap.h"
#include "launches.h"
#include "copies.h"
#include "volumes.h"
#include "streams.h"
#include "devices.h"
#include "crashes.h"
#include "hooks.h"

// CPU time for the host; for a kernel a count of nanoseconds.
extern "C" clock_t clock() noexcept {
  if (on_device()) return emulator::nanoseconds();
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * CLOCKS_PER_SEC + now.tv_nsec / (1000000000 / CLOCKS_PER_SEC);
}

namespace emulator {

// The messages at the end of a program that was not killed.
static void at_end(int status, void*) {
  const Fencing own;
  const std::lock_guard<std::recursive_mutex> guard(device_lock);
  if (!unread.empty()) complain(unread + ", and the program never asks cudaGetLastError() for it");
  if (!printed.empty())
    remark(place_of(printed_at) + ": what the kernel printed is lost: the program ends without cudaDeviceSynchronize()");
  if (status || sticky != cudaSuccess || pending != cudaSuccess) return;
  // The system frees all memory, and many programs rely on it: a fault with --check only.
  const auto leaks = CHECKS ? complain : remark;
  std::map<std::string, std::pair<size_t, size_t>> lost;  // by place and call: how many, and bytes
  size_t count = 0, bytes = 0;
  for (const auto& [base, a] : live) {
    if (a.kind == REGISTERED || a.kind == HEAP) continue;
    auto& [n, sum] = lost[place_of(a.at) + ": " + a.by];
    ++n, sum += a.bytes, ++count, bytes += a.bytes;
  }
  for (const auto& [place, sums] : lost)
    leaks(place + text(": %zu bytes are never freed", sums.second) + (sums.first > 1 ? text(", of %zu allocations", sums.first) : ""));
  if (lost.size() > 1) remark(text("%zu bytes of %zu allocations in all are never freed", bytes, count));
  std::map<std::string, size_t> streams, events;
  for (const CUstream_st* s : live_streams) ++streams[place_of(s->at)];
  for (const CUevent_st* e : live_events) ++events[place_of(e->at)];
  const auto tell = [](const auto& places, const char* one, const char* many, const char* by) {
    for (const auto& [place, n] : places)
      remark(place + (n == 1 ? text(": the %s is never destroyed: %s", one, by) : text(": %zu %s are never destroyed: %s", n, many, by)));
  };
  tell(streams, "stream", "streams", "cudaStreamDestroy"), tell(events, "event", "events", "cudaEventDestroy");
}

// Linked before the program, so that the state above exists longer than the program's own.
static const struct Begin {
  Begin() { connect_to_python(), begin_recordings(), watch(), on_exit(at_end, nullptr), begin_fence(); }
} begin_now;

}  // namespace emulator
