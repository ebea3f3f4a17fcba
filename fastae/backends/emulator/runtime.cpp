// CUDA's threads on the CPU. Every thread of a block is a fiber, which runs until it waits at a barrier or a warp
// operation. Blocks run one after another; those of a cooperative launch are all there at once and take turns where they
// sleep, each with its own shared memory. With -DCHECKED, and the kernels compiled by -fsanitize=thread, the compiler
// calls us at every access to memory (no part of the sanitizer itself is linked), and what no CUDA program may do ends
// the launch with a report.
#include <sys/mman.h>
#include <ucontext.h>

#include <csetjmp>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "device.h"

namespace emulator {

enum State { READY, AT_BARRIER, AT_WARP, NAPPING, DONE };
enum Fault { NONE, DIVERGED, DEADLOCK, OUT_OF_BOUNDS, UNINITIALISED, RACE, RACE_OF_BLOCKS, NO_MEMORY, FOR_EVER, BEYOND_ARRAY,
             MISALIGNED = 20, ASSERTED };
constexpr unsigned WARP = 32, MOST_NAPS = 1000;  // in a row, while nobody does anything else
constexpr size_t STACK = 768 << 10, GUARD = 64 << 10;  // a thread may have 512 KB of local memory; what grows beyond faults

struct Fiber {
  ucontext_t first;
  jmp_buf context;
  bool started = false;
  State state = DONE;
  dim3 index;
  unsigned linear = 0;
  uint64_t published = 0;             // what other lanes of the warp may read
  float fragment[6] = {};             // and what the tensor cores do: elements of a and b
  unsigned mask = 0;                  // the lanes that a warp operation waits for
  const void* waits_at = nullptr;     // the code that called the barrier
  int line = 0;                       // and where the call is in the source
  const void* naps_at = nullptr;      // or that went to sleep
  unsigned barriers = 0, warps = 0;   // how many of each it has passed in this block
  unsigned told = 1;                  // and how many times it has told others what it did, one more
  char* stack = nullptr;  // its pages come into being when they are used
};

// What Python reads after a launch that was ended.
struct Report {
  int fault;
  unsigned block[3], thread[3], other_block[3], other_thread[3];
  int how, other_how;  // reads, writes, atomic, volatile: bits of checks.h
  uint64_t where, other_where, address;  // offsets into this library; an address of memory
  const char* words;  // of an assertion
};

struct Block {
  dim3 index;
  Fiber* fibers;  // of its threads
  bool begun = false, done = false;
  std::vector<char> shared;  // its shared memory, while another block runs
};

static std::vector<Fiber> fibers;
static std::vector<Block> blocks;
static Fiber* current;
static Block* running;
static bool worked;  // has any thread done something but sleep?
static jmp_buf scheduler, ended;
static ucontext_t nowhere;
dim3 grid, block_size, block_index, *thread_index;
static void (*body)(void*);
static void* arguments;
static Report report;
static bool flushes;        // a kernel of float
static int order;           // in which threads that can go on do: 0 as numbered, 1 reversed, 2 shuffled
static uint64_t random_state = 1;

extern "C" char __start_cushared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cushared[] __attribute__((weak, visibility("hidden")));
extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" const char _end[] __attribute__((weak, visibility("hidden")));

inline void copy(unsigned (&to)[3], const dim3& from) { to[0] = from.x, to[1] = from.y, to[2] = from.z; }

[[noreturn]] inline void fail(Fault fault, const Fiber& fiber, const void* where) {
  report.fault = fault;
  copy(report.block, block_index);
  copy(report.thread, fiber.index);
  report.where = reinterpret_cast<const char*>(where) - __ehdr_start;
  _longjmp(ended, 1);
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
  thread_index = &fiber.index;
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
  getcontext(&fiber.first);
  fiber.first.uc_stack.ss_sp = fiber.stack;
  fiber.first.uc_stack.ss_size = STACK;
  fiber.first.uc_link = &nowhere;
  makecontext(&fiber.first, fiber_main, 0);
  setcontext(&fiber.first);
}

}  // namespace emulator

#include "host.h"

#ifdef CHECKED
#include "checks.h"
constexpr bool CHECKS = true;
#else
constexpr bool CHECKS = false;
namespace emulator {
inline void begin_block(unsigned) {}
inline void end_block() {}
inline void after_barrier() {}
inline void begin_launch(unsigned) {}
void touch(const void*, uint64_t, bool, const void*) {}
void fence() {}
void release(const void*, uint64_t, const void*) {}
void acquire(const void*, uint64_t, const void*) {}
}  // namespace emulator
extern "C" void emulator_forget() {}
extern "C" void emulator_allow(uint64_t, uint64_t, uint64_t, uint64_t) {}
#endif

namespace emulator {

inline unsigned number_of(const Block& block) { return &block - blocks.data(); }

inline void begin(Block& block, unsigned threads) {
  block.begun = true;
  if (__start_cushared) std::memset(__start_cushared, 0xFF, __stop_cushared - __start_cushared);  // NaN
  begin_block(number_of(block));
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& f = block.fibers[i];
    f.linear = i, f.state = READY, f.barriers = f.warps = 0, f.told = 1, f.naps_at = nullptr;
    f.index.x = i % block_size.x, f.index.y = i / block_size.x % block_size.y, f.index.z = i / (block_size.x * block_size.y);
  }
}

// Let every thread of a block run to its end, or until those that are left sleep or wait for those that do.
inline void run_block(Block& block, unsigned threads) {
  Fiber* const team = block.fibers;
  std::vector<unsigned> turn(threads);
  for (unsigned i = 0; i < threads; ++i) turn[i] = order == 1 ? threads - 1 - i : i;
  for (;;) {
    for (unsigned i = threads; order == 2 && i > 1; --i) {
      random_state = random_state * 6364136223846793005u + 1442695040888963407u;
      std::swap(turn[i - 1], turn[(random_state >> 33) % i]);
    }
    for (unsigned i : turn)
      if (team[i].state == READY) {
        resume(team[i]);
        worked = worked || team[i].state != NAPPING;
      }
    bool progress = false;
    for (unsigned first = 0; first < threads; first += WARP) {  // a warp goes on when all lanes that it names are there
      unsigned here = 0, needed = 0, lanes = threads - first < WARP ? threads - first : WARP;
      for (unsigned l = 0; l < lanes; ++l)
        if (team[first + l].state == AT_WARP) here |= 1u << l, needed |= team[first + l].mask;
      if (lanes < WARP) needed &= (1u << lanes) - 1;
      if (here && here == needed) {
        progress = true;
        for (unsigned l = 0; l < lanes; ++l)
          if (here >> l & 1) team[first + l].state = READY, ++team[first + l].warps;
      }
    }
    if (progress) continue;
    unsigned done = 0, waiting = 0;
    Fiber *one = nullptr, *at_warp = nullptr;
    bool apart = false, asleep = false;
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& f = team[i];
      if (f.state == DONE) ++done;
      if (f.state == AT_WARP) at_warp = &f;
      if (f.state == NAPPING) asleep = true, f.state = READY;
      if (f.state != AT_BARRIER) continue;
      apart = apart || (one && one->line != f.line);
      one = &f, ++waiting;
    }
    if (asleep) return;
    if (done == threads) {
      block.done = true;
      return;
    }
    if (at_warp) fail(DEADLOCK, *at_warp, at_warp->waits_at);
    if (waiting < threads || apart) fail(DIVERGED, *one, one->waits_at);
    after_barrier();
    for (unsigned i = 0; i < threads; ++i) team[i].state = READY, ++team[i].barriers;
  }
}

// Let blocks that are on the device at once take turns until all are done.
inline void run_blocks(unsigned threads) {
  const size_t room = __start_cushared ? __stop_cushared - __start_cushared : 0;
  for (unsigned naps = 0, left = blocks.size(); left > 0; naps = worked ? 0 : naps + 1) {
    worked = false;
    for (Block& block : blocks) {
      if (block.done) continue;
      running = &block, block_index = block.index;
      if (!block.begun) {
        begin(block, threads);
      } else if (blocks.size() > 1) {
        std::copy(block.shared.begin(), block.shared.end(), __start_cushared);
      }
      run_block(block, threads);
      if (block.done) --left;
      if (blocks.size() > 1) block.shared.assign(__start_cushared, __start_cushared + room);
    }
    for (unsigned i = 0; naps == MOST_NAPS && i < blocks.size() * threads; ++i)
      if (fibers[i].naps_at) {
        block_index = blocks[i / threads].index;
        fail(FOR_EVER, fibers[i], fibers[i].naps_at);
      }
  }
}

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

// Run a grid; the threads of a kernel that never waits need no fibers.
int launch(const unsigned* size, bool waits, bool cooperative, void (*kernel)(void*), void* with) {
  grid = {size[0], size[1], size[2]}, block_size = {size[3], size[4], size[5]};
  body = kernel, arguments = with, report = Report(), output.clear(), lost = false;
  const unsigned threads = size[3] * size[4] * size[5], count = size[0] * size[1] * size[2];
  const Flushed flushed(flushes);
  if (_setjmp(ended)) {
    for (Fiber& f : fibers) f.started = false;  // whatever they were in the middle of
    return report.fault;
  }
  const unsigned at_once = cooperative ? count : 1;
  if (fibers.size() < at_once * threads) {
    for (Fiber& f : fibers) f.started = false;  // they move
    fibers.resize(at_once * threads);
  }
  begin_launch(at_once);
  blocks.resize(at_once);
  for (unsigned first = 0; first < count; first += at_once) {
    for (unsigned b = 0; b < at_once; ++b) {
      const unsigned i = first + b;
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
      current->index = {i % size[3], i / size[3] % size[4], i / (size[3] * size[4])};
      kernel(with);
    }
  }
  return NONE;
}

unsigned lane();

void barrier(const void* where, int line) {
  current->line = line;
  wait(AT_BARRIER, where);
}

void nap(const void* where) {
  current->naps_at = where;
  wait(NAPPING, where);
  current->naps_at = nullptr;
}

void warp_barrier(unsigned mask, const void* where) {
  current->mask = mask;
  wait(AT_WARP, where);
}

// Every lane shows a value, then reads another's.
uint64_t exchange(unsigned mask, uint64_t value, unsigned lane, bool valid, const void* where) {
  current->published = value;
  warp_barrier(mask, where);
  const unsigned source = current->linear / WARP * WARP + lane;
  if (valid && lane < WARP && source < block_size.x * block_size.y * block_size.z) value = running->fibers[source].published;
  warp_barrier(mask, where);
  return value;
}

// Round to 10 bits of mantissa, halves away from zero; infinities and NaN stay what they are.
inline float tf32(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & 0xffffe000;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

// sums += a b, by a whole warp; which lane has which element is told in the PTX ISA under mma.m16n8k8.
void mma_tf32(float* sums, const float* a, const float* b, const void* where) {
  for (int i = 0; i < 6; ++i) current->fragment[i] = tf32(i < 4 ? a[i] : b[i - 4]);
  warp_barrier(~0u, where);
  const Fiber* lanes = running->fibers + current->linear / WARP * WARP;
  for (int i = 0; i < 4; ++i) {
    const int row = lane() / 4 + 8 * (i / 2), col = 2 * (lane() % 4) + i % 2;
    for (int k = 0; k < 8; ++k)
      sums[i] += lanes[row % 8 * 4 + k % 4].fragment[row / 8 + 2 * (k / 4)] * lanes[col * 4 + k % 4].fragment[4 + k / 4];
  }
  warp_barrier(~0u, where);
}

unsigned lane() { return current->linear % WARP; }

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
void emulator_flush(bool flushes) { emulator::flushes = flushes; }
void emulator_order(int order, uint64_t seed) { emulator::order = order, emulator::random_state = seed | 1; }
}
