// The hooks of checks/ where nothing is checked.
#pragma once

namespace emulator {
inline void begin_block(unsigned) {}
inline void end_block() {}
inline void after_barrier() {}
inline void after_warp(Fiber*, unsigned) {}
inline void after_grid() {}
inline void after_turn(const Fiber&) {}
inline void note_wait(int, unsigned, uint64_t, const void*) {}
enum Wait { BARRIER, GRID };
inline void begin_launch(unsigned, bool) {}
void touch(const void*, uint64_t, bool, int, const void*) {}
void touch_to_read(const void*, uint64_t, int, const void*) {}
void release_at(const void*, int) {}
void acquire_at(const void*) {}
void fence(bool) {}
void release(const void*, uint64_t, const void*) {}
void acquire(const void*, uint64_t, const void*) {}
void access(const void*, uint64_t, bool, const void*) {}
void access_whole(const void*, uint64_t, uint64_t, bool, const void*) {}
void access_in(int, const void*, uint64_t, uint64_t, bool, const void*) {}
void touch_volatile(const void*, uint64_t, bool, const void*) {}
void copy_in_group(void*, const void*, uint64_t, uint64_t, uint64_t, const void*) {}
void copy_in_phase(void*, void*, const void*, uint64_t, uint64_t, const void*) {}
void commit_group() {}
void wait_for_groups(unsigned) {}
inline void after_arrival(const void*) {}
inline void after_phase(const void*) {}
inline void after_waiting(const void*, const Fiber&) {}
}  // namespace emulator
extern "C" void emulator_forget() {}
extern "C" void emulator_allow(uint64_t, uint64_t, uint64_t, uint64_t) {}
