// Whether a thread of a whole program runs the host's code or a kernel.
#pragma once

static thread_local bool device_side;
inline bool on_device() { return device_side; }

// Whether a kernel may touch this. These are called at every access where accesses are checked.
bool is_of_device(uintptr_t at, uint64_t size);
void device_access(uintptr_t at, uint64_t size, int how, const void* where);
void host_access(const void* address, uint64_t size, bool is_write, const void* where);
[[noreturn]] void host_beyond_array(const void* where);
