// What is looked at on every access to memory: is it there, has it been written, does another thread touch it too?
//
// Two accesses to one place are a race if one of them writes, unless they are the same thread's, both are atomic, or
// something orders them: within a block a barrier, between blocks messages alone. Blocks that run one after another are
// judged as if they ran at once. What a block did before a barrier is known to a thread of another that has read an
// atomic variable (or a volatile one) which a thread behind that barrier wrote, if the writer had a __threadfence()
// before, or released what the other acquired; to the other threads of its block it is known behind their next barrier.
// Where blocks run at once, and may have read old values before, the reader needs a fence too, and so does whoever reads
// one of C++'s atomic types without acquiring. Threads of a block tell each other by a __threadfence_block(). (Lamport,
// Time, clocks, and the ordering of events, CACM 1978; Flanagan and Freund, FastTrack, PLDI 2009, whose epochs are the
// barriers here.)
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
  of_block.assign(at_once, {});
  flags.clear(), flags_seen.assign(at_once, {}), unfenced.assign(at_once, {});
  minds.assign(fibers.size(), {});
  synced.assign(fibers.size(), {});
  peers.assign(fibers.size(), {});
  begin_copies(at_once);
  messages.clear();
  suspicions.clear(), doubts.clear();
  talked = false;
}
inline void begin_block(unsigned block) {
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  shared_shadow[block] = {};
  std::fill_n(synced.begin() + block * threads, threads, Lanes());
  for (unsigned i = 0; i < threads; ++i) peers[block * threads + i].clear();
  end_copies(block);
  if (!together) flags_seen[block] = {}, unfenced[block] = {};
  if (together || !talked) return;
  of_block[block] = {};
  std::fill_n(minds.begin() + block * threads, threads, Mind());
}
inline void end_block() {
  total_up();
  if (seeking) fail(RACE, *current, __ehdr_start);
  if (suspicions.empty()) return;
  report = suspicions.begin()->second;
  _longjmp(ended, 1);
}

}  // namespace emulator
