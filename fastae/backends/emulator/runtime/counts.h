// What the accesses of a warp cost: how many transactions they take, and the fewest that could do.
//
// The n-th time after a barrier that each lane comes to an instruction is one request of the warp. Global memory moves in
// sectors of 32 bytes; shared memory has 32 banks of 4 bytes, of which each gives one word at a time, to any number of
// lanes; constant memory gives one place at a time, to any number of lanes. (CUDA C++ best practices guide, on coalesced
// access, on shared memory banks and on constant memory.) fastae/trace counts likewise.
#pragma once

#include <algorithm>
#include <map>
#include <tuple>

namespace emulator {

constexpr uint64_t SECTOR = 32, BANKS = 32, WORD = 4;

enum Space { GLOBAL, SHARED, CONSTANT };  // of memory

struct Request {
  uint64_t size = 0;
  bool is_write = false;
  Space kind = GLOBAL;
  std::vector<uintptr_t> places;
};

struct Traffic {  // of one instruction, for Python (device.py)
  uint64_t where, is_write, kind, requests, accesses, transactions, best;
};

static bool counted;
// By a warp of the blocks that run, the barriers that it has passed, the code, and n.
static std::map<std::tuple<const Fiber*, unsigned, const void*, unsigned>, Request> requests;
static std::vector<std::unordered_map<const void*, unsigned>> executed;  // n, by thread and code
static std::map<const void*, Traffic> traffic;
static std::vector<Traffic> traffic_list;
static uint64_t barriers;  // that threads passed
static std::vector<std::pair<uintptr_t, uint64_t>> constants;  // variables in constant memory: where, and their bytes

inline Space kind_at(uintptr_t at, bool shared) {
  for (const auto& [begin, length] : constants)
    if (at - begin < length) return CONSTANT;
  return shared ? SHARED : GLOBAL;
}

inline void count(uintptr_t at, uint64_t size, bool is_write, bool shared, const void* where) {
  const unsigned me = current - fibers.data();
  Request& r = requests[{current - current->linear % WARP, current->barriers, where, executed[me][where]++}];
  r.size = size, r.is_write = is_write, r.kind = kind_at(at, shared);
  r.places.push_back(at);
}

inline size_t distinct(std::vector<uintptr_t> places) {
  std::sort(places.begin(), places.end());
  return std::unique(places.begin(), places.end()) - places.begin();
}

inline uint64_t transactions(const Request& r) {
  if (r.kind == CONSTANT) return distinct(r.places);
  std::vector<uintptr_t> units;  // sectors, or words
  const uint64_t unit = r.kind == SHARED ? WORD : SECTOR;
  for (uintptr_t at : r.places)
    for (uintptr_t u = at / unit; u <= (at + r.size - 1) / unit; ++u) units.push_back(u);
  if (r.kind == GLOBAL) return distinct(units);
  std::vector<uintptr_t> banks[BANKS];
  for (uintptr_t word : units) banks[word % BANKS].push_back(word);
  size_t most = 0;
  for (const auto& words : banks) most = std::max(most, distinct(words));
  return most;
}

inline void total_up() {
  for (const auto& [key, r] : requests) {
    const void* where = std::get<2>(key);
    Traffic& t = traffic[where];
    t.where = reinterpret_cast<const char*>(where) - __ehdr_start;
    t.is_write = r.is_write, t.kind = r.kind;
    const uint64_t bytes = distinct(r.places) * r.size, at_once = r.kind == SHARED ? BANKS * WORD : SECTOR;
    t.requests += 1, t.accesses += r.places.size();
    t.transactions += transactions(r), t.best += r.kind == CONSTANT ? 1 : (bytes + at_once - 1) / at_once;
  }
  requests.clear();
  for (auto& lane : executed) lane.clear();
}

inline void forget_counts() { total_up(), traffic.clear(), barriers = 0; }

}  // namespace emulator

extern "C" {
void emulator_count(int on) { emulator::counted = on, emulator::constants.clear(); }
void emulator_constant(uint64_t offset, uint64_t size) {
  emulator::constants.emplace_back(reinterpret_cast<uintptr_t>(emulator::__ehdr_start) + offset, size);
}
uint64_t emulator_barriers() { return emulator::barriers; }
uint64_t emulator_traffic(const emulator::Traffic** list) {
  emulator::traffic_list.clear();
  for (const auto& [where, t] : emulator::traffic) emulator::traffic_list.push_back(t);
  *list = emulator::traffic_list.data();
  return emulator::traffic_list.size();
}
}
