// The recording of a launch for `fastae trace`: every access to memory, every barrier and warp operation, and the end of
// every thread, in the order in which the emulator ran them. fastae/trace/record.py reads it.
#pragma once

#include <cstring>

namespace emulator {

// Beside the first four bits of How in checks/shadow.h.
enum Mark { CONSTANT_MEMORY = 16, SHARED_MEMORY = 32, WAITS = 64, ENDS = 128 };
enum Wait { BARRIER = 100, GRID = 101, NO_VALUE = 255 };   // beside the operations of a warp (language/warps.h)

struct Event {
  uint32_t block;
  uint16_t thread;
  uint8_t kind, operation;  // which operation is waited for; NO_VALUE of an access that cannot be made
  uint32_t where, size;     // a place in the code, as an offset into this library; and bytes
  uint64_t address;         // or the mask of a warp operation
  uint64_t value[2];        // what was read or written; of an atomic operation the value before and after
};

struct Recording {  // the header, before the events
  char magic[8];
  uint32_t version, bytes_of_event, grid[3], block[3];
  uint64_t events, lost, dynamic;  // events kept, and left out; bytes of dynamic shared memory
  uint64_t library, library_end, shared, shared_end, room;  // addresses
  uint64_t where, other_where, address;  // of the fault, as in Report
  uint32_t fault, at_block[3], at_thread[3], other_block[3], other_thread[3], how, other_how;
};

static bool recorded;
static std::vector<Event> noted;
static uint64_t room_left;  // in numbers of 4 bytes: one for each event, four for one of 16 bytes
static size_t unwritten = ~size_t{0};  // the event whose value is not in memory yet
static uint64_t lost_events;
static Recording recording;

// Note the value that the last event has written, which is in memory now.
inline void settle() {
  if (unwritten >= noted.size()) return;
  Event& e = noted[unwritten];
  unwritten = ~size_t{0};
  const bool atomic = e.kind & 4;
  std::memcpy(&e.value[atomic], reinterpret_cast<const void*>(e.address), std::min<size_t>(e.size, atomic ? 8 : 16));
}

inline Event* next_event(uint64_t size = 4) {
  if (seeking) return nullptr;  // what follows a fault is not shown
  settle();
  const uint64_t words = (std::min<uint64_t>(size, 16) + 3) / 4;
  if (room_left < words || lost_events) {
    ++lost_events;
    return nullptr;
  }
  room_left -= words;
  const uint32_t block = block_index.x + grid.x * (block_index.y + grid.y * block_index.z);
  noted.push_back({block, static_cast<uint16_t>(current->linear), 0, 0, 0, 0, 0, {0, 0}});
  return &noted.back();
}

inline void note(uintptr_t at, uint64_t size, int how, bool shared, bool there, const void* where) {
  Event* e = next_event(size);
  if (!e) return;
  const Space space = kind_at(at, shared);
  e->kind = (how & 15) | (space == SHARED ? SHARED_MEMORY : space == CONSTANT ? CONSTANT_MEMORY : 0), e->where = offset_of(where), e->size = size, e->address = at;
  const bool reads = how & 1, writes = how & 2, atomic = how & 4;
  if (!there) {
    e->operation = NO_VALUE;
    return;
  }
  if (reads || atomic) std::memcpy(e->value, reinterpret_cast<const void*>(at), std::min<size_t>(size, atomic ? 8 : 16));
  if (writes) unwritten = noted.size() - 1;
}

inline void note_wait(int operation, unsigned mask, uint64_t offered, const void* where) {
  if (!recorded) return;
  if (Event* e = next_event())
    e->kind = WAITS, e->operation = operation, e->address = mask, e->value[0] = offered, e->where = offset_of(where);
}

inline void note_turn(const Fiber& fiber) {
  if (!recorded) return;
  settle();
  if (fiber.state != DONE) return;
  if (Event* e = next_event()) e->kind = ENDS;
}

}  // namespace emulator

extern "C" {
// Record the next launch, up to so many numbers of 4 bytes, or do not.
void emulator_record(int on, uint64_t most) {
  emulator::recorded = on, emulator::room_left = most, emulator::lost_events = 0;
  emulator::unwritten = ~size_t{0};
  std::vector<emulator::Event>().swap(emulator::noted);
  if (on) emulator::noted.reserve(std::min<uint64_t>(most, 1 << 20));  // no allocation is under way when a signal comes
}

// Give the recording; return the number of events.
uint64_t emulator_recording(const emulator::Recording** header, const emulator::Event** events) {
  using namespace emulator;
  if (report.fault && unwritten == noted.size() - 1) {
    noted.back().operation = NO_VALUE;  // the fault came before the write
    unwritten = ~size_t{0};
  }
  settle();
  Recording& r = recording;
  std::memcpy(r.magic, "FASTAETR", 8);
  r.version = 1, r.bytes_of_event = sizeof(Event);
  copy(r.grid, grid), copy(r.block, block_size);
  r.events = noted.size(), r.lost = lost_events, r.dynamic = dynamic_bytes;
  const auto address = [](const void* at) { return reinterpret_cast<uint64_t>(at); };
  r.library = address(__ehdr_start), r.library_end = address(_end);
  r.shared = address(__start_cushared), r.shared_end = address(__stop_cushared), r.room = address(room.shared);
  r.where = report.where, r.other_where = report.other_where, r.address = report.address;
  r.fault = report.fault, r.how = report.how, r.other_how = report.other_how;
  std::memcpy(r.at_block, report.block, sizeof r.at_block), std::memcpy(r.at_thread, report.thread, sizeof r.at_thread);
  std::memcpy(r.other_block, report.other_block, sizeof r.other_block);
  std::memcpy(r.other_thread, report.other_thread, sizeof r.other_thread);
  *header = &r, *events = noted.data();
  return r.events;
}
}
