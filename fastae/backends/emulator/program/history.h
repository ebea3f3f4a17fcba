// The history of memory, where accesses are checked: which bytes of the device were written, and which operations of streams
// have touched them. Here operations run at once, in the host's order; a GPU runs them in any order that streams, events and
// the host's waiting allow. So each operation has a number in its stream and a vector clock of how far every stream has come
// before it begins. Two operations that touch the same memory, of which one writes, are a fault unless these clocks order
// them. (Mattern, Virtual time and
// global states of distributed systems, 1989.)
#pragma once

namespace emulator {

struct Unwritten {  // bytes of an allocation, a bit each; forgotten when none is left
  std::vector<uint64_t> bits;
  size_t left;
};

struct Touch {  // operations on a piece of memory, as indices of `works`: the last that wrote, and two that read since
  uint32_t write = 0, read = 0, other = 0;
};
struct Trail {  // of the pieces of an allocation: words, or bytes after a part of a word was touched
  unsigned shift = 2;
  std::vector<Touch> touches;
};

#ifdef CHECKED
constexpr size_t MOST_TRAILED = size_t{64} << 20;  // bytes of an allocation
constexpr uint32_t ATOMICALLY = 1u << 31;          // beside the number of an operation that wrote

class Clock {  // how many operations of each stream are done
 public:
  uint32_t& operator[](uint32_t stream) {
    if (done_.size() <= stream) done_.resize(stream + 1);
    return done_[stream];
  }
  bool covers(uint32_t stream, uint32_t number) const { return !number || (stream < done_.size() && done_[stream] >= number); }
  bool covers(const Clock& other) const {
    for (size_t i = 0; i < other.done_.size(); ++i)
      if (!covers(i, other.done_[i])) return false;
    return true;
  }
  void join(const Clock& other) {
    if (done_.size() < other.done_.size()) done_.resize(other.done_.size());
    for (size_t i = 0; i < other.done_.size(); ++i) done_[i] = std::max(done_[i], other.done_[i]);
  }

 private:
  std::vector<uint32_t> done_;
};

struct Track {  // of a stream
  uint32_t number = 0, count = 0;
  bool waits_for_default = false;  // and the default stream for it
  Clock now;                       // of its next operation
};
struct Work {  // an operation of a stream
  const char* what;
  At at;
  uint32_t stream, number;
};
struct Pending {  // a piece of the host's memory that a copy may still be at work on
  uintptr_t begin, end;
  bool writes;
  uint32_t work;
};

static std::map<cudaStream_t, Track> tracks = {{nullptr, {}}};
static std::map<cudaEvent_t, Clock> recorded_at;
static uint32_t tracks_made = 1;
static Clock host_knows, everything, blocking;  // what the host has waited for; all; what the default stream waits for
static std::vector<Work> works(1);
static std::set<std::string> named;  // the names in `works`
static uint32_t work_now;
static const Clock* clock_now = &host_knows;
static bool several;  // streams have been made
static bool replays;  // a graph, on this stream
static cudaStream_t replays_on;
static std::vector<Pending> on_their_way;
static uintptr_t way_begin, way_end;  // around all of them
static std::set<std::pair<uint32_t, uint32_t>> clashes;  // reported already
static std::set<std::string> complaints;

inline bool host_has_waited_for(uint32_t work) { return host_knows.covers(works[work].stream, works[work].number); }
inline bool is_ordered(uint32_t work) {
  const Work& w = works[work & ~ATOMICALLY];
  return clock_now->covers(w.stream, w.number);
}

bool is_blocking(cudaStream_t stream);

inline Track& track_of(cudaStream_t stream) {
  if (replays) stream = replays_on;
  if (stream == cudaStreamLegacy) stream = nullptr;
  const auto [found, is_new] = tracks.try_emplace(stream);
  if (is_new) found->second.number = tracks_made++, found->second.waits_for_default = stream && is_blocking(stream);
  return found->second;
}

// Update the clock of a stream's next operation.
inline Track& going_on(cudaStream_t stream) {
  Track& track = track_of(stream);
  Track& of_default = tracks.at(nullptr);
  track.now.join(host_knows);
  if (track.waits_for_default) track.now.join(of_default.now);
  if (&track == &of_default) track.now.join(blocking);
  return track;
}

inline void begin_work(cudaStream_t stream, const std::string& what, At at) {
  Track& track = going_on(stream);
  everything[track.number] = track.now[track.number] = ++track.count;
  if (track.waits_for_default) blocking.join(track.now);
  works.push_back({named.insert(what).first->c_str(), at, track.number, track.count});
  work_now = works.size() - 1, clock_now = &track.now;
}

inline void host_waits_for(const Clock& clock) {
  host_knows.join(clock);
  size_t left = 0;
  way_begin = ~uintptr_t{0}, way_end = 0;
  for (const Pending& p : on_their_way) {
    if (host_has_waited_for(p.work)) continue;
    on_their_way[left++] = p;
    way_begin = std::min(way_begin, p.begin), way_end = std::max(way_end, p.end);
  }
  on_their_way.resize(left);
  untouchable_managed = untouchable_managed && !host_knows.covers(everything);
}
inline void host_waits_for_all() { host_waits_for(everything); }
inline void host_waits_for_stream(cudaStream_t stream) {
  host_waits_for(going_on(stream).now);
}
inline void host_waits_for_event(cudaEvent_t event) { host_waits_for(recorded_at[event]); }
inline void record_event(cudaEvent_t event, cudaStream_t stream) {
  recorded_at[event] = going_on(stream).now;
}
inline void wait_for_event(cudaStream_t stream, cudaEvent_t event) {
  going_on(stream).now.join(recorded_at[event]);
}
// While a stream calls a function of the host, the host counts as having waited for the stream.
class Called {
 public:
  explicit Called(cudaStream_t stream) : knows_(host_knows), way_(on_their_way) { host_waits_for_stream(stream); }
  ~Called() {
    host_knows = knows_, on_their_way = way_;
    host_waits_for({});
  }

 private:
  Clock knows_;
  std::vector<Pending> way_;
};
inline void forget_event(cudaEvent_t event) { recorded_at.erase(event); }
inline void forget_stream(cudaStream_t stream) { tracks.erase(stream); }
inline void forget_history() { on_their_way.clear(), way_end = 0; }

// Visits the words of 64 bits of a part of an allocation, with the bits that belong to it.
template <class F>
inline void each_word(uint64_t offset, uint64_t size, F visit) {
  for (uint64_t at = offset; at < offset + size;) {
    const uint64_t first = at % 64, count = std::min(64 - first, offset + size - at);
    visit(at / 64, (count == 64 ? ~uint64_t{0} : ((uint64_t{1} << count) - 1)) << first);
    at += count;
  }
}

inline void begin_unwritten(Allocation& a) {
  a.unwritten = std::make_shared<Unwritten>();
  a.unwritten->bits.assign((a.bytes + 63) / 64, ~uint64_t{0});
  a.unwritten->left = a.bytes;
}

inline uint64_t count_unwritten(const Allocation& a, uint64_t offset, uint64_t size) {
  uint64_t found = 0;
  if (a.unwritten) each_word(offset, size, [&](uint64_t i, uint64_t mask) { found += __builtin_popcountll(a.unwritten->bits[i] & mask); });
  return found;
}

inline void wrote(Allocation& a, uint64_t offset, uint64_t size) {
  if (!a.unwritten) return;
  each_word(offset, size, [&](uint64_t i, uint64_t mask) {
    uint64_t& bits = a.unwritten->bits[i];
    a.unwritten->left -= __builtin_popcountll(bits & mask), bits &= ~mask;
  });
  if (!a.unwritten->left) a.unwritten.reset();
}

// A copy of unwritten bytes is unwritten.
inline void carried(void* to, const void* from, size_t size) {
  const uintptr_t source = reinterpret_cast<uintptr_t>(from), target = reinterpret_cast<uintptr_t>(to);
  Allocation *const a = allocation_of(source), *const b = allocation_of(target);
  if (!a || !b || !a->unwritten || b->kind != OF_DEVICE || !count_unwritten(*a, source - a->base, size)) return;
  if (!b->unwritten) {
    b->unwritten = std::make_shared<Unwritten>();
    b->unwritten->bits.assign((b->bytes + 63) / 64, 0), b->unwritten->left = 0;
  }
  const std::vector<uint64_t> bits = a->unwritten->bits;  // they may be the same
  for (size_t i = 0; i < size; ++i) {
    const uint64_t p = source - a->base + i, q = target - b->base + i;
    uint64_t& word = b->unwritten->bits[q / 64];
    const uint64_t bit = uint64_t{1} << q % 64;
    if (!(bits[p / 64] >> p % 64 & 1)) continue;
    b->unwritten->left += !(word & bit), word |= bit;
  }
  if (!b->unwritten->left) b->unwritten.reset();
}

// Report unwritten bytes that are copied to the host: a fault if none was written, else a remark.
inline void look_for_unwritten(const std::string& place, const void* from, size_t pitch, size_t width, size_t height) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(from);
  const Allocation* const a = allocation_of(at);
  uint64_t lacking = 0;
  for (size_t row = 0; a && row < height; ++row) lacking += count_unwritten(*a, at - a->base + row * pitch, width);
  if (!lacking) return;
  const size_t reach = width * height;
  const std::string words = text(": %llu of these %zu bytes were never written, of ", (unsigned long long)lacking, reach);
  lacking < reach ? remark(place + words + of_allocation(*a)) : complain(place + words + of_allocation(*a));
}

inline void complain_once(const std::string& words) {
  if (complaints.insert(words).second) complain(words);
}

inline void clash(uint32_t before, bool writes, bool wrote, const std::string& place) {
  before &= ~ATOMICALLY;
  if (!clashes.emplace(before, work_now).second || clashes.size() > 20) return;
  const Work &mine = works[work_now], &theirs = works[before];
  complain_once(place + text("%s %s what %s, asked for at %s on another stream, %s: nothing orders the two, as cudaStreamWaitEvent, "
                        "or the host's waiting between them, would",
                        mine.what, writes ? "writes" : "reads", theirs.what, place_of(theirs.at).c_str(), wrote ? "writes" : "reads"));
}

inline void refine(Trail& trail) {
  std::vector<Touch> fine;
  fine.reserve(trail.touches.size() * 4);
  for (const Touch& t : trail.touches) fine.insert(fine.end(), 4, t);
  trail.touches = std::move(fine), trail.shift = 0;
}

// An operation touches a part of an allocation; `place` returns the beginning of a message.
template <class F>
inline void leave_trail(Allocation& a, uint64_t offset, uint64_t size, bool writes, bool atomic, F place) {
  if (a.bytes > MOST_TRAILED) return;
  if (!a.trail) {
    a.trail = std::make_shared<Trail>();
    a.trail->touches.resize((a.bytes + 3) / 4);
  }
  Trail& trail = *a.trail;
  if (trail.shift && (offset | size) % 4) refine(trail);
  const uint32_t mine = atomic ? work_now | ATOMICALLY : work_now;
  const auto meets = [&](uint32_t other, bool wrote) {
    if (!other || (other & ~ATOMICALLY) == work_now || (atomic && other & ATOMICALLY) || is_ordered(other)) return;
    clash(other, writes, wrote, place());
  };
  for (uint64_t i = offset >> trail.shift; i <= (offset + size - 1) >> trail.shift; ++i) {
    Touch& t = trail.touches[i];
    meets(t.write, true);
    if (writes) {
      meets(t.read, false), meets(t.other, false);
      t = {mine, 0, 0};
    } else if (t.read != mine && t.other != mine) {
      (!t.read || is_ordered(t.read) ? t.read : t.other) = mine;
    }
  }
}

// A copy or a fill touches memory, of the device or not: rows of bytes.
inline void work_touches(const void* p, size_t pitch, size_t width, size_t height, bool writes) {
  if (!several) return;
  for (size_t row = 0; row < height; ++row) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(p) + row * pitch;
    Allocation* const a = allocation_of(at);
    if (a && a->base + a->bytes - at >= width)
      leave_trail(*a, at - a->base, width, writes, false, [] { return place_of(works[work_now].at) + ": "; });
  }
}

// Note a copy that uses pinned memory of the host; for other memory the host waits.
inline bool leave_pending(const void* p, size_t reach, bool writes) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  const Allocation* const a = allocation_of(at);
  if (!a || (a->kind != PINNED && a->kind != REGISTERED)) return false;
  way_begin = on_their_way.empty() ? at : std::min(way_begin, at), way_end = std::max(way_end, at + reach);
  on_their_way.push_back({at, at + reach, writes, work_now});
  return true;
}

inline std::string pending_words(const Pending& p) {
  return text("before %s, asked for at %s, has ended: cudaStreamSynchronize or another way of waiting is to come first",
              works[p.work].what, place_of(works[p.work].at).c_str());
}

// Return what is wrong if the host frees or touches memory now.
inline std::string still_pending(uintptr_t begin, size_t size, bool writes) {
  for (auto p = on_their_way.begin(); p != on_their_way.end(); ++p) {
    if (begin >= p->end || begin + size <= p->begin || !(writes || p->writes)) continue;
    const std::string words = pending_words(*p);
    on_their_way.erase(p);  // report it once
    return words;
  }
  return "";
}

#else
struct Called {
  explicit Called(cudaStream_t) {}
};
inline void begin_work(cudaStream_t, const std::string&, At) {}
inline void host_waits_for_all() { untouchable_managed = false; }
inline void host_waits_for_stream(cudaStream_t) {}
inline void host_waits_for_event(cudaEvent_t) {}
inline void record_event(cudaEvent_t, cudaStream_t) {}
inline void wait_for_event(cudaStream_t, cudaEvent_t) {}
inline void forget_event(cudaEvent_t) {}
inline void forget_stream(cudaStream_t) {}
inline void forget_history() {}
inline void begin_unwritten(Allocation&) {}
inline void wrote(Allocation&, uint64_t, uint64_t) {}
inline void carried(void*, const void*, size_t) {}
inline void look_for_unwritten(const std::string&, const void*, size_t, size_t, size_t) {}
inline void work_touches(const void*, size_t, size_t, size_t, bool) {}
inline bool leave_pending(const void*, size_t, bool) { return false; }
inline std::string still_pending(uintptr_t, size_t, bool) { return ""; }
static bool several, replays;
static cudaStream_t replays_on;
#endif

}  // namespace emulator
