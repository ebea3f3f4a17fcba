// Instructions of PTX for several threads: numbered barriers, and operations of a warp.
#pragma once

#include "operands.h"

namespace emulated_ptx {

// Barriers of a block, by number.
NOT_INLINED inline void bar_sync(unsigned number, unsigned threads, int line = __builtin_LINE()) {
  emulator::named_barrier(number, threads, true, CALLER, line);
}
NOT_INLINED inline void bar_arrive(unsigned number, unsigned threads, int line = __builtin_LINE()) {
  emulator::named_barrier(number, threads, false, CALLER, line);
}
NOT_INLINED inline void warp_sync(unsigned mask) { emulator::meet(emulator::SYNC, mask, 0, CALLER); }

// Operations of a warp. `c` has the last lane of a segment, and in its upper half which bits of a lane's number are its segment's.
#define PTX_SHFL(name, operation, of_source, is_in)                                                                  \
  NOT_INLINED inline unsigned shfl_##name(unsigned value, unsigned b, unsigned c, unsigned mask, bool& valid) {       \
    const unsigned lane = emulator::lane(), segment = c >> 8 & 31, last = (lane & segment) | (c & 31 & ~segment);     \
    const unsigned first = lane & segment, by = b & 31, source = of_source;                                           \
    valid = is_in;                                                                                                    \
    (void)first, (void)last;                                                                                          \
    return emulator::shuffle(emulator::operation, mask, value, valid ? source : lane, CALLER);                        \
  }
PTX_SHFL(up, SHFL_UP, lane - by, static_cast<int>(source) >= static_cast<int>(last))
PTX_SHFL(down, SHFL_DOWN, lane + by, source <= last)
PTX_SHFL(bfly, SHFL_XOR, lane ^ by, source <= last)
PTX_SHFL(idx, SHFL, first | (by & ~segment), source <= last)
#undef PTX_SHFL
NOT_INLINED inline bool elect(unsigned mask, unsigned& first) {
  emulator::meet(emulator::SYNC, mask, 0, CALLER);
  first = __builtin_ctz(mask);
  return emulator::lane() == first;
}

}  // namespace emulated_ptx
