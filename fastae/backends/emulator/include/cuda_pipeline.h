// Asynchronous copies in C: the groups of a thread's own copies.
#pragma once

#include "language/asynchronous.h"

NOT_INLINED inline void __pipeline_memcpy_async(void* shared, const void* global, size_t size, size_t zeros = 0) {
  if ((size != 4 && size != 8 && size != 16) || zeros > size) {
    emulator::fail_assertion("__pipeline_memcpy_async copies 4, 8 or 16 bytes at once", CALLER);
  }
  emulator::copy_in_group(shared, global, size, zeros, size, CALLER);
  emulator::move_bytes(shared, global, size, zeros);
}
NOT_INLINED inline void __pipeline_commit() { emulator::commit_group(); }
NOT_INLINED inline void __pipeline_wait_prior(size_t but) { emulator::wait_for_groups(unsigned(but)); }
