// Shadow memory: who has read and written each place, when, and where in the code.
#pragma once

#include <array>
#include <map>

namespace emulator {

extern const bool shares_structs;  // in shared memory, which are copied whole with the bytes between their members

struct Array {  // rows of `width` bytes, `stride` bytes apart
  uintptr_t base;
  uint64_t rows, width, stride;
};

enum How {
  READS = 1, WRITES = 2, ATOMIC = 4, VOLATILE = 8, ELEMENTARY = ATOMIC | VOLATILE, OF_BLOCK = 16, COPIED = 32, OF_CPP = 64,
  LANES = 128,  // in the report of a race: both threads are lanes of one warp
  GUESS = 256,  // a read with which an atomicCAS begins
  WARPS = 512,  // in the report of a race between lanes: threads of different warps race, too
  ALONE = 1024,  // the block has no other warp
  UPDATES = 2048,  // the thread that read writes there afterwards
  STORE = 4096  // a write whose value is in memory before the thread does anything else
};

struct Access {  // who, when, how and where in the code
  uint32_t block = ~0u, barriers = 0, clock = 0;
  uint16_t thread = 0, how = 0;
  uint32_t where = 0;
};

using Latest = std::array<Access, 3>;  // the last, the last by another thread of its block, the last by another block

struct Shadow {  // of one place: its last plain write, its last reads, and the index of its atomic writes in `atomics`
  Access write;
  Latest reads;
  int32_t atomic = -1;
  bool split = false;  // the bytes of this word have shadows of their own
  int32_t copy = -1, sent = -1;  // asynchronous copies under way, into it and from it
};

class Places {  // shadows by the number of the place, in pages; the pages used last are cached
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

struct Memory {  // words of four bytes, and the bytes of words of which a part was touched
  Places words, bytes;
};

static std::vector<Array> allowed;
static Memory shadow;
static std::vector<Memory> shared_shadow;  // of each block
static std::vector<Latest> atomics;  // atomic and volatile writes

inline unsigned block_slot() { return running - blocks.data(); }
inline unsigned thread_slot() { return current - fibers.data(); }
inline uint32_t block_number() { return block_index.x + grid.x * (block_index.y + grid.y * block_index.z); }

inline bool is_in(const dim3& place, uintptr_t at) { return at - reinterpret_cast<uintptr_t>(&place) < sizeof(dim3); }

inline bool is_own(uintptr_t at) {  // a local variable, or threadIdx and its like
  const uintptr_t stack = reinterpret_cast<uintptr_t>(current->stack);
  return (at >= stack && at < stack + STACK) || is_in(thread_index, at) || is_in(block_index, at) || is_in(block_size, at) ||
         is_in(grid, at);
}

inline bool is_allowed(uintptr_t at, uint64_t size) {
#ifdef PROGRAM
  return is_of_device(at, size);
#endif
  // a variable or constant of the library
  if (at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end)) return true;
  for (const Array& a : allowed) {
    if (at < a.base || at >= a.base + a.rows * a.stride) continue;
    if ((at - a.base) % a.stride + size <= a.width) return true;
  }
  return false;
}

// Give each byte of a word a shadow, which begins as the word's.
inline void split(Memory& memory, Shadow& word, uintptr_t at) {
  word.split = true;
  for (int i = 0; i < 4; ++i) {
    Shadow& byte = memory.bytes[at + i];
    byte = word;
    if (byte.atomic >= 0) byte.atomic = atomics.size(), atomics.push_back(Latest(atomics[word.atomic]));
  }
}

// Visit each place of a piece of memory: a word, or the bytes that are touched of a word that was touched in part.
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

}  // namespace emulator
