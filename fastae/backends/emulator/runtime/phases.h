// Barriers in memory (cuda::barrier, mbarrier) and numbered barriers (bar.sync): threads arrive, and wait until all that
// are expected have arrived. A barrier in memory is eight bytes of the kernel's. Here, too, asynchronous copies are made.
#pragma once

namespace emulator {

constexpr uint64_t MOST_ARRIVALS = (1 << 20) - 1;

struct Phase {
  uint64_t expected : 20, pending : 20, number : 24;
};

// The barrier at an address. Shared memory that was never written is full of ones.
inline Phase& begun(void* at, const void* where) {
  Phase& phase = *static_cast<Phase*>(at);
  if (phase.expected == MOST_ARRIVALS && phase.pending == MOST_ARRIVALS) fail(UNBEGUN, *current, where);
  return phase;
}

void begin_phases(void* at, uint64_t expected, const void* where) {
  if (expected == 0 || expected >= MOST_ARRIVALS) fail_assertion("a barrier expects 1 to 1048574 arrivals", where);
  access(at, sizeof(Phase), true, where);
  *static_cast<Phase*>(at) = {expected, expected, 0};
}

// Arrive; return the phase. The last arrival ends the phase and lets the threads go on that wait for it.
uint64_t arrive(void* at, uint64_t count, bool drops, const void* where) {
  Phase& phase = begun(at, where);
  touch(at, sizeof(Phase), true, BLOCK, where);
  const uint64_t number = phase.number;
  if (count > phase.pending) fail(TOO_MANY, *current, where);
  after_arrival(at);
  phase.pending -= count, phase.expected -= drops;
  if (phase.pending) return number;
  phase.pending = phase.expected, ++phase.number;
  after_phase(at);
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& f = running->fibers[i];
    if (f.state == AT_PHASE && f.phase == at) f.state = READY, woken = true, after_waiting(at, f);
  }
  return number;
}

bool passed(void* at, uint64_t number, const void* where) {
  const Phase& phase = begun(at, where);
  touch_to_read(at, sizeof(Phase), BLOCK, where);
  if (phase.number == number) return false;
  after_waiting(at, *current);
  return true;
}

void wait_for_phase(void* at, uint64_t number, const void* where) {
  if (passed(at, number, where)) return;
  current->phase = at;
  wait(AT_PHASE, where);
}

uint64_t phase_of(void* at, const void* where) { return begun(at, where).number; }

void move_bytes(void* to, const void* from, uint64_t size, uint64_t zeros) {
  std::memcpy(to, from, size - zeros);
  std::memset(static_cast<char*>(to) + size - zeros, 0, zeros);
}

// Barriers of a block by their numbers: `threads` of its threads come to one, and those of bar.arrive do not wait.
void named_barrier(unsigned number, unsigned threads, bool waits, const void* where, int line) {
  const unsigned all = block_size.x * block_size.y * block_size.z;
  if (waits && !threads) return void(barrier(0, where, line));
  if (number > 15 || threads % WARP || !threads) fail(MISCOUNTED, *current, where);
  Phase& phase = reinterpret_cast<Phase&>(running->named[number]);
  threads = std::min(threads, all);
  if (!phase.pending) phase.expected = phase.pending = threads;
  if (phase.expected != threads) fail(MISCOUNTED, *current, where);
  after_arrival(&phase);
  if (--phase.pending) {
    if (!waits) return;
    current->phase = &phase;
    return wait(AT_PHASE, where);
  }
  after_phase(&phase);
  for (unsigned i = 0; i < all; ++i) {
    Fiber& f = running->fibers[i];
    if (f.state == AT_PHASE && f.phase == &phase) f.state = READY, woken = true, after_waiting(&phase, f);
  }
  if (waits) after_waiting(&phase, *current);
}

[[noreturn]] inline void fail_for_phase(const Fiber& fiber) {
  static char words[64];
  const Phase& phase = *static_cast<const Phase*>(fiber.phase);
  const unsigned expected = phase.expected, came = expected - phase.pending;
  snprintf(words, sizeof words, "%u of %u", came, expected);
  report.words = words;
  fail(TOO_FEW, fiber, fiber.waits_at);
}

}  // namespace emulator
