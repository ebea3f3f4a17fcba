// Asynchronous copies, and what CUDA's barriers order.
//
// A copy is under way from its start until a thread waits for it: no thread may touch what it writes, or write what it
// reads. Its writes then count as those of the thread that waited, if the copy was its own (cp.async and its groups); or,
// if it was bound to a barrier, as those of an agent of that barrier, with which all who wait for the phase are ordered.
#pragma once

#include <deque>

namespace emulator {

struct Copy {
  uintptr_t to, from;
  uint64_t size, read;
  uint32_t where;
  uint16_t thread;
};

struct Groups {  // of copies that a thread has started: not committed yet, and committed groups in their order
  std::vector<int32_t> open;
  std::deque<std::vector<int32_t>> committed;
};

struct Gathering {  // of a barrier: the clocks of threads that arrived in this phase, and in the phases before it
  PeerClocks coming, passed;
  Clocks clocks_coming, clocks_passed;
  std::vector<int32_t> copies, brought;  // bound to this phase; ended with a phase that no thread has waited for yet
  uint16_t agent = 0;
};

static std::vector<Copy> copies;
static std::vector<int32_t> unused;  // indices of copies that have ended
static std::vector<Groups> groups;   // of each thread
static std::vector<std::unordered_map<uintptr_t, Gathering>> gatherings;  // of each block, by the barrier's address

void begin_copies(unsigned at_once) {
  copies.clear(), unused.clear();
  groups.assign(fibers.size(), {});
  gatherings.assign(at_once, {});
}

template <class F>
inline void each_place(uintptr_t at, uint64_t size, F visit) {
  each_place(is_shared(at) ? shared_shadow[block_slot()] : shadow, at, size, visit);
}

inline void look_at(uintptr_t at, uint64_t size, int how, const void* where) {
  const uint64_t unit = (at | size) % 4 ? 1 : size;
  for (uint64_t offset = 0; offset < size; offset += unit) look(reinterpret_cast<const void*>(at + offset), unit, how, where);
}

inline int32_t begin_copy(void* to_address, const void* from_address, uint64_t size, uint64_t zeros, uint64_t aligned,
                          const void* where) {
  const uintptr_t to = reinterpret_cast<uintptr_t>(to_address), from = reinterpret_cast<uintptr_t>(from_address);
  const uint64_t read = size - zeros;
  if ((read && from % aligned) || to % aligned) {
    report.how = to % aligned ? WRITES : READS;
    fail(MISALIGNED, *current, where);
  }
  look_at(from, read, READS, where);
  look_at(to, size, WRITES, static_cast<const char*>(where) - 1);  // another access of the same call
  if (unused.empty()) unused.push_back(copies.size()), copies.emplace_back();
  const int32_t i = unused.back();
  unused.pop_back();
  const uint16_t thread = current->linear;
  copies[i] = {to, from, size, read, static_cast<uint32_t>(offset_of(where)), thread};
  if (!is_own(to)) each_place(to, size, [&](Shadow& place) { place.copy = i; });
  if (!is_own(from)) each_place(from, read, [&](Shadow& place) { place.sent = i; });
  return i;
}

// A copy has been waited for: note its accesses as those of the given thread.
inline void end_copy(int32_t i, Access now) {
  const Copy& copy = copies[i];
  now.where = copy.where;
  each_place(copy.to, copy.size, [&](Shadow& place) {
    if (place.copy != i) return;
    place.copy = -1;
    now.how = WRITES | COPIED, place.write = now;
  });
  each_place(copy.from, copy.read, [&](Shadow& place) {
    if (place.sent == i) place.sent = -1;
    now.how = READS | COPIED, keep(place.reads, now);
  });
  unused.push_back(i);
}

// A copy is still under way when its block ends.
inline void drop_copy(int32_t i) {
  const Copy& copy = copies[i];
  if (!is_shared(copy.to)) each_place(copy.to, copy.size, [&](Shadow& place) { place.copy = -1; });
  if (!is_shared(copy.from)) each_place(copy.from, copy.read, [&](Shadow& place) { place.sent = -1; });
  unused.push_back(i);
}
void end_copies(unsigned block) {
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  for (unsigned i = block * threads; i < (block + 1) * threads; ++i) {
    for (int32_t copy : groups[i].open) drop_copy(copy);
    for (const auto& group : groups[i].committed)
      for (int32_t copy : group) drop_copy(copy);
    groups[i] = {};
  }
  for (const auto& [at, gathering] : gatherings[block]) {
    for (int32_t copy : gathering.copies) drop_copy(copy);
    for (int32_t copy : gathering.brought) drop_copy(copy);
  }
  gatherings[block].clear();
}

[[noreturn]] void stop_early(const Shadow& place, int how, const void* where) {
  const Copy& found = copies[place.copy >= 0 ? place.copy : place.sent];
  copy(report.other_block, block_index), copy(report.other_thread, running->fibers[found.thread].index);
  report.other_how = COPIED, report.other_where = found.where;
  fail(place.copy < 0 ? SENT : how & WRITES ? OVERWRITTEN : TOO_EARLY, *current, where);
}

inline Access of_thread() {
  const uint16_t thread = current->linear;
  return {block_number(), current->barriers, current->clock, thread, 0, 0};
}

// The groups of cp.async.
void copy_in_group(void* to, const void* from, uint64_t size, uint64_t zeros, uint64_t aligned, const void* where) {
  groups[thread_slot()].open.push_back(begin_copy(to, from, size, zeros, aligned, where));
}
void commit_group() {
  Groups& mine = groups[thread_slot()];
  mine.committed.push_back(std::move(mine.open));
  mine.open.clear();
}
void wait_for_groups(unsigned but) {
  Groups& mine = groups[thread_slot()];
  for (; mine.committed.size() > but; mine.committed.pop_front())
    for (int32_t copy : mine.committed.front()) end_copy(copy, of_thread());
}

// Barriers: a thread that waits for a phase is ordered behind all that arrived in it.
inline Gathering& gathering_at(const void* at) {
  auto& here_at = gatherings[block_slot()];
  const auto [found, is_new] = here_at.try_emplace(reinterpret_cast<uintptr_t>(at));
  const unsigned warps = (block_size.x * block_size.y * block_size.z + WARP - 1) / WARP;
  if (is_new) found->second.agent = warps * WARP + here_at.size() - 1;
  return found->second;
}

void copy_in_phase(void* at, void* to, const void* from, uint64_t size, uint64_t aligned, const void* where) {
  gathering_at(at).copies.push_back(begin_copy(to, from, size, 0, aligned, where));
}

void after_arrival(const void* at) {
  Gathering& g = gathering_at(at);
  PeerClocks& mine = peer_clocks[thread_slot()];
  const unsigned first = current->linear / WARP * WARP;
  if (mine.size() < first + WARP) mine.resize(first + WARP);
  for (unsigned l = 0; l < WARP; ++l) mine[first + l] = std::max(mine[first + l], lane_clocks[thread_slot()][l]);
  mine[current->linear] = current->clock++;
  join(g.coming, mine);
  if (any_released) g.clocks_coming.join(my_clocks());
}

void after_phase(const void* at) {
  Gathering& g = gathering_at(at);
  if (!g.copies.empty()) {
    if (g.coming.size() <= g.agent) g.coming.resize(g.agent + 1);
    ++g.coming[g.agent];
    g.brought.insert(g.brought.end(), g.copies.begin(), g.copies.end());
    g.copies.clear();
  }
  join(g.passed, g.coming);
  if (any_released) g.clocks_passed = g.clocks_coming;
}

void after_waiting(const void* at, const Fiber& fiber) {
  Gathering& g = gathering_at(at);
  const size_t who = &fiber - fibers.data();
  join(peer_clocks[who], g.passed);
  if (any_released) thread_clocks[who].join(g.clocks_passed);
  for (int32_t copy : g.brought) end_copy(copy, {block_number(), fiber.barriers, g.passed[g.agent], g.agent, 0, 0});
  g.brought.clear();
}

}  // namespace emulator
