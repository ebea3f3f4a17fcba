// Which accesses are a race: two accesses to one place of which one writes, unless they are the same thread's, both are
// atomic, or one happens before the other (clocks.h). Blocks that run one after another are judged as if they ran at once.
#pragma once

#include "clocks.h"

namespace emulator {

// Races of plain reads with atomic operations, by block, thread and place; an atomicCAS may still excuse them.
static std::map<std::tuple<uint32_t, uint32_t, uintptr_t>, Report> suspicions;

// To find the cause of a race between blocks: the last write of each block to each atomic or volatile variable, with or
// without a fence before, and which of these variables a block has read.
struct Flag {
  uint32_t thread, clock, barriers, where;
  uint64_t when;
};
struct Seen {
  uintptr_t at = 0;
  uint64_t when = 0;
  uint32_t thread = 0;
};
constexpr unsigned FLAGS = 16;  // of each block, those that it has read last
static std::unordered_map<uintptr_t, std::unordered_map<uint32_t, Flag>> flags;
static std::vector<std::array<Seen, FLAGS>> flags_seen;  // of each block that runs
static uint64_t flag_time;
struct Unfenced {  // a volatile variable that a block has read behind a flag, where a fence is missing
  uintptr_t flag = 0;
  uint64_t flag_where = 0;
  int fence = 0;
};
static uintptr_t flag_found;            // by look_for_fence
static std::vector<Unfenced> unfenced;  // the last of each block that runs
// After a race between lanes of a warp the launch goes on for a while, to see whether threads of other warps race as well.
constexpr unsigned MOST_SOUGHT = 1 << 22;  // accesses
static unsigned sought, sought_from;  // accesses so far; the barriers that the thread had passed
static const Fiber* sought_of;

// Two unordered stores to one place, which are a race unless both store the same value.
struct Doubt {
  uintptr_t at;
  uint64_t size;
  unsigned char before[16];
  bool of_lanes;  // of one warp
  Report report;
};
static std::vector<Doubt> doubts;

[[noreturn]] void stop_early(const Shadow& place, int how, const void* where);

inline bool conflict(const Access& before, const Access& now, uintptr_t at) {
  if (before.block == ~0u || (before.block == now.block && before.thread == now.thread)) return false;
  if (!((before.how | now.how) & WRITES)) return false;
  if (before.how & GUESS && now.how & ATOMIC) return false;
  if (before.how & ELEMENTARY && now.how & ELEMENTARY) {
    // Two volatile writes are a race: x += 1 is two accesses.
    const bool volatiles = before.how & now.how & VOLATILE;
    // In shared memory this was a way to write within a warp, on GPUs whose lanes ran in step.
    const bool in_step = volatiles && before.thread / WARP == now.thread / WARP && is_shared(at);
    // An operation that is atomic within its block is not atomic between blocks.
    const bool between = before.block != now.block && (before.how | now.how) & OF_BLOCK;
    if (!in_step && !between && !(volatiles && before.how & now.how & WRITES)) return false;
  }
  if (before.block == now.block) {
    if (before.barriers != now.barriers) return false;
    const bool of_warp = before.thread / WARP == now.thread / WARP;
    if (of_warp && before.clock <= lane_clocks[thread_slot()][before.thread % WARP]) return false;
    if (before.thread < peer_clocks[thread_slot()].size() && before.clock <= peer_clocks[thread_slot()][before.thread]) return false;
  }
  return !is_known(before, at);
}

// Whether a flag orders an access before this block, but for one of the two fences that this takes: that one is reported.
inline void look_for_fence(const Access& before, uintptr_t at) {
  for (const Seen& flag : flags_seen[block_slot()]) {
    const auto found = flags.find(flag.at);
    if (flag.at == at || (before.block == block_number() && flag.thread != current->linear)) continue;
    if (!flag.when || found == flags.end() || !found->second.count(before.block)) continue;
    const Flag& written = found->second.at(before.block);
    if (flag.when < written.when) continue;
    if (before.thread == written.thread ? before.clock > written.clock : before.barriers >= written.barriers) continue;
    const auto sent = messages.find(flag.at);
    const auto knows = [&](uint64_t who) { return sent == messages.end() ? 0 : known_of(sent->second, who); };
    const bool fenced = before.barriers < knows(key(before.block, WHOLE_BLOCK)) || before.clock <= knows(key(before.block, before.thread));
    report.fence = fenced ? 2 : 1, report.flag_where = written.where;
    flag_found = flag.at;
    return;
  }
  const Unfenced& u = unfenced[block_slot()];
  if (u.flag == at) report.fence = u.fence, report.flag_where = u.flag_where;
}

// Volatile accesses are no race, but without fences they may read an old value.
inline void note_unfenced(const Latest& writes, uintptr_t at) {
  for (const Access& w : writes) {
    if (w.block == ~0u || w.block == block_number() || !(w.how & VOLATILE) || is_known(w, at)) continue;
    look_for_fence(w, at);
    if (report.fence) unfenced[block_slot()] = {flag_found, report.flag_where, report.fence};
    report.fence = 0;
  }
}

// End the launch with a race, or, between lanes of one warp, look for threads of other warps first.
inline void conclude(const Report& race, bool of_lanes) {
  report = race;
  if (!of_lanes) _longjmp(ended, 1);
  seeking = true, race_seen = race, sought = 0, sought_from = current->barriers, sought_of = current;
}

inline void resolve() {
  if (doubts.empty()) return;
  const std::vector<Doubt> open = std::exchange(doubts, {});
  for (const Doubt& doubt : open)
    if (std::memcmp(reinterpret_cast<const void*>(doubt.at), doubt.before, doubt.size)) return conclude(doubt.report, doubt.of_lanes);
}

inline void after_turn(const Fiber& fiber) {
  note_turn(fiber);
  resolve();
}

// Whether this thread has read a place before it stores there: the same value may then be a sum.
inline bool has_read(const Shadow& place, const Access& now) {
  return std::any_of(place.reads.begin(), place.reads.end(),
                     [&](const Access& read) { return read.block == now.block && read.thread == now.thread; });
}

inline void keep(Latest& latest, const Access& now) {
  if (latest[0].block != now.block) {
    latest[2] = latest[0];
  } else if (latest[0].thread != now.thread) {
    latest[1] = latest[0];
  }
  latest[0] = now;
}

inline void check(Shadow& place, uintptr_t at, uint64_t size, int how, const void* where) {
  const uint32_t offset = reinterpret_cast<const char*>(where) - __ehdr_start;
  const uint16_t thread = current->linear, kind = how;
  const Access now{block_number(), current->barriers, current->clock, thread, kind, offset};
  if (place.copy >= 0 || (how & WRITES && place.sent >= 0)) stop_early(place, how, where);
  const auto judge = [&](const Access& other) {
    if (!conflict(other, now, at)) return;
    const unsigned same_warp = other.thread / WARP == thread / WARP;
    if (seeking) {
      if (other.block != now.block || same_warp || now.barriers != sought_from) return;
      race_seen.other_how |= WARPS;
      fail(RACE, *current, where);
    }
    copy(report.other_block, {other.block % grid.x, other.block / grid.x % grid.y, other.block / (grid.x * grid.y)});
    const unsigned t = other.thread;
    copy(report.other_thread, {t % block_size.x, t / block_size.x % block_size.y, t / (block_size.x * block_size.y)});
    const bool same_block = other.block == now.block;
    const bool mixture = (how ^ other.how) & ATOMIC;  // of an atomic access and another
    const bool of_lanes = same_block && !mixture && same_warp, alone = block_size.x * block_size.y * block_size.z <= WARP;
    report.other_how = other.how | (of_lanes ? LANES | (alone ? ALONE : 0) : 0);
    report.other_where = other.where;
    fill(same_block ? RACE : RACE_OF_BLOCKS, *current, where);
    if (!of_lanes) look_for_fence(other, at);
    // A plain read may be the guess with which an atomicCAS begins, so it is judged when the block ends.
    const Access& read = how & ATOMIC ? other : now;
    if (how & other.how & STORE && !has_read(place, now)) {
      Doubt& doubt = doubts.emplace_back(Doubt{at, size, {}, of_lanes, report});
      std::memcpy(doubt.before, reinterpret_cast<const void*>(at), size);
      report.fault = NONE, report.fence = 0;
      return;
    }
    if (of_lanes) return conclude(report, true);
    if (!mixture || read.how & WRITES) return conclude(report, false);
    suspicions.try_emplace({read.block, read.thread, at}, report);
    report.fault = NONE;
  };
  const bool goes_on = seeking && current == sought_of && at == race_seen.address && !(race_seen.how & WRITES);
  if (goes_on && how & WRITES) race_seen.other_how |= UPDATES;
  judge(place.write);
  for (int i = 0; i < 3 && how & WRITES; ++i) judge(place.reads[i]);
  for (int i = 0; i < 3 && place.atomic >= 0; ++i) judge(atomics[place.atomic][i]);
  if (!(how & WRITES)) {
    if (how & VOLATILE && place.atomic >= 0 && !is_shared(at)) note_unfenced(atomics[place.atomic], at);
    keep(place.reads, now);
  } else if (!(how & ELEMENTARY)) {
    place.write = now;
  } else {
    if (place.atomic < 0) place.atomic = atomics.size(), atomics.emplace_back();
    keep(atomics[place.atomic], now);
  }
}

}  // namespace emulator
