// CUDA's threads on the CPU. Every thread of a block is a fiber, which runs until it waits at a barrier or a warp
// operation. Blocks run one after another; those of a cooperative launch are all there at once and take turns where they
// sleep, each with its own shared memory. With -DCHECKED, and the kernels compiled by -fsanitize=thread, the compiler
// calls us at every access to memory (no part of the sanitizer itself is linked), and what no CUDA program may do ends
// the launch with a report.
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <chrono>
#include <csetjmp>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "device.h"

#ifdef PROGRAM
#include "program/sides.h"
#else  // of a library all code is the device's
constexpr bool on_device() { return true; }
inline void device_access(uintptr_t, uint64_t, int, const void*) {}
inline void host_access(const void*, uint64_t, bool, const void*) {}
inline void host_beyond_array(const void*) {}
#endif

namespace emulator {

enum State { READY, AT_BARRIER, AT_WARP, AT_GRID, AT_PHASE, NAPPING, DONE };
enum Fault {
  NONE, DIVERGED, DEADLOCK, OUT_OF_BOUNDS, UNINITIALISED, RACE, RACE_OF_BLOCKS, NO_MEMORY, FOR_EVER, BEYOND_ARRAY, UNWRITTEN,
  NOT_IN_MASK = 20, BEYOND_SHARED, NOT_COOPERATIVE, MISALIGNED, ASSERTED,
  TOO_EARLY = 40, OVERWRITTEN, SENT, TOO_FEW, TOO_MANY, UNBEGUN,
  NOT_WHOLE = 60, FRAGMENT,
  NOT_SHARED = 100, NOT_GLOBAL, MISCOUNTED,
  STACK_FULL = 80, DIVIDED_BY_ZERO
};
enum PtxSpace { GENERIC_SPACE, GLOBAL_SPACE, SHARED_SPACE };  // of an instruction of PTX
constexpr unsigned AT_ONCE = 4;  // blocks that take turns at their atomic operations, in a random order
constexpr unsigned MOST_NAPS = 1000;  // in a row, while nobody does anything else
constexpr unsigned COLOURS = 256;  // stacks begin at so many places of a page, for a cache has few lines for each
constexpr size_t STACK = 768 << 10, GUARD = 64 << 10;  // a thread may have 512 KB of local memory; what grows beyond faults

struct Fiber {
  jmp_buf context;
  bool started = false;
  State state = DONE;
  dim3 index;
  unsigned linear = 0;
  uint64_t offered = 0, shown = 0;    // a value for other lanes of the warp: what they have met for is shown
  float fragment[6] = {};             // and what the tensor cores read: elements of a and b
  Operation operation = SYNC;         // of the warp, at which it waits
  unsigned mask = 0;                  // for these lanes
  const void* waits_at = nullptr;     // the code that called the barrier
  int line = 0;                       // and where the call is in the source
  const void* naps_at = nullptr;      // or that went to sleep
  const void* watched = nullptr;      // the atomic variable that it read last
  uint64_t watched_bits = 0;
  const void* phase = nullptr;        // the barrier of CUDA's library at which it waits
  unsigned barriers = 0;              // how many it has passed in this block
  unsigned told = 1;                  // and how many times it has told others what it did, one more
  char* stack = nullptr;  // its pages come into being when they are used
};

// What Python reads after a launch that was ended.
struct Report {
  int fault;
  unsigned block[3], thread[3], other_block[3], other_thread[3];
  int how, other_how;  // reads, writes, atomic, volatile: bits of checks.h
  uint64_t where, other_where, address;  // offsets into this library; an address of memory
  const char* words;  // of an assertion; or how many have arrived
  uint64_t flag_where;  // of a race: where a flag was written behind it, by which the other was told
  int fence;            // that is missing: the writer's, 1; or the reader's, 2
};

struct Block {
  dim3 index;
  Fiber* fibers;  // of its threads
  bool begun = false, done = false, at_grid = false;
  int votes = 0;              // of its threads at the last barrier
  uint64_t named[16] = {};    // phases of the barriers that have numbers
  std::vector<char> shared;   // its shared memory, while another block runs: static, then dynamic
};

static std::vector<Fiber> fibers;
static std::vector<Block> blocks;
static Fiber* current;
static Block* running;
static bool woken;   // has any that was at a barrier of CUDA's library been let go on?
static bool worked;  // has any thread done something but sleep?
static jmp_buf scheduler, ended;
static ucontext_t nowhere;
dim3 grid, block_size, block_index, thread_index;
static void (*body)(void*);
static void* arguments;
static Report report;
#ifdef CHECKED
static struct { const void* where; unsigned lane, from, mask; } stray;  // the launch's first read of a lane outside of its mask
#endif
static bool seeking;  // a race has been seen, and whether threads of other warps are in it too is being looked for
static Report race_seen;   // this race
Room room;
static size_t dynamic_bytes;  // of it that the launch asked for
static bool flushes;        // a kernel of float
static bool cooperates;     // all blocks of the launch are there at once
static int order;           // in which threads that can go on do: 0 as numbered, 1 reversed, 2 shuffled
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
  if (seeking) report = race_seen;  // whatever follows from it
  _longjmp(ended, 1);
}

// A thread waits for another, which has returned or waits elsewhere.
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
  for (;;) {  // a fiber outlives its thread and becomes that of the next block
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
  static ucontext_t first;  // what it begins with
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

}  // namespace emulator

#include "host.h"

namespace emulator {
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

#ifdef CHECKED
#include "checks.h"
constexpr bool CHECKS = true;
#else
constexpr bool CHECKS = false;
namespace emulator {
inline void begin_block(unsigned) {}
inline void end_block() {}
inline void after_barrier() {}
inline void after_warp(Fiber*, unsigned) {}
inline void after_grid() {}
inline void after_turn(const Fiber&) {}
inline void note_wait(int, unsigned, uint64_t, const void*) {}
enum Wait { BARRIER, GRID };
inline void begin_launch(unsigned, bool) {}
void touch(const void*, uint64_t, bool, int, const void*) {}
void touch_to_read(const void*, uint64_t, int, const void*) {}
void tell_now(const void*, int) {}
void hear_now(const void*) {}
void fence(bool) {}
void release(const void*, uint64_t, const void*) {}
void acquire(const void*, uint64_t, const void*) {}
void access(const void*, uint64_t, bool, const void*) {}
void access_whole(const void*, uint64_t, uint64_t, bool, const void*) {}
void access_in(int, const void*, uint64_t, uint64_t, bool, const void*) {}
void touch_volatile(const void*, uint64_t, bool, const void*) {}
void copy_in_group(void*, const void*, uint64_t, uint64_t, uint64_t, const void*) {}
void copy_in_phase(void*, void*, const void*, uint64_t, uint64_t, const void*) {}
void commit_group() {}
void wait_for_groups(unsigned) {}
inline void after_arrival(const void*) {}
inline void after_phase(const void*) {}
inline void after_waiting(const void*, const Fiber&) {}
}  // namespace emulator
extern "C" void emulator_forget() {}
extern "C" void emulator_allow(uint64_t, uint64_t, uint64_t, uint64_t) {}
#endif

#include "phases.h"
#include "schedule.h"

namespace emulator {

// While there is one, numbers below the normal ones are 0, as CuPy has NVIDIA's compiler do with float (-ftz=true).
class Flushed {
 public:
  explicit Flushed(bool flush) : before_(settings()) {
    if (flush) set(before_ | FLUSH);
  }
  ~Flushed() { set(before_); }

 private:
#if defined(__SSE2__)
  static constexpr uint64_t FLUSH = 0x8040;  // results and operands
  static uint64_t settings() { return _mm_getcsr(); }
  static void set(uint64_t to) { _mm_setcsr(static_cast<unsigned>(to)); }
#elif defined(__aarch64__)
  static constexpr uint64_t FLUSH = 1 << 24;
  static uint64_t settings() {
    uint64_t now;
    asm volatile("mrs %0, fpcr" : "=r"(now));
    return now;
  }
  static void set(uint64_t to) { asm volatile("msr fpcr, %0" : : "r"(to)); }
#else
  static constexpr uint64_t FLUSH = 0;
  static uint64_t settings() { return 0; }
  static void set(uint64_t) {}
#endif
  const uint64_t before_;
};

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

unsigned lane() { return current->linear % WARP; }

unsigned lanes_of(unsigned mask) {
  const unsigned threads = block_size.x * block_size.y * block_size.z, first = current->linear / WARP * WARP;
  return threads - first < WARP ? mask & ((1u << (threads - first)) - 1) : mask;
}

int barrier(bool value, const void* where, int line) {
  current->offered = value, current->line = line;
  note_wait(BARRIER, 0, value, where);
  wait(AT_BARRIER, where);
  return running->votes;
}

void grid_barrier(const void* where) {
  if (!cooperates) fail(NOT_COOPERATIVE, *current, where);
  current->line = 0;
  note_wait(GRID, 0, 0, where);
  wait(AT_GRID, where);
}

bool is_cooperative() { return cooperates; }

void nap(const void* where) {
  current->naps_at = where;
  wait(NAPPING, where);
  current->naps_at = nullptr;
}

// Whoever reads the same from the same place again waits for others to change it.
void nap_if_seen(const void* address, uint64_t bits, const void* where) {
  if (!on_device()) return;
  if (current->watched == address && current->watched_bits == bits) return nap(where);
  current->watched = address, current->watched_bits = bits;
}

void meet(Operation operation, unsigned mask, uint64_t value, const void* where, int line) {
  if (operation != ACTIVE && !(mask >> lane() & 1)) fail(NOT_IN_MASK, *current, where);
  current->operation = operation, current->mask = mask, current->offered = value, current->line = line;
  note_wait(operation, mask, value, where);
  wait(AT_WARP, where);
}

unsigned active() { return current->shown; }

// CUDA leaves undefined what a lane outside of the mask gives. GPUs were seen to give 0, on which programs rely.
uint64_t seen(unsigned lane) {
  const bool came = lane < WARP && lanes_of(current->mask) >> lane & 1;
  if (came) return running->fibers[current->linear / WARP * WARP + lane].shown;
#ifdef CHECKED
  if (!stray.where) stray = {current->waits_at, current->linear % WARP, lane, current->mask};
  return ~uint64_t{0};
#else
  return 0;
#endif
}

uint64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void require_warp(const void* where) {
  if (lanes_of(~0u) != ~0u) fail(NOT_WHOLE, *current, where);
}

void begin_fragment(Operation operation, const void* at, unsigned size, unsigned length, unsigned ldm, const void* where,
                    int line) {
  static char words[80];
  const auto refuse = [&](const char* format, auto... numbers) {
    std::snprintf(words, sizeof words, format, numbers...);
    report.words = words;
    fail(FRAGMENT, *current, where);
  };
  require_warp(where);
  // CUDA wants 32 bytes; where shared memory begins is the compiler's choice, though, and enough is 16.
  const bool chosen = at >= static_cast<const void*>(__ehdr_start) && at < static_cast<const void*>(_end);
  const unsigned alignment = std::min(chosen ? 16 : 32u, length * size), least = 16 / size;
  if (reinterpret_cast<uintptr_t>(at) % alignment) refuse("begins at an address that is no multiple of %u bytes", alignment);
  if (ldm % least) refuse("has rows or columns ldm = %u apart, no multiple of %u elements", ldm, least);
  if (ldm < length && (ldm || operation == STORE_FRAGMENT))
    refuse("has rows or columns of %u elements, which ldm = %u lets overlap", length, ldm);
  meet(operation, ~0u, 0, where, line);
}

// sums += a b, by a whole warp; which lane has which element is told in the PTX ISA under mma.m16n8k8.
void mma_tf32(float* sums, const float* a, const float* b, const void* where) {
  require_warp(where);
  for (int i = 0; i < 6; ++i) current->fragment[i] = to_tf32(i < 4 ? a[i] : b[i - 4]);
  meet(MMA, ~0u, 0, where);
  const Fiber* lanes = running->fibers + current->linear / WARP * WARP;
  for (int i = 0; i < 4; ++i) {
    const int row = lane() / 4 + 8 * (i / 2), col = 2 * (lane() % 4) + i % 2;
    for (int k = 0; k < 8; ++k)
      sums[i] += lanes[row % 8 * 4 + k % 4].fragment[row / 8 + 2 * (k / 4)] * lanes[col * 4 + k % 4].fragment[4 + k / 4];
  }
  meet(MMA, ~0u, 0, where);
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
