// What CUDA's four interfaces for asynchronous copies share. Their checks are in runtime/checks/copies.h.
#pragma once

#include "scopes.h"

namespace emulator {

void begin_phases(void* at, uint64_t expected, const void* where);
uint64_t arrive(void* at, uint64_t count, bool drops, const void* where);
bool passed(void* at, uint64_t number, const void* where);
void wait_for_phase(void* at, uint64_t number, const void* where);
uint64_t phase_of(void* at, const void* where);
void copy_in_group(void* to, const void* from, uint64_t size, uint64_t zeros, uint64_t alignment, const void* where);
void copy_in_phase(void* at, void* to, const void* from, uint64_t size, uint64_t alignment, const void* where);
void move_bytes(void* to, const void* from, uint64_t size, uint64_t zeros);  // without checks of the accesses
void commit_group();
void wait_for_groups(unsigned but);

template <class Size>
constexpr size_t stated = 1;
template <size_t Alignment>
constexpr size_t stated<cuda::aligned_size_t<Alignment>> = Alignment;
template <class Size>
constexpr size_t alignment_of(size_t least) {
  return stated<Size> > least ? stated<Size> : least;
}

// One piece of a copy, in the group of this thread's copies or bound to a barrier's phase.
UNSEEN inline void copy_part(void* barrier, void* to, const void* from, size_t size, size_t alignment, const void* where) {
  if (size == 0) return;
  if (barrier) {
    copy_in_phase(barrier, to, from, size, alignment, where);
  } else {
    copy_in_group(to, from, size, 0, alignment, where);
  }
  move_bytes(to, from, size, 0);
}

// The threads of a group take turns at pieces, as large as can be copied at once.
template <class Group>
UNSEEN void copy_shares(const Group& group, void* barrier, void* to, const void* from, size_t size, size_t alignment,
                        const void* where) {
  const size_t bits = reinterpret_cast<size_t>(to) | reinterpret_cast<size_t>(from) | size;
  size_t piece = 16;
  while (bits % piece) piece /= 2;
  const size_t least = piece < alignment ? alignment : piece;  // a misaligned address is a fault
  for (size_t at = group.thread_rank() * least; at < size; at += group.size() * least) {
    const size_t length = size - at < least ? size - at : least;
    copy_part(barrier, static_cast<char*>(to) + at, static_cast<const char*>(from) + at, length, alignment, where);
  }
}

}  // namespace emulator
