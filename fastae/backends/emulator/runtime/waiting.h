// What threads wait for, and the operations of a warp: the functions that language/warps.h and mma.h call.
#pragma once

namespace emulator {

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

// A thread that reads the same value from the same place again waits for others to change it.
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

// CUDA leaves the value of a lane outside of the mask undefined. GPUs were seen to give 0, on which programs rely.
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

// sums += a b, by a whole warp; for which lane has which element see the PTX ISA, mma.m16n8k8.
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
