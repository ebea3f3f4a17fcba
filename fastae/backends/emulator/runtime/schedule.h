// Which thread runs next, and when those that wait go on: the threads of a block, the lanes of its warps, the blocks of a
// grid.
#pragma once

namespace emulator {

inline unsigned number_of(const Block& block) { return &block - blocks.data(); }

inline void begin(Block& block, unsigned threads) {
  block.begun = true;
  if (__start_cushared) std::memset(__start_cushared, 0xFF, __stop_cushared - __start_cushared);  // NaN
  std::memset(room.shared, 0xFF, dynamic_bytes);
  begin_block(number_of(block));
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& f = block.fibers[i];
    f.linear = i, f.state = READY, f.barriers = 0, f.clock = 1, f.naps_at = nullptr;
    f.index.x = i % block_size.x, f.index.y = i / block_size.x % block_size.y, f.index.z = i / (block_size.x * block_size.y);
  }
}

inline bool are_at_one(const Fiber& x, const Fiber& y) {
  return x.operation == y.operation && x.mask == y.mask && (x.operation < MMA || x.line == y.line);
}

// Let the lanes of a warp go on where all are there that their mask names; return whether any does. Lanes that wait for
// __activemask go on together if they came to the same line before any other lane can go on.
inline bool let_go(Fiber* warp, unsigned lanes) {
  unsigned waiting = 0, left = 0, progress = 0;
  for (unsigned l = 0; l < lanes; ++l)
    if (warp[l].state == AT_WARP) waiting |= 1u << l;
  if (!waiting) return false;
  const auto meet_in = [&](unsigned first, bool asking) {
    unsigned group = 0;
    const Fiber& one = warp[first];
    for (unsigned l = first; l < lanes; ++l)
      if (left >> l & 1 && (asking ? warp[l].line == one.line : are_at_one(warp[l], one))) group |= 1u << l;
    return group;
  };
  for (bool asking : {false, true}) {
    left = 0;
    for (unsigned l = 0; l < lanes; ++l)
      if (waiting >> l & 1 && (warp[l].operation == ACTIVE) == asking) left |= 1u << l;
    for (unsigned first = 0; left; ++first) {
      if (!(left >> first & 1)) continue;
      const unsigned group = meet_in(first, asking), all = lanes < WARP ? (1u << lanes) - 1 : ~0u;
      left &= ~group;
      if (!asking && group != (warp[first].mask & all)) continue;
      progress |= group;
      if (warp[first].operation == SYNC) after_warp(warp, group);
      for (unsigned l = first; l < lanes; ++l)
        if (group >> l & 1) warp[l].state = READY, warp[l].shown = asking ? group : warp[l].offered;
    }
    if (progress) return true;
  }
  return false;
}

// The first lane of the mask of a waiting lane that has not come.
inline const Fiber& missing(const Fiber* warp, unsigned lanes, const Fiber& waiting) {
  for (unsigned l = 0; l < lanes; ++l) {
    const Fiber& other = warp[l];
    const bool here = other.state == AT_WARP && are_at_one(other, waiting);
    if (waiting.mask >> l & 1 && !here) return other;
  }
  return waiting;
}

// Run every thread of a block until it ends, or until all that are left sleep or wait for those that sleep.
inline void run_block(Block& block, unsigned threads) {
  Fiber* const team = block.fibers;
  std::vector<unsigned> turn(threads);
  for (unsigned i = 0; i < threads; ++i) turn[i] = order == 1 ? threads - 1 - i : i;
  for (;;) {
    for (unsigned i = threads; order == 2 && i > 1; --i) std::swap(turn[i - 1], turn[random_below(i)]);
    for (unsigned i : turn)
      if (team[i].state == READY) {
        resume(team[i]);
        after_turn(team[i]);
        worked = worked || team[i].state != NAPPING;
      }
    bool progress = std::exchange(woken, false);
    for (unsigned first = 0; first < threads; first += WARP)
      if (let_go(team + first, std::min(WARP, threads - first))) progress = true;
    if (progress) continue;
    unsigned done = 0, waiting = 0, at_grid = 0;
    Fiber *one = nullptr, *at_warp = nullptr;
    const Fiber* at_phase = nullptr;
    bool asleep = false;
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& f = team[i];
      if (f.state == DONE) ++done;
      if (f.state == AT_WARP && !at_warp) at_warp = &f;
      if (f.state == AT_PHASE && !at_phase) at_phase = &f;
      if (f.state == NAPPING) asleep = true, f.state = READY;
      if (f.state == AT_GRID) ++at_grid;
      if (f.state != AT_BARRIER && f.state != AT_GRID) continue;
      one = &f;
      if (f.state == AT_BARRIER) ++waiting;
    }
    if (asleep) return;
    if (done == threads || at_grid == threads) {
      (done ? block.done : block.at_grid) = true;
      return;
    }
    if (at_warp) {
      Fiber* const warp = team + at_warp->linear / WARP * WARP;
      fail_for(DEADLOCK, *at_warp, missing(warp, std::min<unsigned>(WARP, threads - warp->linear), *at_warp));
    }
    if (at_phase) fail_for_phase(*at_phase);
    for (unsigned i = 0; i < threads; ++i)
      if (team[i].state != one->state || team[i].line != one->line) fail_for(DIVERGED, *one, team[i]);
    block.votes = 0;
    for (unsigned i = 0; i < threads; ++i) block.votes += team[i].offered;
    after_barrier();
    for (unsigned i = 0; i < threads; ++i) team[i].state = READY, ++team[i].barriers;
  }
}

// Let all threads go on: those of all blocks have come to the barrier of the grid.
inline void pass_grid(unsigned threads) {
  after_grid();
  for (Block& block : blocks) {
    running = &block, block_index = block.index, block.at_grid = false;
    after_barrier();
    for (unsigned i = 0; i < threads; ++i) block.fibers[i].state = READY, ++block.fibers[i].barriers;
  }
}

// Run blocks that are on the device at once, in turns, until all are done.
inline void run_blocks(unsigned threads) {
  const size_t room_of_static = __start_cushared ? __stop_cushared - __start_cushared : 0;
  for (unsigned naps = 0, left = blocks.size(); left > 0; naps = worked ? 0 : naps + 1) {
    worked = false;
    unsigned at_grid = 0;
    for (Block& block : blocks) {
      if (block.at_grid) ++at_grid;
      if (block.done || block.at_grid) continue;
      running = &block, block_index = block.index;
      if (!block.begun) {
        begin(block, threads);
      } else if (blocks.size() > 1) {
        std::memcpy(__start_cushared, block.shared.data(), room_of_static);
        std::memcpy(room.shared, block.shared.data() + room_of_static, dynamic_bytes);
      }
      run_block(block, threads);
      if (block.done) --left;
      if (block.at_grid) ++at_grid;
      if (blocks.size() == 1) continue;
      block.shared.assign(__start_cushared, __start_cushared + room_of_static);
      block.shared.insert(block.shared.end(), room.shared, room.shared + dynamic_bytes);
    }
    if (at_grid == blocks.size()) {
      pass_grid(threads), worked = true;
    } else if (at_grid && at_grid == left) {  // the others are done
      for (Block& block : blocks)
        if (block.at_grid) block_index = block.index, fail(FOR_EVER, *block.fibers, block.fibers->waits_at);
    }
    for (unsigned i = 0; naps == MOST_NAPS && i < blocks.size() * threads; ++i)
      if (fibers[i].naps_at) {
        block_index = blocks[i / threads].index;
        fail(FOR_EVER, fibers[i], fibers[i].naps_at);
      }
  }
}

// The order in which blocks run.
inline std::vector<unsigned> order_of(unsigned count) {
  std::vector<unsigned> turn(count);
  for (unsigned i = 0; i < count; ++i) turn[i] = i;
  for (unsigned i = count; order == 2 && i > 1; --i) std::swap(turn[i - 1], turn[random_below(i)]);
  return turn;
}

}  // namespace emulator
