// The functions that compiled code calls where accesses are checked: the compiler's hooks, and copies of memory.
#pragma once

extern "C" {
void emulator_forget() {
  emulator::allowed.clear(), emulator::shadow = {}, emulator::atomics.clear();
  emulator::forget_counts();
}
void emulator_allow(uint64_t base, uint64_t rows, uint64_t width, uint64_t stride) {
  emulator::allowed.push_back({static_cast<uintptr_t>(base), rows, width, stride});
}

// The hook of -fsanitize=bounds: an index is not below the length of its array.
void __ubsan_handle_out_of_bounds_abort(void*, void*) {
  if (!on_device()) host_beyond_array(CALLER);
  emulator::fail(emulator::BEYOND_ARRAY, *emulator::current, CALLER);
}

// Called in place of memcpy, memmove and memset.
static void access_all(const void* address, uint64_t size, bool is_write, const void* where) {
  if (!on_device()) return host_access(address, size, is_write, where);
  const char* const bytes = static_cast<const char*>(address);
  emulator::whole_at = reinterpret_cast<uintptr_t>(address), emulator::whole_size = size;
  const uint64_t step = (reinterpret_cast<uintptr_t>(address) | size) % 4 ? 1 : 4;
  if (const uintptr_t at = reinterpret_cast<uintptr_t>(address); !is_write && emulator::shares_structs && emulator::is_shared(at))
    emulator::each_place(emulator::shared_shadow[emulator::block_slot()], at, size, [](const emulator::Shadow& place) {
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

// The hooks of -fsanitize=thread.
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
#ifndef PROGRAM  // where program/hooks.h has all atomic hooks
// g++ reads the guard of an array in shared memory whose class has constructors, though it calls none of them.
char __tsan_atomic8_load(const volatile char* p, int) { return *p; }
#endif
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
