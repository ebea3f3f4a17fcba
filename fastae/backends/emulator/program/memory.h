// The device's memory: an address range of its own, which only kernels and the API may touch. Every allocation ends
// before a page that nobody may touch, and no address is used twice before all have been used.
#pragma once

namespace emulator {

constexpr uintptr_t ALIGNMENT = 256;
constexpr size_t DEVICE_BYTES = size_t{8} << 30;  // that the device has
constexpr size_t FILLED = size_t{256} << 20;      // up to which new memory is filled: it holds NaN, as if by chance
enum Kind { OF_DEVICE, MANAGED, PINNED, REGISTERED, HEAP };

struct Allocation {
  uintptr_t base;
  size_t bytes;
  Kind kind;
  const char* by;
  At at, freed_at;
  uintptr_t pages, pages_end;
  uint32_t touched_by = 0;                        // the last kernel that touched it, as a number of `works`
  std::shared_ptr<struct Unwritten> unwritten = {};  // bytes that were not written yet
  std::shared_ptr<struct Trail> trail = {};          // the operations that touched it
};

static uintptr_t arena, arena_end, arena_next;
static std::map<uintptr_t, Allocation> live, freed;
static size_t used;  // bytes of the device
static Allocation* recent;
static bool untouchable_managed;  // a kernel may still be at work on managed memory

extern "C" char __start_cudevice[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cudevice[] __attribute__((weak, visibility("hidden")));
extern "C" char __start_cumanaged[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cumanaged[] __attribute__((weak, visibility("hidden")));
extern "C" char __data_start[] __attribute__((weak));

inline bool in_arena(const void* p) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  return at >= arena && at < arena_end;
}

inline Allocation* allocation_of(uintptr_t at, std::map<uintptr_t, Allocation>& among = live) {
  auto next = among.upper_bound(at);
  if (next == among.begin()) return nullptr;
  Allocation& found = std::prev(next)->second;
  return at < found.base + std::max<size_t>(found.bytes, 1) ? &found : nullptr;
}

inline bool is_variable(uintptr_t at) {  // __device__ or __constant__
  return at >= reinterpret_cast<uintptr_t>(__start_cudevice) && at < reinterpret_cast<uintptr_t>(__stop_cudevice);
}
inline bool is_managed_variable(uintptr_t at) {
  return at >= reinterpret_cast<uintptr_t>(__start_cumanaged) && at < reinterpret_cast<uintptr_t>(__stop_cumanaged);
}
inline bool is_image(uintptr_t at) {
  return at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end);
}
// Whether a kernel may use a variable of the program: the device's, or a constant.
inline bool is_usable_variable(uintptr_t at) {
  if (is_variable(at) || is_managed_variable(at)) return true;
  return is_image(at) && (variables_unknown || !__data_start || at < reinterpret_cast<uintptr_t>(__data_start));
}

// On a GPU the host's address of a device variable is another one than the device's. The addresses for which the program
// has called cudaGetSymbolAddress are the device's.
static std::map<uintptr_t, size_t> symbols_asked_for;
static bool copies_symbol;  // a copy to or from a symbol, which takes the host's address
void has_address(const void* symbol, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> guard(device_lock);
  symbols_asked_for[reinterpret_cast<uintptr_t>(symbol)] = bytes;
}
inline bool is_mere_name(const void* p) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  if (copies_symbol || !is_variable(at)) return false;
  const auto next = symbols_asked_for.upper_bound(at);
  return next == symbols_asked_for.begin() || at - std::prev(next)->first >= std::prev(next)->second;
}

// Whether a kernel may be given this pointer.
inline bool is_for_device(const void* p) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  return !p || in_arena(p) || is_usable_variable(at) || allocation_of(at) ||
         allocation_of(at - 1);  // the end of registered memory
}

inline std::string of_allocation(const Allocation& a) {
  return text("the %zu bytes that %s at %s gave", a.bytes, a.by, place_of(a.at).c_str());
}

// What is at an address, for a message; it begins with "; ".
inline std::string described(uintptr_t at) {
  if (at < PAGE) return "; it is a null pointer";
  if (const Allocation* a = allocation_of(at, freed); a && !allocation_of(at))
    return text("; it lies in %s, freed at %s", of_allocation(*a).c_str(), place_of(a->freed_at).c_str());
  if (const Allocation* a = allocation_of(at)) return "; it lies in " + of_allocation(*a);
  if (at >= arena && at < arena_end) {
    auto next = live.upper_bound(at);
    if (next != live.begin()) {
      const Allocation& a = std::prev(next)->second;
      const size_t behind = at - a.base - a.bytes;
      if (at >= a.base + a.bytes && behind < PAGE << 8)
        return text("; it lies %zu bytes behind %s", behind, of_allocation(a).c_str());
    }
    if (next != live.end() && next->second.base - at < PAGE << 8)
      return text("; it lies %zu bytes before %s", size_t(next->second.base - at), of_allocation(next->second).c_str());
    return "; nothing of the device's memory is there";
  }
  return is_image(at) ? "; it is a variable of the host" : "; it is the host's memory";
}

inline void protect(uintptr_t from, uintptr_t to, int how) {
  mprotect(reinterpret_cast<void*>(from / PAGE * PAGE), (to + PAGE - 1) / PAGE * PAGE - from / PAGE * PAGE, how);
}

}  // namespace emulator
#include "history.h"
namespace emulator {

// While an object of this class lives, the host can touch the device's memory: all of it, or a part that it writes.
class Opened {
 public:
  Opened() {
    for (const auto& [base, a] : live)
      if (a.kind == OF_DEVICE) protect(a.pages, a.pages_end, PROT_READ | PROT_WRITE);
  }
  Opened(const void* p, size_t bytes, bool writes = true) : at_(reinterpret_cast<uintptr_t>(p)), bytes_(bytes), all_(false) {
    Allocation* const a = bytes && in_arena(p) ? allocation_of(at_) : nullptr;
    is_ = a && a->kind == OF_DEVICE;
    if (is_ && writes) wrote(*a, at_ - a->base, bytes);
    if (is_) protect(at_, at_ + bytes_, PROT_READ | PROT_WRITE);
  }
  ~Opened() {
    if (all_)
      for (const auto& [base, a] : live)
        if (a.kind == OF_DEVICE) protect(a.pages, a.pages_end, PROT_NONE);
    if (is_) protect(at_, at_ + bytes_, PROT_NONE);
  }
  Opened(const Opened&) = delete;

 private:
  uintptr_t at_ = 0;
  size_t bytes_ = 0;
  bool all_ = true, is_ = false;
};

inline bool reserve_arena() {
  for (size_t size = size_t{16} << 40; !arena && size >= size_t{1} << 30; size /= 4) {
    void* const at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) continue;
    arena = arena_next = reinterpret_cast<uintptr_t>(at), arena_end = arena + size;
  }
  return arena != 0;
}

// Find space for so many bytes, and a page behind them.
inline uintptr_t room_for(size_t bytes) {
  if (arena_next + bytes + 2 * PAGE < arena_end) return arena_next;
  freed.clear();  // the addresses have been used up: those that are free are used again
  uintptr_t at = arena;
  for (const auto& [base, a] : live) {
    if (a.kind == REGISTERED) continue;
    if (a.pages >= at + bytes + 2 * PAGE) return at;
    at = std::max(at, a.pages_end + PAGE);
  }
  return at + bytes + 2 * PAGE < arena_end ? at : 0;
}

inline cudaError_t allocate_in(const Entered& call, void** pointer, size_t bytes, Kind kind) {
  if (!pointer) return call.wrong(cudaErrorInvalidValue, "the place for the pointer is null");
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const size_t room = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, pages = (room + PAGE - 1) / PAGE * PAGE;
  if (bytes > DEVICE_BYTES || (kind != PINNED && used + bytes > DEVICE_BYTES) || !reserve_arena())
    return call.failed(cudaErrorMemoryAllocation,
                       text("%zu bytes are more than the device has left, %zu of %zu: out of memory", bytes,
                            DEVICE_BYTES - used, DEVICE_BYTES));
  const uintptr_t at = room_for(pages);
  if (!at || mprotect(reinterpret_cast<void*>(at), pages, PROT_READ | PROT_WRITE))
    return call.failed(cudaErrorMemoryAllocation, text("there is no memory for %zu bytes", bytes));
  arena_next = std::max(arena_next, at + pages + PAGE);
  const uintptr_t base = at + pages - room;
  if (kind == OF_DEVICE && bytes <= FILLED) std::memset(reinterpret_cast<void*>(base), 0xFF, bytes);
  live[base] = {base, bytes, kind, call.name, call.at, {}, at, at + pages};
  if (kind == OF_DEVICE && bytes <= FILLED) begin_unwritten(live[base]);
  if (kind != PINNED) used += bytes;
  if (kind == OF_DEVICE) protect(at, at + pages, PROT_NONE);
  *pointer = reinterpret_cast<void*>(base);
  return cudaSuccess;
}

inline void release_allocation(Allocation& a, At at) {
  if (a.kind != REGISTERED) {
    madvise(reinterpret_cast<void*>(a.pages), a.pages_end - a.pages, MADV_DONTNEED);
    protect(a.pages, a.pages_end, PROT_NONE);
    a.freed_at = at;
    a.unwritten.reset(), a.trail.reset();
    freed[a.base] = a;
  }
  if (a.kind == OF_DEVICE || a.kind == MANAGED) used -= a.bytes;
  recent = nullptr;
  live.erase(a.base);
}

inline cudaError_t free_in(const Entered& call, const void* pointer, bool pinned) {
  if (!pointer) return cudaSuccess;
  const uintptr_t at = reinterpret_cast<uintptr_t>(pointer);
  Allocation* const a = allocation_of(at);
  if (!a) {
    if (const Allocation* before = allocation_of(at, freed))
      return call.wrong(cudaErrorInvalidValue, text("%s were freed before, at %s", of_allocation(*before).c_str(),
                                                    place_of(before->freed_at).c_str()));
    if (!in_arena(pointer)) {
      const char* const own = pinned ? "cudaMallocHost or cudaHostAlloc gave" : "cudaMalloc gave";
      return call.wrong(cudaErrorInvalidValue, text("it frees what %s; this is other memory of the host", own));
    }
    return call.wrong(cudaErrorInvalidValue, "nothing is allocated there");
  }
  if (a->base != at) return call.wrong(cudaErrorInvalidValue, "the pointer is not the beginning of " + of_allocation(*a));
  if ((a->kind == PINNED) != pinned || a->kind == REGISTERED)
    return call.wrong(cudaErrorInvalidValue, of_allocation(*a) + (a->kind == PINNED ? " are freed by cudaFreeHost" : a->kind == REGISTERED ? " are the host's own" : " are freed by cudaFree"));
  if (pinned) {
    const std::string words = still_pending(a->base, a->bytes, true);
    if (!words.empty()) call.wrong(cudaSuccess, "it is freed " + words);
  }
  release_allocation(*a, call.at);
  return cudaSuccess;
}

}  // namespace emulator

// Called at every access of a kernel where accesses are checked.
bool is_of_device(uintptr_t at, uint64_t size) {
  using namespace emulator;
  if (!recent || at < recent->base || at + size > recent->base + recent->bytes) {
    if (is_usable_variable(at) || at - running_with < running_with_size) return true;
    Allocation* const a = allocation_of(at);
    if (!a || at + size > a->base + a->bytes) return false;
    recent = a;
  }
  return true;
}

#ifdef CHECKED
// Called after that, for the device's memory.
void device_access(uintptr_t at, uint64_t size, int how, const void* where) {
  using namespace emulator;
  if (!recent || at - recent->base >= recent->bytes) return;  // it is a variable
  Allocation& a = *recent;
  const uint64_t offset = at - a.base;
  a.touched_by = work_now;
  if (a.unwritten) {
    const uint64_t from = whole_size ? whole_at - a.base : offset, all = whole_size ? whole_size : size;
    if (how & READS && count_unwritten(a, offset, size) == size && count_unwritten(a, from, all) == all)
      fail(UNWRITTEN, *current, where);
    if (how & WRITES) wrote(a, offset, size);
  }
  if (several)
    leave_trail(a, offset, size, how & WRITES, how & ELEMENTARY, [where] { return line_at(where) + ": "; });
}

void host_access(const void* address, uint64_t size, bool is_write, const void* where) {
  using namespace emulator;
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  if (at < way_end && at + size > way_begin && sticky == cudaSuccess) {
    const std::lock_guard<std::recursive_mutex> guard(device_lock);
    const std::string words = still_pending(at, size, is_write);
    if (!words.empty()) complain_once(line_at(where) + text(": the host %s this memory ", is_write ? "writes" : "reads") + words);
  }
  if (untouchable_managed && sticky == cudaSuccess && at >= arena && at < arena_end) {
    const std::lock_guard<std::recursive_mutex> guard(device_lock);
    Allocation* const a = allocation_of(at);
    if (!a || a->kind != MANAGED || !a->touched_by || host_has_waited_for(a->touched_by)) return;
    a->touched_by = 0;
    complain(text("%s: the host %s managed memory, of %s, before it has waited for the kernel that uses it: "
                  "cudaDeviceSynchronize() is to come first",
                  line_at(where).c_str(), is_write ? "writes" : "reads", of_allocation(*a).c_str()));
  } else if (is_variable(at)) {
    static const void* said;
    if (said == where) return;
    said = where;
    complain(text("%s: the host %s a variable of the device, where it has another of its own: cudaMemcpy%sSymbol copies",
                  line_at(where).c_str(), is_write ? "writes" : "reads", is_write ? "To" : "From"));
  }
}
#endif

void host_beyond_array(const void* where) {
  emulator::complain(emulator::line_at(where) + ": the index is outside of an array, in the host's code");
  _exit(1);
}
