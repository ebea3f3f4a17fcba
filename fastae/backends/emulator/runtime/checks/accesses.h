// What is checked at every access to memory: whether it is allowed there, whether the place was written, and races.
#pragma once

#include "races.h"

namespace emulator {

enum PtxSpace { GENERIC_SPACE, GLOBAL_SPACE, SHARED_SPACE };  // of an instruction of PTX, as in language/ptx/

static uintptr_t whole_at;  // of the copy of which a part is checked; a struct may have bytes that were never written
static uint64_t whole_size;
static bool in_written;  // some of that copy has been written

// Check an access; return whether other threads can see it.
inline bool look(const void* address, uint64_t size, int how, const void* where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  resolve();
  report.how = how, report.address = at;
  const bool shared = is_shared(at);
  if (!shared && is_own(at)) return false;
  if (seeking && ++sought > MOST_SOUGHT) fail(RACE, *current, where);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(room.shared);
  const bool beyond = is_in_room(at) && (at < begin || at + size > begin + dynamic_bytes);
  const bool there = !beyond && (shared || is_allowed(at, size));
  if (recorded) note(at, size, how, shared, there, where);
  if (!there) fail(beyond ? BEYOND_SHARED : OUT_OF_BOUNDS, *current, where);
  if (counted && !(how & ELEMENTARY)) count(at, size, how & WRITES, shared, where);
  if (!shared) device_access(at, size, how, where);
  Memory& memory = shared ? shared_shadow[block_slot()] : shadow;
  bool any = false, all = true;
  each_place(memory, at, size, [&](Shadow& place) {
    const bool written = place.write.block != ~0u || place.atomic >= 0;
    any = any || written, all = all && written;
    if (!written && shared && how & READS && !shares_structs) fail(UNINITIALISED, *current, where);
    check(place, at, size, how, where);
  });
  if (shared && how & READS && !all && !(any && size > 4) && !in_written) fail(UNINITIALISED, *current, where);
  return true;
}

void access(const void* address, uint64_t size, bool is_write, const void* where) {
  if (!on_device()) return host_access(address, size, is_write, where);
  look(address, size, is_write ? WRITES : READS, where);
}
void access_at_once(const void* address, uint64_t size, bool is_write, const void* where) {
  if (!on_device()) return host_access(address, size, is_write, where);
  look(address, size, !is_write ? READS : size <= 16 ? WRITES | STORE : WRITES, where);
}

// An access that a GPU makes at once, so that its address must be a multiple of its size.
void access_whole(const void* address, uint64_t size, uint64_t alignment, bool is_write, const void* where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  if (!on_device()) return host_access(address, size, is_write, where);
  if (at % alignment) {
    report.how = is_write ? WRITES : READS, report.address = at;
    if (recorded) note(at, size, report.how, is_shared(at), false, where);
    fail(MISALIGNED, *current, where);
  }
  access_at_once(address, size, is_write, where);
}

// An access by an instruction of PTX that names its space; with space -1, check only that it is in shared memory.
void access_in(int space, const void* address, uint64_t size, uint64_t alignment, bool is_write, const void* where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  const bool shared = is_shared(at);
  if (on_device() && (space == GLOBAL_SPACE ? shared : space != GENERIC_SPACE && !shared)) {
    report.how = is_write ? WRITES : READS, report.address = at;
    if (recorded) note(at, size, report.how, shared, false, where);
    fail(shared ? NOT_GLOBAL : NOT_SHARED, *current, where);
  }
  if (space >= 0) access_whole(address, size, alignment, is_write, where);
}

// Atomic operations and accesses to volatile variables.
inline void communicate(const void* address, uint64_t size, int how, const void* where) {
  if (!on_device()) return host_access(address, size, how & WRITES, where);
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  // In a random order others go on first, except before volatile accesses to shared memory: they may be a warp's.
  if (mixed && (how & ATOMIC || !is_shared(at)) && !is_own(at) && random_below(2)) yield();
  if (!look(address, size, how, where)) return;
  if (how & READS) read_message(at, together || how & OF_CPP);
  if (how & WRITES) leave_message(at);
  if (!is_shared(at)) {
    if (how & READS) {
      auto& read = flags_seen[block_slot()];
      if (read[0].at != at) std::move_backward(read.begin(), read.end() - 1, read.end());
      read[0] = {at, ++flag_time, current->linear};
    }
    const uint32_t place = offset_of(where);
    if (how & WRITES) flags[at][block_number()] = {current->linear, current->clock++, current->barriers, place, ++flag_time};
  }
}
inline int how_of(int scope) { return ATOMIC | (scope & BLOCK ? OF_BLOCK : 0) | (scope & CPP ? OF_CPP : 0); }
// Mark what this thread has read where it now compares and swaps as a guess, which may be an old value.
inline void excuse_guess(const void* address, uint64_t size) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  Memory& memory = is_shared(at) ? shared_shadow[block_slot()] : shadow;
  for (uint64_t offset = 0; offset < size; offset += size < 4 ? 1 : 4) {
    for (Access& read : (size < 4 ? memory.bytes[at + offset] : memory.words[(at + offset) / 4]).reads)
      if (read.block == block_number() && read.thread == current->linear) read.how |= GUESS;
    suspicions.erase({block_number(), current->linear, at});
  }
}
void touch(const void* address, uint64_t size, bool reads, int scope, const void* where) {
  if (scope & GUESSED && on_device()) excuse_guess(address, size);
  communicate(address, size, (reads ? READS : 0) | WRITES | how_of(scope), where);
}
void touch_to_read(const void* address, uint64_t size, int scope, const void* where) {
  communicate(address, size, READS | how_of(scope), where);
}

void touch_volatile(const void* address, uint64_t size, bool is_write, const void* where) {
  communicate(address, size, VOLATILE | (is_write ? WRITES : READS), where);
}

void release(const void* address, uint64_t size, const void* where) {
  touch(address, size, true, DEVICE, where);
  release_at(address, DEVICE);
}
void acquire(const void* address, uint64_t size, const void* where) {
  communicate(address, size, READS | VOLATILE, where);
  acquire_at(address);
}

}  // namespace emulator
