// What threads know of each other, as vector clocks.
#pragma once

#include "shadow.h"

namespace emulator {

// What somebody knows of others. Of a thread, all that it did until it told something for the so many-th time; of a
// block, all that it did before its so many-th barrier. What is told by a __threadfence_block is for the block alone.
using Knowledge = std::unordered_map<uint64_t, uint32_t>;
constexpr uint32_t ALL = ~0u, INNER = 1u << 31;
inline uint64_t key(uint32_t block, uint32_t thread) { return static_cast<uint64_t>(block) << 32 | thread; }

inline void learn(Knowledge& mine, const Knowledge& theirs) {
  for (const auto& [who, what] : theirs) {
    uint32_t& known = mine[who];
    known = std::max(known, what);
  }
}

struct Mind {  // of a thread, beyond what its block knows; or of a block
  Knowledge read, known, told;  // read without a fence yet; known; what others may read in its messages
};

// What a thread knows of the lanes of its warp, by __syncwarp; and of all threads of its block, by CUDA's barriers.
using Lanes = std::array<uint32_t, WARP>;
using Peers = std::vector<uint32_t>;

static std::vector<Mind> minds, of_block;  // of each thread; of each block that is there
static std::vector<Lanes> synced;  // of each thread
static std::vector<Peers> peers;
static std::map<uintptr_t, Knowledge> messages;
static bool together;  // blocks run at once, and may wait for each other
static bool mixed;     // or threads take turns at random
static bool talked;    // somebody has told something

inline Mind& mind() { return minds[me()]; }

inline void after_barrier() {  // a block's threads tell each other what they know, and what they have told
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  barriers += threads;
  for (unsigned i = 0; counted && i < threads; ++i) executed[running->fibers + i - fibers.data()].clear();
  Mind& block = of_block[here()];
  for (unsigned i = 0; talked && i < threads; ++i) {
    const Mind& thread = minds[running->fibers + i - fibers.data()];
    learn(block.read, thread.read), learn(block.known, thread.known), learn(block.told, thread.told);
  }
}

inline void learn(Peers& mine, const Peers& theirs) {
  if (mine.size() < theirs.size()) mine.resize(theirs.size());
  for (size_t i = 0; i < theirs.size(); ++i) mine[i] = std::max(mine[i], theirs[i]);
}

inline void after_warp(Fiber* warp, unsigned group) {  // and so do lanes
  const size_t first = warp - fibers.data();
  Lanes all{};
  Peers others;
  Mind told;
  for (unsigned l = 0; l < WARP; ++l) {
    if (!(group >> l & 1)) continue;
    synced[first + l][l] = warp[l].told++;
    for (unsigned i = 0; i < WARP; ++i) all[i] = std::max(all[i], synced[first + l][i]);
    learn(others, peers[first + l]);
    if (!talked) continue;
    const Mind& lane = minds[first + l];
    learn(told.read, lane.read), learn(told.known, lane.known), learn(told.told, lane.told);
  }
  for (unsigned l = 0; l < WARP; ++l) {
    if (!(group >> l & 1)) continue;
    synced[first + l] = all;
    if (!others.empty()) peers[first + l] = others;
    if (talked) minds[first + l] = told;
  }
}

inline void after_grid() { shadow = {}; }  // what was before is known to all

// Let somebody know all that this thread knows and has done itself; or, if they are of its block.
inline void teach(Knowledge& whom, uint32_t inner = 0) {
  talked = true;
  learn(whom, mind().known), learn(whom, of_block[here()].known);
  const auto of = [&](unsigned thread, uint32_t until) {
    if (!until) return;
    uint32_t& known = whom[key(number(), thread | inner)];
    known = std::max(known, until);
  };
  for (unsigned l = 0; l < WARP; ++l) of(current->linear / WARP * WARP + l, synced[me()][l]);
  for (unsigned i = 0; i < peers[me()].size(); ++i) of(i, peers[me()][i]);
  if (!inner) whom[key(number(), ALL)] = current->barriers;
  of(current->linear, current->told++);
}

// After a fence others go on first. Those that wait for the same message read it now, before this thread can send the
// next: else they would know more than they have a right to, and a race would go unseen.
void fence(bool of_device) {
  if (!on_device()) return;
  const auto hears = [&](const Knowledge& read) {
    for (const auto& [who, what] : read) {
      if (!of_device && who >> 32 != number()) continue;
      uint32_t& known = mind().known[who];
      known = std::max(known, what);
    }
  };
  hears(mind().read), hears(of_block[here()].read);
  teach(mind().told, of_device ? 0 : INNER);
  if (together && of_device) yield();
}

inline void hear(uintptr_t at, bool needs_fence) {
  const auto found = messages.find(at);
  if (found != messages.end()) learn(needs_fence ? mind().read : mind().known, found->second);
}
inline void tell(uintptr_t at) {
  const Knowledge &mine = mind().told, &ours = of_block[here()].told;
  if (mine.empty() && ours.empty()) return;
  Knowledge& message = messages[at];
  learn(message, mine), learn(message, ours);
  message.emplace(key(number(), current->linear), 0);  // it has told something here, if only of others
}

inline uint32_t known_of(const Knowledge& knowledge, uint64_t who) {
  const auto found = knowledge.find(who);
  return found == knowledge.end() ? 0 : found->second;
}

// Does this thread know of an access by another?
inline bool is_known(const Access& before, uintptr_t at) {
  const uint64_t who = key(before.block, before.thread);
  const Mind &mine = mind(), &ours = of_block[here()];
  for (const Knowledge* known : {&ours.known, &mine.known})
    if (before.barriers < known_of(*known, key(before.block, ALL)) || before.told <= known_of(*known, who) ||
        (before.block == number() && before.told <= known_of(*known, who | INNER)))
      return true;
  if (!(before.how & ELEMENTARY)) return false;
  // The message itself: whoever has read there what that thread told has read it too, with or without a fence.
  const auto sent = messages.find(at);
  if (sent == messages.end() || !sent->second.count(who)) return false;
  for (const Knowledge* heard : {&ours.read, &ours.known, &mine.read, &mine.known})
    if (heard->count(who) && heard->at(who) >= sent->second.at(who)) return true;
  return false;
}

// A release tells those who acquire this place what its thread knows now; neither needs a fence. Within a block only
// those of the block have been told.
void tell_now(const void* address, int scope) {
  if (!on_device()) return;
  Knowledge now;
  teach(now, scope & BLOCK ? INNER : 0);
  learn(messages[reinterpret_cast<uintptr_t>(address)], now);
}
void hear_now(const void* address) {
  if (on_device()) learn(mind().known, messages[reinterpret_cast<uintptr_t>(address)]);
}

}  // namespace emulator
