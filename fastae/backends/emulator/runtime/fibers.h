// The threads of a launch: a fiber for each thread of the blocks that run, how it waits, and how a fault ends the launch.
#pragma once

#include <sys/mman.h>
#include <ucontext.h>

#include <csetjmp>
#include <cstdint>
#include <vector>

#include "language/device.h"

namespace emulator {

enum Fault {
  NONE,
#define FAULT(name, number, reported, message) name = number,
#include "faults.h"
#undef FAULT
};

struct Report {  // of the fault that ended a launch, for Python (faults.py)
  int fault;
  unsigned block[3], thread[3], other_block[3], other_thread[3];
  int how, other_how;  // bits of How in checks/shadow.h
  uint64_t where, other_where, address;  // offsets into this library; an address of memory
  const char* words;  // of an assertion; or how many have arrived at a barrier
  uint64_t flag_where;  // of a race: where the other thread has written a flag behind it
  int fence;            // which fence is missing: the writer's, 1; or the reader's, 2
};

enum State { READY, AT_BARRIER, AT_WARP, AT_GRID, AT_PHASE, NAPPING, DONE };
constexpr unsigned AT_ONCE = 4;  // blocks that take turns at their atomic operations, where the order is random
constexpr unsigned MOST_NAPS = 1000;  // in a row, while no thread does anything else
constexpr unsigned COLOURS = 256;  // places of a page at which stacks begin: a cache has few lines for each
constexpr size_t STACK = 768 << 10, GUARD = 64 << 10;  // CUDA allows 512 KB of local memory

struct Fiber {
  jmp_buf context;
  bool started = false;
  State state = DONE;
  dim3 index;
  unsigned linear = 0;
  uint64_t offered = 0, shown = 0;    // a value for the other lanes of the warp, and after they met
  float fragment[6] = {};             // for the tensor cores: elements of a and b
  Operation operation = SYNC;         // of the warp, for which it waits
  unsigned mask = 0;                  // and its lanes
  const void* waits_at = nullptr;     // the code that called the barrier
  int line = 0;                       // of that call in the source
  const void* naps_at = nullptr;      // the code that went to sleep
  const void* watched = nullptr;      // the atomic variable that it read last
  uint64_t watched_bits = 0;
  const void* phase = nullptr;        // the barrier of phases.h at which it waits
  unsigned barriers = 0;              // passed in this block
  unsigned clock = 1;                 // how often it has released what it did (checks/clocks.h), plus one
  char* stack = nullptr;
};

struct Block {
  dim3 index;
  Fiber* fibers;  // of its threads
  bool begun = false, done = false, at_grid = false;
  int votes = 0;              // true values of its threads at the last barrier
  uint64_t named[16] = {};    // phases of its numbered barriers
  std::vector<char> shared;   // static and dynamic shared memory, while another block runs
};

static std::vector<Fiber> fibers;
static std::vector<Block> blocks;
static Fiber* current;
static Block* running;
static bool woken;   // some thread has left a barrier of phases.h
static bool worked;  // some thread has done something but sleep
static jmp_buf scheduler, ended;
static ucontext_t nowhere;
dim3 grid, block_size, block_index, thread_index;
static void (*body)(void*);
static void* arguments;
static Report report;
#ifdef CHECKED
static struct { const void* where; unsigned lane, from, mask; } stray;  // the first read of a lane outside of its mask
#endif
static bool seeking;      // a race between lanes was found; do threads of other warps race, too?
static Report race_seen;  // that race
Room room;
static size_t dynamic_bytes;  // of it, for this launch
static bool flushes;        // subnormal numbers
static bool cooperates;     // all blocks of the launch are there at once
static int order;           // of threads that can go on: 0 as numbered, 1 reversed, 2 shuffled
static uint64_t random_state = 1;

extern "C" char __start_cushared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cushared[] __attribute__((weak, visibility("hidden")));
extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" const char _end[] __attribute__((weak, visibility("hidden")));

inline void copy(unsigned (&to)[3], const dim3& from) { to[0] = from.x, to[1] = from.y, to[2] = from.z; }

inline uint64_t offset_of(const void* code) { return reinterpret_cast<const char*>(code) - __ehdr_start; }

inline void fill(Fault fault, const Fiber& fiber, const void* where) {
  report.fault = fault;
  copy(report.block, block_index);
  copy(report.thread, fiber.index);
  report.where = offset_of(where);
}

[[noreturn]] inline void fail(Fault fault, const Fiber& fiber, const void* where) {
  fill(fault, fiber, where);
  if (seeking) report = race_seen;  // the fault may follow from the race
  _longjmp(ended, 1);
}

// End the launch: a thread waits for another, which has returned or waits elsewhere.
[[noreturn]] inline void fail_for(Fault fault, const Fiber& fiber, const Fiber& other) {
  copy(report.other_thread, other.index);
  report.other_where = other.state == DONE ? 0 : offset_of(other.waits_at);
  const bool same = fault == DEADLOCK && other.state == AT_WARP && other.operation == fiber.operation;
  report.other_how = same && other.mask != fiber.mask;
  fail(fault, fiber, fiber.waits_at);
}

inline void wait(State state, const void* where) {
  current->state = state;
  current->waits_at = where;
  if (!_setjmp(current->context)) _longjmp(scheduler, 1);
}

inline void yield() {
  worked = true;
  wait(NAPPING, nullptr);
}

inline void fiber_main() {
  for (;;) {  // once for each block in which the fiber has a thread
    body(arguments);
    current->state = DONE;
    if (!_setjmp(current->context)) _longjmp(scheduler, 1);
  }
}

inline void become(Fiber& fiber) {
  current = &fiber;
  thread_index = fiber.index;
}

inline void resume(Fiber& fiber) {
  become(fiber);
  fiber.state = READY;
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.context, 1);
  fiber.started = true;
  if (!fiber.stack) {
    void* pages = mmap(nullptr, GUARD + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) fail(NO_MEMORY, fiber, __ehdr_start);
    mprotect(pages, GUARD, PROT_NONE);
    fiber.stack = static_cast<char*>(pages) + GUARD;
  }
  static ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = fiber.stack;
  first.uc_stack.ss_size = STACK - (&fiber - fibers.data()) % COLOURS * 192;
  first.uc_link = &nowhere;
  makecontext(&first, fiber_main, 0);
  setcontext(&first);
}

inline unsigned random_below(unsigned end) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (random_state >> 33) % end;
}

inline bool is_in_room(uintptr_t at) { return at - reinterpret_cast<uintptr_t>(&room) < sizeof room; }

inline bool is_shared(uintptr_t at) {
  if (is_in_room(at)) return true;
  return at >= reinterpret_cast<uintptr_t>(__start_cushared) && at < reinterpret_cast<uintptr_t>(__stop_cushared);
}
bool is_local_address(const void* at) {
  const char* const stack = current->stack;
  return stack && at >= static_cast<const void*>(stack) && at < static_cast<const void*>(stack + STACK);
}
bool is_shared_address(const void* at) { return is_shared(reinterpret_cast<uintptr_t>(at)); }
}  // namespace emulator
