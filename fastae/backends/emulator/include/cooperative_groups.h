// Cooperative groups: threads of a block, tiles of a warp, lanes that came together, and the grid. (CUDA C++ programming
// guide, on cooperative groups.)
#pragma once

#include "language/device.h"

namespace cooperative_groups {

namespace details {
constexpr unsigned count(unsigned lanes) {  // without the compiler's library, which no GPU has
  lanes -= lanes >> 1 & 0x55555555;
  lanes = (lanes & 0x33333333) + (lanes >> 2 & 0x33333333);
  return (lanes + (lanes >> 4) & 0x0f0f0f0f) * 0x01010101 >> 24;
}
constexpr unsigned long long volume(dim3 size) { return 1ull * size.x * size.y * size.z; }
UNSEEN inline unsigned linear(dim3 at, dim3 size) { return at.x + size.x * (at.y + size.y * at.z); }
}  // namespace details

// Any group whose kind is known when it runs only: a block, or lanes of a warp.
class thread_group {
 public:
  NOT_INLINED void sync(int line = __builtin_LINE()) const { wait(CALLER, line); }
  unsigned size() const;
  unsigned num_threads() const { return size(); }
  unsigned thread_rank() const;
  UNSEEN void wait(const void* where, int line) const {
    is_block_ ? void(emulator::barrier(0, where, line)) : emulator::meet(emulator::SYNC, mask_, 0, where);
  }
  bool is_block() const { return is_block_; }
  unsigned mask() const { return mask_; }

 protected:
  thread_group() : mask_(~0u), is_block_(true) {}
  explicit thread_group(unsigned mask) : mask_(mask), is_block_(false) {}
  friend thread_group tiled_partition(const thread_group&, unsigned);

 private:
  unsigned mask_;
  bool is_block_;
};

class thread_block : public thread_group {
 public:
  NOT_INLINED static void sync(int line = __builtin_LINE()) { emulator::barrier(0, CALLER, line); }
  static unsigned thread_rank() { return details::linear(threadIdx, blockDim); }
  static unsigned size() { return unsigned(details::volume(blockDim)); }
  static unsigned num_threads() { return size(); }
  static dim3 group_index() { return blockIdx; }
  static dim3 thread_index() { return threadIdx; }
  static dim3 group_dim() { return blockDim; }
  static dim3 dim_threads() { return blockDim; }
};
inline thread_block this_thread_block() { return thread_block(); }

class grid_group {
 public:
  NOT_INLINED void sync() const { emulator::grid_barrier(CALLER); }
  bool is_valid() const { return emulator::is_cooperative(); }
  unsigned long long thread_rank() const { return block_rank() * thread_block::size() + thread_block::thread_rank(); }
  unsigned long long size() const { return num_blocks() * thread_block::size(); }
  unsigned long long num_threads() const { return size(); }
  unsigned long long num_blocks() const { return details::volume(gridDim); }
  unsigned long long block_rank() const { return details::linear(blockIdx, gridDim); }
  dim3 group_dim() const { return gridDim; }
  dim3 dim_blocks() const { return gridDim; }
  dim3 block_index() const { return blockIdx; }
};
inline grid_group this_grid() { return {}; }

// Lanes of a warp, ranked by their numbers: a tile, whose lanes lie side by side, or those that came together.
class lane_group : public thread_group {
 public:
  explicit lane_group(unsigned mask) : thread_group(mask) {}
  NOT_INLINED void sync() const { emulator::meet(emulator::SYNC, mask(), 0, CALLER); }
  unsigned size() const { return details::count(mask()); }
  unsigned num_threads() const { return size(); }
  unsigned thread_rank() const { return details::count(mask() & ((1u << emulator::lane()) - 1)); }
  template <class T>
  NOT_INLINED T shfl(T value, int from) const {
    return emulator::shuffle(emulator::SHFL, mask(), value, lane_of(unsigned(from) % size()), CALLER);
  }
  template <class T>
  NOT_INLINED T shfl_up(T value, unsigned by) const {
    const unsigned rank = thread_rank();
    return emulator::shuffle(emulator::SHFL_UP, mask(), value, lane_of(by <= rank ? rank - by : rank), CALLER);
  }
  template <class T>
  NOT_INLINED T shfl_down(T value, unsigned by) const {
    const unsigned rank = thread_rank(), from = rank + by;
    return emulator::shuffle(emulator::SHFL_DOWN, mask(), value, lane_of(from < size() ? from : rank), CALLER);
  }
  template <class T>
  NOT_INLINED T shfl_xor(T value, unsigned by) const {
    const unsigned rank = thread_rank(), from = rank ^ by;
    return emulator::shuffle(emulator::SHFL_XOR, mask(), value, lane_of(from < size() ? from : rank), CALLER);
  }
  NOT_INLINED int any(int value) const { return emulator::vote(emulator::SOME, mask(), value, CALLER) != 0; }
  NOT_INLINED int all(int value) const {
    return emulator::vote(emulator::EVERY, mask(), value, CALLER) == emulator::lanes_of(mask());
  }
  NOT_INLINED unsigned ballot(int value) const { return packed(emulator::vote(emulator::BALLOT, mask(), value, CALLER)); }
  template <class T>
  NOT_INLINED unsigned match_any(T value) const {
    return packed(emulator::match(emulator::MATCH_ANY, mask(), value, CALLER));
  }

 protected:
  unsigned lane_of(unsigned rank) const {
    for (unsigned l = 0; l < emulator::WARP; ++l)
      if (mask() >> l & 1 && rank-- == 0) return l;
    return emulator::WARP;
  }
  unsigned packed(unsigned lanes) const {  // bits by rank, of those by lane
    unsigned bits = 0, rank = 0;
    for (unsigned l = 0; l < emulator::WARP; ++l)
      if (mask() >> l & 1) bits |= (lanes >> l & 1) << rank++;
    return bits;
  }
};

class coalesced_group : public lane_group {
 public:
  using lane_group::lane_group;
  unsigned meta_group_size() const { return 1; }
  unsigned meta_group_rank() const { return 0; }
};
inline unsigned thread_group::size() const { return is_block_ ? thread_block::size() : details::count(mask_); }
inline unsigned thread_group::thread_rank() const {
  return is_block_ ? thread_block::thread_rank() : details::count(mask_ & ((1u << emulator::lane()) - 1));
}

NOT_INLINED inline coalesced_group coalesced_threads(int line = __builtin_LINE()) {
  emulator::meet(emulator::ACTIVE, 0, 0, CALLER, line);
  return coalesced_group(emulator::active());
}

namespace details {
template <unsigned Size>
unsigned tile_mask() {
  return Size == emulator::WARP ? ~0u : ((1u << Size % 32) - 1) << emulator::lane() / Size * Size;
}
}  // namespace details

template <unsigned Size, class Parent = void>
class thread_block_tile : public lane_group {
  static_assert(Size > 0 && Size <= 32 && (Size & (Size - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads");

 public:
  thread_block_tile(unsigned rank_in_parent, unsigned parent_size)
      : lane_group(details::tile_mask<Size>()), rank_(rank_in_parent / Size), tiles_((parent_size + Size - 1) / Size) {}
  template <class Other>
  thread_block_tile(const thread_block_tile<Size, Other>& other)
      : lane_group(other.mask()), rank_(other.meta_group_rank()), tiles_(other.meta_group_size()) {}
  static constexpr unsigned size() { return Size; }
  static constexpr unsigned num_threads() { return Size; }
  unsigned meta_group_rank() const { return rank_; }
  unsigned meta_group_size() const { return tiles_; }

 private:
  unsigned rank_, tiles_;  // of its parent's tiles
};

template <unsigned Size>
thread_block_tile<Size, thread_block> tiled_partition(const thread_block&) {
  return {thread_block::thread_rank(), thread_block::size()};
}
template <unsigned Size, unsigned Larger, class Parent>
thread_block_tile<Size, thread_block_tile<Larger, Parent>> tiled_partition(const thread_block_tile<Larger, Parent>&) {
  static_assert(Size <= Larger, "a tile's tiles are no larger than it is");
  return {emulator::lane() % Larger, Larger};
}

// Tiles of a size that is known when it runs only; those of lanes are by their ranks.
UNSEEN inline thread_group tiled_partition(const thread_group& parent, unsigned size) {
  if (parent.is_block() && size >= parent.size()) return parent;
  const unsigned lanes = parent.is_block() ? ~0u : parent.mask(), me = emulator::lane();
  const unsigned mine = details::count(lanes & ((1u << me) - 1)) / size;
  unsigned mask = 0;
  for (unsigned l = 0, rank = 0; l < emulator::WARP; ++l)
    if (lanes >> l & 1 && rank++ / size == mine) mask |= 1u << l;
  return thread_group(mask);
}
// Lanes of a group with the same label, or the same truth.
template <class T>
NOT_INLINED coalesced_group labeled_partition(const lane_group& group, T label) {
  return coalesced_group(emulator::match(emulator::MATCH_ANY, group.mask(), label, CALLER));
}
NOT_INLINED inline coalesced_group binary_partition(const lane_group& group, bool truth) {
  return coalesced_group(emulator::match(emulator::MATCH_ANY, group.mask(), int(truth), CALLER));
}

namespace details {
template <class Group>
UNSEEN void meet_all(const Group& group, const void* where, int line) {
  if constexpr (std::is_same_v<Group, thread_block>) {
    emulator::barrier(0, where, line);
  } else if constexpr (std::is_same_v<Group, grid_group>) {
    emulator::grid_barrier(where);
  } else if constexpr (std::is_same_v<Group, thread_group>) {
    group.wait(where, line);
  } else {
    emulator::meet(emulator::SYNC, group.mask(), 0, where);
  }
}
}  // namespace details

template <class Group>
NOT_INLINED void sync(const Group& group, int line = __builtin_LINE()) {
  details::meet_all(group, CALLER, line);
}
template <class Group>
auto thread_rank(const Group& group) {
  return group.thread_rank();
}
template <class Group>
auto group_size(const Group& group) {
  return group.size();
}

}  // namespace cooperative_groups
