// What is looked at on every access to memory: is it there, has it been written, does another thread touch it too?
//
// Two accesses to one place, of which one writes, are a race unless they are the same thread's or a barrier lies between
// them. Blocks are ordered by messages alone: what a block did before a barrier is known to a thread of another that has
// read an atomic variable (or a volatile one) which a thread behind that barrier wrote, if both had a __threadfence()
// between the two, or if one released what the other acquired; to the other threads of its block it is known behind their
// next barrier. (Lamport, Time, clocks, and the ordering of events, CACM 1978; Flanagan and Freund, FastTrack, PLDI 2009,
// whose epochs are the barriers here.)
#pragma once

#include <map>

#include "counts.h"

namespace emulator {

struct Array {  // rows of `width` bytes, `stride` bytes apart
  uintptr_t base;
  uint64_t rows, width, stride;
};

struct Access {  // who, and when
  uint32_t block = ~0u, thread = 0, barriers = 0, warps = 0;
};

struct Shadow {  // of one place: its last write, and its last reads by two different threads
  Access write, read[2];
};

// What somebody knows of the others: of each block, all that it did before its so many-th barrier, and what one of its
// threads did since.
struct Known {
  uint32_t barriers = 0, thread = ~0u;
};
using Knowledge = std::vector<Known>;

inline void learn(Knowledge& mine, const Knowledge& theirs) {
  for (size_t b = 0; b < theirs.size(); ++b)
    if (theirs[b].barriers >= mine[b].barriers) mine[b] = theirs[b];
}

struct Mind {  // of a thread, beyond what its block knows
  Knowledge read, known, told;  // read without a fence yet; known; what others may read in its messages
};

static std::vector<Array> allowed;
static std::unordered_map<uint64_t, Shadow> shadow;
static std::vector<std::unordered_map<uint64_t, Shadow>> shared_shadow;  // of each block
static std::vector<Mind> minds;          // of each thread
static std::vector<Knowledge> of_block;  // what all threads of a block know
static std::map<uintptr_t, Knowledge> messages;
static bool together;  // blocks that run at once can tell each other something

inline unsigned here() { return running - blocks.data(); }
inline Mind& mind() { return minds[current - fibers.data()]; }

inline void begin_launch(unsigned at_once) {
  together = at_once > 1;
  executed.resize(fibers.size());
  shared_shadow.assign(at_once, {});
  messages.clear();
  if (!together) return;
  const Knowledge nothing(at_once);
  of_block.assign(at_once, nothing);
  minds.assign(fibers.size(), {nothing, nothing, nothing});
}
inline void begin_block(unsigned block) { shared_shadow[block].clear(); }
inline void end_block() { total_up(); }

inline void after_barrier() {  // a block's threads tell each other what they know
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  barriers += threads;
  for (unsigned i = 0; together && i < threads; ++i) learn(of_block[here()], minds[running->fibers + i - fibers.data()].known);
}

// Let somebody know all that this thread does, and what it has done itself.
inline void teach(Knowledge& whom) {
  learn(whom, mind().known), learn(whom, of_block[here()]);
  whom[here()] = {current->barriers, current->linear};
}

inline void remember() {
  learn(mind().known, mind().read);
  teach(mind().told);
}

// After a fence others go on first. Those that wait for the same message read it now, before this thread can send the
// next: else they would know more than they have a right to, and a race would go unseen.
void fence() {
  if (!together) return;
  remember();
  yield();
}

inline void hear(uintptr_t at) {
  if (together) learn(mind().read, messages.try_emplace(at, of_block.size()).first->second);
}
inline void tell(uintptr_t at) {
  if (together) learn(messages.try_emplace(at, of_block.size()).first->second, mind().told);
}

inline bool is_shared(uintptr_t at) {
  return at >= reinterpret_cast<uintptr_t>(__start_cushared) && at < reinterpret_cast<uintptr_t>(__stop_cushared);
}

inline bool is_own(uintptr_t at) {  // a local variable, or a constant of the library
  const uintptr_t stack = reinterpret_cast<uintptr_t>(current->stack);
  return (at >= stack && at < stack + STACK) ||
         (at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end));
}

inline bool is_allowed(uintptr_t at, uint64_t size) {
  for (const Array& a : allowed) {
    if (at < a.base || at >= a.base + a.rows * a.stride) continue;
    if ((at - a.base) % a.stride + size <= a.width) return true;
  }
  return false;
}

inline bool conflict(const Access& before, const Access& now) {
  if (before.block == ~0u || (before.block == now.block && before.thread == now.thread)) return false;
  if (before.block != now.block) {
    if (!together) return true;
    for (const Known& known : {of_block[here()][before.block], mind().known[before.block]})
      if (before.barriers < known.barriers || (before.barriers == known.barriers && before.thread == known.thread))
        return false;
    return true;
  }
  if (before.barriers != now.barriers) return false;
  return before.thread / WARP != now.thread / WARP || before.warps == now.warps;
}

inline void check(Shadow& place, bool is_write, const void* where) {
  const unsigned number = block_index.x + grid.x * (block_index.y + grid.y * block_index.z);
  const Access now{number, current->linear, current->barriers, current->warps};
  const Access* other = conflict(place.write, now) ? &place.write : nullptr;
  for (int i = 0; is_write && i < 2; ++i)
    if (conflict(place.read[i], now)) other = &place.read[i];
  if (other) {
    copy(report.other_block, {other->block % grid.x, other->block / grid.x % grid.y, other->block / (grid.x * grid.y)});
    const unsigned t = other->thread;
    copy(report.other_thread, {t % block_size.x, t / block_size.x % block_size.y, t / (block_size.x * block_size.y)});
    fail(other->block == number ? RACE : RACE_OF_BLOCKS, *current, where);
  }
  if (is_write) {
    place.write = now;
  } else {
    if (place.read[0].block != now.block || place.read[0].thread != now.thread) place.read[1] = place.read[0];
    place.read[0] = now;
  }
}

void access(const void* address, uint64_t size, bool is_write, const void* where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  report.is_write = is_write, report.address = at;
  const bool shared = is_shared(at);
  if (!shared && is_own(at)) return;
  if (!shared && !is_allowed(at, size)) fail(OUT_OF_BOUNDS, *current, where);
  if (counted) count(at, size, is_write, shared, where);
  auto& places = shared ? shared_shadow[here()] : shadow;
  // Words of four bytes, or single bytes for those who address these.
  for (uint64_t offset = 0; offset < size; offset += size < 4 ? 1 : 4) {
    Shadow& place = places[(at + offset) * 2 + (size < 4)];
    if (shared && !is_write && place.write.block == ~0u) fail(UNINITIALISED, *current, where);
    check(place, is_write, where);
  }
}

// Atomic operations and volatile variables, which race with nothing.
inline void communicate(const void* address, uint64_t size, bool reads, bool writes, const void* where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  report.is_write = writes, report.address = at;
  if (!is_shared(at) && is_own(at)) return;
  if (!is_shared(at) && !is_allowed(at, size)) fail(OUT_OF_BOUNDS, *current, where);
  if (reads) hear(at);
  if (writes) tell(at);
}
void touch(const void* address, uint64_t size, const void* where) { communicate(address, size, true, true, where); }

// A release tells those who acquire this place what its thread knows now; neither needs a fence.
void release(const void* address, uint64_t size, const void* where) {
  touch(address, size, where);
  if (!together) return;
  Knowledge now(of_block.size());
  teach(now);
  learn(messages[reinterpret_cast<uintptr_t>(address)], now);
}
void acquire(const void* address, uint64_t size, const void* where) {
  communicate(address, size, true, false, where);
  if (together) learn(mind().known, messages[reinterpret_cast<uintptr_t>(address)]);
}

}  // namespace emulator

extern "C" {
void emulator_forget() {
  emulator::allowed.clear(), emulator::shadow.clear();
  emulator::forget_counts();
}
void emulator_allow(uint64_t base, uint64_t rows, uint64_t width, uint64_t stride) {
  emulator::allowed.push_back({static_cast<uintptr_t>(base), rows, width, stride});
}

// What the compiler calls where the index of an array of known length is not below it, under -fsanitize=bounds.
void __ubsan_handle_out_of_bounds_abort(void*, void*) { emulator::fail(emulator::BEYOND_ARRAY, *emulator::current, CALLER); }

// What the compiler calls under -fsanitize=thread.
#define HOOK(name, size, is_write) \
  void name(void* p) { emulator::access(p, size, is_write, CALLER); }
#define VOLATILE_HOOK(name, size, reads, writes) \
  void name(void* p) { emulator::communicate(p, size, reads, writes, CALLER); }
#define HOOKS(size)                         \
  HOOK(__tsan_read##size, size, false)      \
  HOOK(__tsan_write##size, size, true)      \
  HOOK(__tsan_unaligned_read##size, size, false) \
  HOOK(__tsan_unaligned_write##size, size, true) \
  VOLATILE_HOOK(__tsan_volatile_read##size, size, true, false)           \
  VOLATILE_HOOK(__tsan_volatile_write##size, size, false, true)          \
  VOLATILE_HOOK(__tsan_unaligned_volatile_read##size, size, true, false) \
  VOLATILE_HOOK(__tsan_unaligned_volatile_write##size, size, false, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* p, unsigned long n) { emulator::access(p, n, false, CALLER); }
void __tsan_write_range(void* p, unsigned long n) { emulator::access(p, n, true, CALLER); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
