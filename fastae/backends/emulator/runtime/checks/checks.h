// The checks of a launch, where the kernel is compiled by -fsanitize=thread,bounds: the compiler then calls hooks.h at every
// access to memory. shadow.h has what was done to each place, clocks.h what is ordered, races.h the judgement.
#pragma once

#include "../counts.h"
#include "../trace.h"
#include "accesses.h"
#include "copies.h"
#include "hooks.h"

namespace emulator {

inline void begin_launch(unsigned at_once, bool cooperative) {
  together = cooperative && at_once > 1, mixed = !cooperative && order == 2;
  executed.resize(fibers.size());
  shared_shadow.resize(at_once);
  block_clocks.assign(at_once, {});
  flags.clear(), flags_seen.assign(at_once, {}), unfenced.assign(at_once, {});
  thread_clocks.assign(fibers.size(), {});
  lane_clocks.assign(fibers.size(), {});
  peer_clocks.assign(fibers.size(), {});
  begin_copies(at_once);
  messages.clear();
  suspicions.clear(), doubts.clear();
  any_released = false;
}
inline void begin_block(unsigned block) {
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  shared_shadow[block] = {};
  std::fill_n(lane_clocks.begin() + block * threads, threads, LaneClocks());
  for (unsigned i = 0; i < threads; ++i) peer_clocks[block * threads + i].clear();
  end_copies(block);
  if (!together) flags_seen[block] = {}, unfenced[block] = {};
  if (together || !any_released) return;
  block_clocks[block] = {};
  std::fill_n(thread_clocks.begin() + block * threads, threads, Clocks());
}
inline void end_block() {
  total_up();
  if (seeking) fail(RACE, *current, __ehdr_start);
  if (suspicions.empty()) return;
  report = suspicions.begin()->second;
  _longjmp(ended, 1);
}

}  // namespace emulator
