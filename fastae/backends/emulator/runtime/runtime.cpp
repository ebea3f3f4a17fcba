// CUDA's threads on the CPU. Every thread of a block is a fiber, which runs until it waits at a barrier or a warp
// operation. Blocks run one after another; those of a cooperative launch are all there at once and take turns where they
// sleep, each with its own shared memory. With -DCHECKED, and the kernels compiled by -fsanitize=thread, the compiler
// calls us at every access to memory (no part of the sanitizer itself is linked), and what no CUDA program may do ends
// the launch with a report.
#include <dlfcn.h>
#include <link.h>

#include <chrono>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "language/device.h"

#ifdef PROGRAM
#include "program/sides.h"
#else  // of a library all code is the device's
constexpr bool on_device() { return true; }
inline void device_access(uintptr_t, uint64_t, int, const void*) {}
inline void host_access(const void*, uint64_t, bool, const void*) {}
inline void host_beyond_array(const void*) {}
#endif

#include "fibers.h"
#include "c_library.h"

#ifdef CHECKED
#include "checks/checks.h"
constexpr bool CHECKS = true;
#else
#include "unchecked.h"
constexpr bool CHECKS = false;
#endif

#include "phases.h"
#include "schedule.h"
#include "subnormals.h"
#include "waiting.h"

namespace emulator {

// Run a grid of blocks with so many bytes of dynamic shared memory; the threads of a kernel that never waits need no
// fibers.
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with) {
  grid = {size[0], size[1], size[2]}, block_size = {size[3], size[4], size[5]};
  body = kernel, arguments = with, report = Report(), seeking = false, output.clear(), lost = false, dynamic_bytes = size[6];
  const unsigned threads = size[3] * size[4] * size[5], count = size[0] * size[1] * size[2];
  const Flushed flushed(flushes);
  if (_setjmp(ended)) {
    for (Fiber& f : fibers) f.started = false;  // whatever they were in the middle of
    return report.fault;
  }
  const bool mixed = CHECKS && order == 2 && !cooperative;
  const unsigned at_once = cooperative ? count : mixed ? std::min(count, AT_ONCE) : 1;
  if (fibers.size() < at_once * threads) {
    for (Fiber& f : fibers) f.started = false;  // they move
    fibers.resize(at_once * threads);
  }
  begin_launch(at_once, cooperative);
  cooperates = cooperative;
  const std::vector<unsigned> turn = order_of(count);
  for (unsigned first = 0; first < count; first += at_once) {
    blocks.resize(std::min(at_once, count - first));
    for (unsigned b = 0; b < blocks.size(); ++b) {
      const unsigned i = turn[first + b];
      blocks[b] = Block();
      blocks[b].index = {i % size[0], i / size[0] % size[1], i / (size[0] * size[1])};
      blocks[b].fibers = fibers.data() + b * threads;
    }
    if (waits || CHECKS) {  // checks tell a thread's own variables by its stack
      run_blocks(threads);
      end_block();
      continue;
    }
    block_index = blocks[0].index;
    become(fibers[0]);
    for (unsigned i = 0; i < threads; ++i) {
      current->linear = i;
      thread_index = current->index = {i % size[3], i / size[3] % size[4], i / (size[3] * size[4])};
      kernel(with);
    }
  }
  return NONE;
}

}  // namespace emulator

extern "C" {
const emulator::Report* emulator_report() { return &emulator::report; }

// Give the threads' stacks back: a process may have some 65,000 pieces of memory, and every stack is two.
void emulator_rest() {
  for (emulator::Fiber& f : emulator::fibers) {
    if (f.stack) munmap(f.stack - emulator::GUARD, emulator::GUARD + emulator::STACK);
    f.stack = nullptr, f.started = false;
  }
}
// How many bytes a variable of this library has; 0 if there is none at that place.
uint64_t emulator_size_of(const void* at) {
  Dl_info info;
  void* found = nullptr;
  if (!dladdr1(at, &info, &found, RTLD_DL_SYMENT) || !found || info.dli_fbase != emulator::__ehdr_start) return 0;
  const auto* symbol = static_cast<const ElfW(Sym)*>(found);
  return info.dli_saddr == at && ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT ? symbol->st_size : 0;
}
void emulator_flush(bool flushes) { emulator::flushes = flushes; }
void emulator_order(int order, uint64_t seed) { emulator::order = order, emulator::random_state = 2 * seed + 1; }
}
