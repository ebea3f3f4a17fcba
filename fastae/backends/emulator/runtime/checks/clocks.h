// Which accesses happen before which others: each thread has vector clocks. (Lamport, Time, clocks, and the ordering of
// events, CACM 1978; Flanagan and Freund, FastTrack, PLDI 2009, whose epochs are the barriers here.)
//
// A message is what a thread releases through an atomic or volatile variable: all that it knew before its last fence, or,
// with an explicit release, all that it knows. Whoever reads the variable receives it, and knows it after a fence or an
// explicit acquire. The other threads of its block know it after their next barrier.
#pragma once

#include "shadow.h"

namespace emulator {

// How far the clocks of others have come. The key of a thread stands for all that it did before its clock had this value;
// WHOLE_BLOCK, for all that the block did before this barrier; BLOCK_ONLY, for what a __threadfence_block has released.
using VectorClock = std::unordered_map<uint64_t, uint32_t>;
constexpr uint32_t WHOLE_BLOCK = ~0u, BLOCK_ONLY = 1u << 31;
inline uint64_t key(uint32_t block, uint32_t thread) { return static_cast<uint64_t>(block) << 32 | thread; }

inline void join(VectorClock& mine, const VectorClock& theirs) {
  for (const auto& [who, what] : theirs) {
    uint32_t& known = mine[who];
    known = std::max(known, what);
  }
}

struct Clocks {  // of a thread, beyond those of its block; or of a block
  VectorClock read;      // received, without a fence since
  VectorClock known;
  VectorClock released;  // what its next messages hold
  void join(const Clocks& other) {
    emulator::join(read, other.read), emulator::join(known, other.known), emulator::join(released, other.released);
  }
};

// What a thread knows of the lanes of its warp, by __syncwarp; and of all threads of its block, by CUDA's barriers.
using LaneClocks = std::array<uint32_t, WARP>;
using PeerClocks = std::vector<uint32_t>;

static std::vector<Clocks> thread_clocks, block_clocks;  // of the blocks that run
static std::vector<LaneClocks> lane_clocks;
static std::vector<PeerClocks> peer_clocks;
static std::map<uintptr_t, VectorClock> messages;
static bool together;      // blocks run at once, and may wait for each other
static bool mixed;         // blocks take turns at random
static bool any_released;  // in this launch

inline Clocks& my_clocks() { return thread_clocks[thread_slot()]; }

inline void after_barrier() {
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  barriers += threads;
  for (unsigned i = 0; counted && i < threads; ++i) executed[running->fibers + i - fibers.data()].clear();
  Clocks& block = block_clocks[block_slot()];
  for (unsigned i = 0; any_released && i < threads; ++i) block.join(thread_clocks[running->fibers + i - fibers.data()]);
}

inline void join(PeerClocks& mine, const PeerClocks& theirs) {
  if (mine.size() < theirs.size()) mine.resize(theirs.size());
  for (size_t i = 0; i < theirs.size(); ++i) mine[i] = std::max(mine[i], theirs[i]);
}

inline void after_warp(Fiber* warp, unsigned group) {
  const size_t first = warp - fibers.data();
  LaneClocks all{};
  PeerClocks others;
  Clocks clocks;
  for (unsigned l = 0; l < WARP; ++l) {
    if (!(group >> l & 1)) continue;
    lane_clocks[first + l][l] = warp[l].clock++;
    for (unsigned i = 0; i < WARP; ++i) all[i] = std::max(all[i], lane_clocks[first + l][i]);
    join(others, peer_clocks[first + l]);
    if (any_released) clocks.join(thread_clocks[first + l]);
  }
  for (unsigned l = 0; l < WARP; ++l) {
    if (!(group >> l & 1)) continue;
    lane_clocks[first + l] = all;
    if (!others.empty()) peer_clocks[first + l] = others;
    if (any_released) thread_clocks[first + l] = clocks;
  }
}

inline void after_grid() { shadow = {}; }  // all that was before is ordered

// Join all that this thread knows and has done into a clock; with BLOCK_ONLY, for its own block alone.
inline void release_into(VectorClock& to, uint32_t scope = 0) {
  any_released = true;
  join(to, my_clocks().known), join(to, block_clocks[block_slot()].known);
  const auto of = [&](unsigned thread, uint32_t until) {
    if (!until) return;
    uint32_t& known = to[key(block_number(), thread | scope)];
    known = std::max(known, until);
  };
  for (unsigned l = 0; l < WARP; ++l) of(current->linear / WARP * WARP + l, lane_clocks[thread_slot()][l]);
  for (unsigned i = 0; i < peer_clocks[thread_slot()].size(); ++i) of(i, peer_clocks[thread_slot()][i]);
  if (!scope) to[key(block_number(), WHOLE_BLOCK)] = current->barriers;
  of(current->linear, current->clock++);
}

// After a fence other blocks go on first: those that wait for the last message read it before this thread can write the
// next one, which would order more than the program does.
void fence(bool of_device) {
  if (!on_device()) return;
  const auto acquire_from = [&](const VectorClock& read) {
    for (const auto& [who, what] : read) {
      if (!of_device && who >> 32 != block_number()) continue;
      uint32_t& known = my_clocks().known[who];
      known = std::max(known, what);
    }
  };
  acquire_from(my_clocks().read), acquire_from(block_clocks[block_slot()].read);
  release_into(my_clocks().released, of_device ? 0 : BLOCK_ONLY);
  if (together && of_device) yield();
}

inline void read_message(uintptr_t at, bool needs_fence) {
  const auto found = messages.find(at);
  if (found != messages.end()) join(needs_fence ? my_clocks().read : my_clocks().known, found->second);
}
inline void leave_message(uintptr_t at) {
  const VectorClock &mine = my_clocks().released, &ours = block_clocks[block_slot()].released;
  if (mine.empty() && ours.empty()) return;
  VectorClock& message = messages[at];
  join(message, mine), join(message, ours);
  message.emplace(key(block_number(), current->linear), 0);  // also if it has released nothing of its own
}

inline uint32_t known_of(const VectorClock& knowledge, uint64_t who) {
  const auto found = knowledge.find(who);
  return found == knowledge.end() ? 0 : found->second;
}

// Does an access by another thread happen before what this thread does now?
inline bool is_known(const Access& before, uintptr_t at) {
  const uint64_t who = key(before.block, before.thread);
  const Clocks &mine = my_clocks(), &ours = block_clocks[block_slot()];
  for (const VectorClock* known : {&ours.known, &mine.known})
    if (before.barriers < known_of(*known, key(before.block, WHOLE_BLOCK)) || before.clock <= known_of(*known, who) ||
        (before.block == block_number() && before.clock <= known_of(*known, who | BLOCK_ONLY)))
      return true;
  if (!(before.how & ELEMENTARY)) return false;
  // The message itself is ordered with whoever has received it, with or without a fence.
  const auto sent = messages.find(at);
  if (sent == messages.end() || !sent->second.count(who)) return false;
  for (const VectorClock* received : {&ours.read, &ours.known, &mine.read, &mine.known})
    if (received->count(who) && received->at(who) >= sent->second.at(who)) return true;
  return false;
}

// An explicit release and acquire of a place, which need no fence.
void release_at(const void* address, int scope) {
  if (!on_device()) return;
  VectorClock now;
  release_into(now, scope & BLOCK ? BLOCK_ONLY : 0);
  join(messages[reinterpret_cast<uintptr_t>(address)], now);
}
void acquire_at(const void* address) {
  if (on_device()) join(my_clocks().known, messages[reinterpret_cast<uintptr_t>(address)]);
}

}  // namespace emulator
