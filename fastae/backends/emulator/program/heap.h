// The heap of malloc and new in kernels.
#pragma once

namespace emulator {

static size_t heap_limit = 8 << 20;  // bytes, which cudaDeviceSetLimit may change before the heap is used
static char *heap_next, *heap_end;
static std::map<size_t, std::vector<char*>> heap_free;  // by size
static std::vector<char*> heap_freed;  // by the launch that runs, in which another thread's piece would be a race
constexpr size_t HEAD = 16;                             // before each piece, which holds its size

void* device_malloc(size_t bytes) {
  const size_t size = (std::max<size_t>(bytes, 1) + HEAD - 1) / HEAD * HEAD;
  if (!heap_next) {
    void* memory = nullptr;
    const Entered call("malloc in a kernel");
    if (allocate_in(call, &memory, heap_limit, HEAP) != cudaSuccess) return nullptr;
    heap_next = static_cast<char*>(memory), heap_end = heap_next + heap_limit;
  }
  std::vector<char*>& pieces = heap_free[size];
  char* piece;
  if (!pieces.empty()) {
    piece = pieces.back(), pieces.pop_back();
  } else if (size + HEAD <= size_t(heap_end - heap_next)) {
    piece = heap_next + HEAD, heap_next += size + HEAD;
    std::memcpy(piece - HEAD, &size, sizeof size);
  } else {
    return nullptr;
  }
  std::memset(piece, 0xFF, size);
  return piece;
}

void* malloc_here(size_t bytes) { return on_device() ? device_malloc(bytes) : malloc(bytes); }

void device_free(void* pointer) {
  if (!pointer) return;
  if (!on_device() || pointer < heap_end - heap_limit || pointer >= heap_next) return free(pointer);
  heap_freed.push_back(static_cast<char*>(pointer));
}

inline void settle_heap() {
  for (char* piece : heap_freed) {
    size_t size;
    std::memcpy(&size, piece - HEAD, sizeof size);
    heap_free[size].push_back(piece);
  }
  heap_freed.clear();
}

}  // namespace emulator

void operator delete(void* p) noexcept { emulator::device_free(p); }
void operator delete[](void* p) noexcept { emulator::device_free(p); }
void operator delete(void* p, size_t) noexcept { emulator::device_free(p); }
void operator delete[](void* p, size_t) noexcept { emulator::device_free(p); }
