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

#include <array>
#include <map>

#include "counts.h"
#include "trace.h"

namespace emulator {

extern const bool shares_structs;  // of the code's own, copied whole with the bytes between their members

struct Array {  // rows of `width` bytes, `stride` bytes apart
  uintptr_t base;
  uint64_t rows, width, stride;
};

enum How {
  READS = 1, WRITES = 2, ATOMIC = 4, VOLATILE = 8, ELEMENTARY = ATOMIC | VOLATILE, OF_BLOCK = 16, COPIED = 32, OF_CPP = 64,
  LANES = 128,  // told of a race: both are of one warp
  GUESS = 256,  // a read whose value an atomicCAS has asked for since
  WARPS = 512,  // told of a race between lanes: between warps there is one too
  ALONE = 1024,  // or there is no other warp
  UPDATES = 2048,  // and who has read goes on to write there
  STORE = 4096  // a write whose value is there before the thread does anything else
};

struct Access {  // who, when, how and where in the code
  uint32_t block = ~0u, barriers = 0, told = 0;
  uint16_t thread = 0, how = 0;
  uint32_t where = 0;
};

using Latest = std::array<Access, 3>;  // the last, the last by another thread of its block, the last by another block

struct Shadow {  // of one place: its last plain write, its last reads, and where its atomic writes are noted, if any
  Access write;
  Latest reads;
  int32_t atomic = -1;
  bool split = false;  // a word of which the bytes have shadows of their own
  int32_t copy = -1, sent = -1;  // asynchronous copies that are on their way, into it and from it
};

class Places {  // found by number, in pages of which those used last are at hand
 public:
  Shadow& operator[](uint64_t number) {
    const uint64_t page = number / LENGTH;
    Recent& recent = recent_[page % AT_HAND];
    if (!recent.places || recent.page != page) {
      auto& places = pages_[page];
      if (places.empty()) places.resize(LENGTH);
      recent = {page, places.data()};
    }
    return recent.places[number % LENGTH];
  }

 private:
  static constexpr uint64_t LENGTH = 32, AT_HAND = 64;
  struct Recent {
    uint64_t page = 0;
    Shadow* places = nullptr;
  };
  std::unordered_map<uint64_t, std::vector<Shadow>> pages_;
  Recent recent_[AT_HAND];
};

struct Memory {  // words of four bytes; and the bytes of those that somebody has touched in part
  Places words, bytes;
};

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

static std::vector<Array> allowed;
static Memory shadow;
static std::vector<Memory> shared_shadow;  // of each block
static std::vector<Latest> atomics;  // and volatile writes
static std::vector<Mind> minds, of_block;  // of each thread; of each block that is there
static std::vector<Lanes> synced;  // of each thread
static std::vector<Peers> peers;
static std::map<uintptr_t, Knowledge> messages;
static std::map<std::tuple<uint32_t, uint32_t, uintptr_t>, Report> suspicions;  // of a thread's plain read of a place
static bool together;  // blocks run at once, and may wait for each other
static bool mixed;     // or threads take turns at random
static bool talked;    // somebody has told something
static uintptr_t whole_at;   // a struct that is copied, of which a part is looked at; some of its bytes may be nobody's
static uint64_t whole_size;

// Who has written a flag last, of each block: an atomic or volatile variable, with or without a fence before; and which
// flags a block has read. Asked when a race is seen, for its cause.
struct Flag {
  uint32_t thread, told, barriers, where;
  uint64_t when;
};
struct Seen {
  uintptr_t at = 0;
  uint64_t when = 0;
  uint32_t thread = 0;
};
constexpr unsigned FLAGS = 16;  // that a block is known to have read, the latest ones
static std::unordered_map<uintptr_t, std::unordered_map<uint32_t, Flag>> flags;
static std::vector<std::array<Seen, FLAGS>> flags_seen;  // of each block that is there
static uint64_t flag_time;
struct Unfenced {  // a volatile variable that a block has read behind a flag, which is missing a fence
  uintptr_t flag = 0;
  uint64_t flag_where = 0;
  int fence = 0;
};
static uintptr_t flag_found;            // when one of the fences was looked for
static std::vector<Unfenced> unfenced;  // of each block that is there, the last
constexpr unsigned MOST_SOUGHT = 1 << 22;  // accesses after a race between lanes
static unsigned sought, sought_from;  // accesses; and barriers that had been passed
static const Fiber* sought_of;

// A store to where another thread has stored, which nothing orders: a race unless both store the same.
struct Doubt {
  uintptr_t at;
  uint64_t size;
  unsigned char before[16];
  bool of_lanes;  // of one warp, and others may be in it too
  Report report;
};
static std::vector<Doubt> doubts;

inline unsigned here() { return running - blocks.data(); }
inline unsigned me() { return current - fibers.data(); }
inline Mind& mind() { return minds[me()]; }
inline uint32_t number() { return block_index.x + grid.x * (block_index.y + grid.y * block_index.z); }

void begin_copies(unsigned at_once);
void end_copies(unsigned block);
[[noreturn]] void stop_early(const Shadow& place, int how, const void* where);

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

inline bool is_in(const dim3& place, uintptr_t at) { return at - reinterpret_cast<uintptr_t>(&place) < sizeof(dim3); }

inline bool is_own(uintptr_t at) {  // a local variable; or what threadIdx and its like stand for
  const uintptr_t stack = reinterpret_cast<uintptr_t>(current->stack);
  return (at >= stack && at < stack + STACK) || is_in(thread_index, at) || is_in(block_index, at) || is_in(block_size, at) ||
         is_in(grid, at);
}

inline bool is_allowed(uintptr_t at, uint64_t size) {
#ifdef PROGRAM
  return is_of_device(at, size);
#endif
  // a variable or a constant of the library
  if (at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end)) return true;
  for (const Array& a : allowed) {
    if (at < a.base || at >= a.base + a.rows * a.stride) continue;
    if ((at - a.base) % a.stride + size <= a.width) return true;
  }
  return false;
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

inline bool conflict(const Access& before, const Access& now, uintptr_t at) {
  if (before.block == ~0u || (before.block == now.block && before.thread == now.thread)) return false;
  if (!((before.how | now.how) & WRITES)) return false;
  if (before.how & GUESS && now.how & ATOMIC) return false;
  if (before.how & ELEMENTARY && now.how & ELEMENTARY) {
    // Two volatile writes are a race all the same: x += 1 is two accesses.
    const bool volatiles = before.how & now.how & VOLATILE;
    // In shared memory it was once the way to write within a warp, whose lanes went in step.
    const bool in_step = volatiles && before.thread / WARP == now.thread / WARP && is_shared(at);
    // What is atomic within a block alone is not between blocks.
    const bool between = before.block != now.block && (before.how | now.how) & OF_BLOCK;
    if (!in_step && !between && !(volatiles && before.how & now.how & WRITES)) return false;
  }
  if (before.block == now.block) {
    if (before.barriers != now.barriers) return false;
    const bool of_warp = before.thread / WARP == now.thread / WARP;
    if (of_warp && before.told <= synced[me()][before.thread % WARP]) return false;
    if (before.thread < peers[me()].size() && before.told <= peers[me()][before.thread]) return false;
  }
  return !is_known(before, at);
}

// Has this block been told of an access by a flag, with but one of the two fences that it takes?
inline void look_for_fence(const Access& before, uintptr_t at) {
  for (const Seen& flag : flags_seen[here()]) {
    const auto found = flags.find(flag.at);
    if (flag.at == at || (before.block == number() && flag.thread != current->linear)) continue;
    if (!flag.when || found == flags.end() || !found->second.count(before.block)) continue;
    const Flag& written = found->second.at(before.block);
    if (flag.when < written.when) continue;
    if (before.thread == written.thread ? before.told > written.told : before.barriers >= written.barriers) continue;
    const auto sent = messages.find(flag.at);
    const auto knows = [&](uint64_t who) { return sent == messages.end() ? 0 : known_of(sent->second, who); };
    const bool fenced = before.barriers < knows(key(before.block, ALL)) || before.told <= knows(key(before.block, before.thread));
    report.fence = fenced ? 2 : 1, report.flag_where = written.where;
    flag_found = flag.at;
    return;
  }
  const Unfenced& u = unfenced[here()];
  if (u.flag == at) report.fence = u.fence, report.flag_where = u.flag_where;
}

// Volatile accesses are no race, but what is read so may be old all the same.
inline void note_unfenced(const Latest& writes, uintptr_t at) {
  for (const Access& w : writes) {
    if (w.block == ~0u || w.block == number() || !(w.how & VOLATILE) || is_known(w, at)) continue;
    look_for_fence(w, at);
    if (report.fence) unfenced[here()] = {flag_found, report.flag_where, report.fence};
    report.fence = 0;
  }
}

// It is a race. Between lanes of one warp, more is said of it if threads of other warps are in it too, which is looked for.
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

// Has this thread read a place before it stores there? Then what it stores may be the sum of both.
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
  const Access now{number(), current->barriers, current->told, thread, kind, offset};
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
    const bool mixture = (how ^ other.how) & ATOMIC;  // of atomic accesses and others
    const bool of_lanes = same_block && !mixture && same_warp, alone = block_size.x * block_size.y * block_size.z <= WARP;
    report.other_how = other.how | (of_lanes ? LANES | (alone ? ALONE : 0) : 0);
    report.other_where = other.where;
    fill(same_block ? RACE : RACE_OF_BLOCKS, *current, where);
    if (!of_lanes) look_for_fence(other, at);
    // A plain read among atomic operations may be the guess with which an atomicCAS begins: judged at the block's end.
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

// Let each byte of a word have a shadow, which begins as the word's.
inline void split(Memory& memory, Shadow& word, uintptr_t at) {
  word.split = true;
  for (int i = 0; i < 4; ++i) {
    Shadow& byte = memory.bytes[at + i];
    byte = word;
    if (byte.atomic >= 0) byte.atomic = atomics.size(), atomics.push_back(Latest(atomics[word.atomic]));
  }
}

// Each place of some memory: a word, or what is touched of it if somebody has touched a part before.
template <class F>
inline void each_place(Memory& memory, uintptr_t at, uint64_t size, F visit) {
  for (uintptr_t byte = at; byte < at + size;) {
    const uintptr_t first = byte / 4 * 4, end = std::min(at + size, first + 4);
    Shadow& word = memory.words[first / 4];
    if (end - byte == 4 && !word.split) {
      visit(word);
      byte = end;
      continue;
    }
    if (!word.split) split(memory, word, first);
    for (; byte < end; ++byte) visit(memory.bytes[byte]);
  }
}

static bool in_written;  // what is read is a part of more, of which something has been written

// An access of any kind; returns whether anybody but this thread can see it.
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
  Memory& memory = shared ? shared_shadow[here()] : shadow;
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

// An access that a GPU makes as one, so that its address must be a multiple of its size.
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

// An access by an instruction that says in which space it is (ptx.h); of none, only whether it is in shared memory.
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

// Atomic operations and volatile variables, which others may wait for.
inline void communicate(const void* address, uint64_t size, int how, const void* where) {
  if (!on_device()) return host_access(address, size, how & WRITES, where);
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  // Others go on first. In shared memory a volatile variable may be a warp's, whose lanes once went on together.
  if (mixed && (how & ATOMIC || !is_shared(at)) && !is_own(at) && random_below(2)) yield();
  if (!look(address, size, how, where)) return;
  if (how & READS) hear(at, together || how & OF_CPP);
  if (how & WRITES) tell(at);
  if (!is_shared(at)) {
    if (how & READS) {
      auto& read = flags_seen[here()];
      if (read[0].at != at) std::move_backward(read.begin(), read.end() - 1, read.end());
      read[0] = {at, ++flag_time, current->linear};
    }
    const uint32_t place = offset_of(where);
    if (how & WRITES) flags[at][number()] = {current->linear, current->told++, current->barriers, place, ++flag_time};
  }
}
inline int how_of(int scope) { return ATOMIC | (scope & BLOCK ? OF_BLOCK : 0) | (scope & CPP ? OF_CPP : 0); }
// What this thread has read at a place where it now compares and swaps was a guess, and no harm if it was old.
inline void forgive(const void* address, uint64_t size) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  Memory& memory = is_shared(at) ? shared_shadow[here()] : shadow;
  for (uint64_t offset = 0; offset < size; offset += size < 4 ? 1 : 4) {
    for (Access& read : (size < 4 ? memory.bytes[at + offset] : memory.words[(at + offset) / 4]).reads)
      if (read.block == number() && read.thread == current->linear) read.how |= GUESS;
    suspicions.erase({number(), current->linear, at});
  }
}
void touch(const void* address, uint64_t size, bool reads, int scope, const void* where) {
  if (scope & GUESSED && on_device()) forgive(address, size);
  communicate(address, size, (reads ? READS : 0) | WRITES | how_of(scope), where);
}
void touch_to_read(const void* address, uint64_t size, int scope, const void* where) {
  communicate(address, size, READS | how_of(scope), where);
}

void touch_volatile(const void* address, uint64_t size, bool is_write, const void* where) {
  communicate(address, size, VOLATILE | (is_write ? WRITES : READS), where);
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

void release(const void* address, uint64_t size, const void* where) {
  touch(address, size, true, DEVICE, where);
  tell_now(address, DEVICE);
}
void acquire(const void* address, uint64_t size, const void* where) {
  communicate(address, size, READS | VOLATILE, where);
  hear_now(address);
}

}  // namespace emulator

#include "copies.h"

extern "C" {
void emulator_forget() {
  emulator::allowed.clear(), emulator::shadow = {}, emulator::atomics.clear();
  emulator::forget_counts();
}
void emulator_allow(uint64_t base, uint64_t rows, uint64_t width, uint64_t stride) {
  emulator::allowed.push_back({static_cast<uintptr_t>(base), rows, width, stride});
}

// What the compiler calls where the index of an array of known length is not below it, under -fsanitize=bounds.
void __ubsan_handle_out_of_bounds_abort(void*, void*) {
  if (!on_device()) host_beyond_array(CALLER);
  emulator::fail(emulator::BEYOND_ARRAY, *emulator::current, CALLER);
}

// What kernels call in place of memcpy and its kin.
static void access_all(const void* address, uint64_t size, bool is_write, const void* where) {
  if (!on_device()) return host_access(address, size, is_write, where);
  const char* const bytes = static_cast<const char*>(address);
  emulator::whole_at = reinterpret_cast<uintptr_t>(address), emulator::whole_size = size;
  const uint64_t step = (reinterpret_cast<uintptr_t>(address) | size) % 4 ? 1 : 4;
  if (const uintptr_t at = reinterpret_cast<uintptr_t>(address); !is_write && emulator::shares_structs && emulator::is_shared(at))
    emulator::each_place(emulator::shared_shadow[emulator::here()], at, size, [](const emulator::Shadow& place) {
      emulator::in_written = emulator::in_written || place.write.block != ~0u || place.atomic >= 0;
    });
  for (uint64_t i = 0; i < size; i += step) emulator::access(bytes + i, step, is_write, where);
  emulator::whole_size = 0, emulator::in_written = false;
}
void* emulator_memmove(void* to, const void* from, size_t size) {
  access_all(from, size, false, CALLER), access_all(to, size, true, CALLER);
  return std::memmove(to, from, size);
}
void* emulator_memcpy(void* to, const void* from, size_t size) {
  access_all(from, size, false, CALLER), access_all(to, size, true, CALLER);
  return std::memcpy(to, from, size);
}
void* emulator_memset(void* to, int value, size_t size) {
  access_all(to, size, true, CALLER);
  return std::memset(to, value, size);
}

// What the compiler calls under -fsanitize=thread.
#define HOOK(name, size, is_write) \
  void name(void* p) { emulator::access_whole(p, size, size, is_write, CALLER); }
#define ANYWHERE(name, size, is_write) \
  void name(void* p) { emulator::access_at_once(p, size, is_write, CALLER); }
#define VOLATILE_HOOK(name, size, how) \
  void name(void* p) { emulator::communicate(p, size, emulator::VOLATILE | how, CALLER); }
#define HOOKS(size)                         \
  HOOK(__tsan_read##size, size, false)      \
  HOOK(__tsan_write##size, size, true)      \
  ANYWHERE(__tsan_unaligned_read##size, size, false) \
  ANYWHERE(__tsan_unaligned_write##size, size, true) \
  VOLATILE_HOOK(__tsan_volatile_read##size, size, emulator::READS)           \
  VOLATILE_HOOK(__tsan_volatile_write##size, size, emulator::WRITES | emulator::STORE)          \
  VOLATILE_HOOK(__tsan_unaligned_volatile_read##size, size, emulator::READS) \
  VOLATILE_HOOK(__tsan_unaligned_volatile_write##size, size, emulator::WRITES | emulator::STORE)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* p, unsigned long n) { emulator::access(p, n, false, CALLER); }
void __tsan_write_range(void* p, unsigned long n) { emulator::access(p, n, true, CALLER); }
// Of the guard that g++ gives an array in shared memory whose class has constructors, though it calls none of them.
#ifndef PROGRAM  // which has all of these
char __tsan_atomic8_load(const volatile char* p, int) { return *p; }
#endif
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
