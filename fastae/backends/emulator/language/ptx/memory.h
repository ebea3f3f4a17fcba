// Instructions of PTX for memory: loads, stores, atomic operations, copies, barriers in memory.
#pragma once

#include "operands.h"

namespace emulated_ptx {

// Addresses. Those of shared memory count from the beginning of this library, so that they have 32 bits.
template <Space S>
struct Place {
  static constexpr int space = S;
  uintptr_t address;
  PTX const void* at() const { return reinterpret_cast<const void*>(address); }
};
template <Space S, class R>
PTX Place<S> at(R address, long long by) {
  if constexpr (S == SHARED) {
    return {emulator::window() + static_cast<uintptr_t>(address) + static_cast<uintptr_t>(by)};
  } else {
    static_assert(sizeof(R) == 8, "an address of global memory has 64 bits: the constraint l");
    return {static_cast<uintptr_t>(address) + static_cast<uintptr_t>(by)};
  }
}
PTX unsigned long long cvta_to_shared(unsigned long long at) { return at - emulator::window(); }
PTX unsigned long long cvta_from_shared(unsigned long long at) { return at + emulator::window(); }
PTX unsigned long long cvta_to_global(unsigned long long at) { return at; }
PTX unsigned long long cvta_from_global(unsigned long long at) { return at; }
inline bool is_shared(unsigned long long at) { return __isShared(reinterpret_cast<const void*>(at)); }
inline bool is_global(unsigned long long at) { return __isGlobal(reinterpret_cast<const void*>(at)); }
inline bool is_local(unsigned long long at) { return __isLocal(reinterpret_cast<const void*>(at)); }

// Loads and stores, of several values at once too.
template <class T, int n>
struct Values {
  T x[n];
};
template <class T, int n, Space S>
PTX_ACCESS Values<T, n> ld(Place<S> place) {
  PTX_SEE(place, n * sizeof(T), false);
  Values<T, n> values;
  __builtin_memcpy(&values, place.at(), sizeof values);
  return values;
}
template <class T, int n, Space S>
PTX_ACCESS void st(Place<S> place, Values<T, n> values) {
  PTX_SEE(place, n * sizeof(T), true);
  __builtin_memcpy(const_cast<void*>(place.at()), &values, sizeof values);
}
#define PTX_CHECK(place, is_write) \
  if (sizeof(T) && decltype(place)::space == SHARED) emulator::access_in(-1, place.at(), sizeof(T), sizeof(T), is_write, CALLER)
template <class T, Space S>
NOT_INLINED T ld_strong(Place<S> place, Order order, bool of_block) {
  PTX_CHECK(place, false);
  if (order == VOLATILE) {
    emulator::touch_volatile(place.at(), sizeof(T), false, CALLER);
  } else {
    emulator::touch_to_read(place.at(), sizeof(T), of_block ? emulator::BLOCK : emulator::DEVICE, CALLER);
  }
  if (order == ACQUIRE) emulator::acquire_at(place.at());
  const T value = *static_cast<const volatile T*>(place.at());
  emulator::nap_if_seen(place.at(), bits_of(value), CALLER);  // a thread that waits lets the others go on
  return value;
}
template <class T, Space S>
NOT_INLINED void st_strong(Place<S> place, T value, Order order, bool of_block) {
  PTX_CHECK(place, true);
  const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;
  if (order == VOLATILE) {
    emulator::touch_volatile(place.at(), sizeof(T), true, CALLER);
  } else {
    emulator::touch(place.at(), sizeof(T), false, scope, CALLER);
  }
  if (order == RELEASE) emulator::release_at(place.at(), scope);
  *static_cast<volatile T*>(const_cast<void*>(place.at())) = value;
}

#define PTX_ATOM(name, reads, result)                                                                     \
  template <class T, Space S>                                                                             \
  NOT_INLINED T atom_##name(Place<S> place, T value, Order order, bool of_block) {                        \
    PTX_CHECK(place, true);                                                                               \
    const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;                                      \
    emulator::touch(place.at(), sizeof(T), reads, scope, CALLER);                                         \
    if (order == RELEASE || order == ACQ_REL) emulator::release_at(place.at(), scope);                      \
    if (order == ACQUIRE || order == ACQ_REL) emulator::acquire_at(place.at());                             \
    T* const at = static_cast<T*>(const_cast<void*>(place.at()));                                         \
    const T old = *at;                                                                                    \
    *at = static_cast<T>(result);                                                                         \
    return old;                                                                                           \
  }
PTX_ATOM(add, true, old + value)
PTX_ATOM(min, true, value < old ? value : old)
PTX_ATOM(max, true, value > old ? value : old)
PTX_ATOM(exch, false, value)
PTX_ATOM(inc, true, old >= value ? 0 : old + 1)
PTX_ATOM(dec, true, old == 0 || old > value ? value : old - 1)
PTX_ATOM(and, true, emulator::bits_as<T>(bits_of(old) & bits_of(value)))
PTX_ATOM(or, true, emulator::bits_as<T>(bits_of(old) | bits_of(value)))
PTX_ATOM(xor, true, emulator::bits_as<T>(bits_of(old) ^ bits_of(value)))
#undef PTX_ATOM
template <class T, Space S>
NOT_INLINED T atom_cas(Place<S> place, T expected, T value, Order order, bool of_block) {
  PTX_CHECK(place, true);
  const int scope = of_block ? emulator::BLOCK : emulator::DEVICE;
  emulator::touch(place.at(), sizeof(T), true, scope | emulator::GUESSED, CALLER);
  if (order == RELEASE || order == ACQ_REL) emulator::release_at(place.at(), scope);
  if (order == ACQUIRE || order == ACQ_REL) emulator::acquire_at(place.at());
  T* const at = static_cast<T*>(const_cast<void*>(place.at()));
  const T old = *at;
  if (bits_of(old) == bits_of(expected)) *at = value;
  return old;
}
#undef PTX_CHECK

// Asynchronous copies.
NOT_INLINED inline void cp_async(Place<SHARED> to, Place<GLOBAL> from, unsigned size, unsigned read, bool whole_line) {
  const bool allowed = whole_line ? size == 16 : size == 4 || size == 8 || size == 16;
  if (!allowed || read > size) {
    emulator::fail_assertion("cp.async.ca copies 4, 8 or 16 bytes at once, cp.async.cg 16", CALLER);
  }
  emulator::access_in(-1, to.at(), size, size, true, CALLER);
  emulator::copy_in_group(const_cast<void*>(to.at()), from.at(), size, size - read, size, CALLER);
  emulator::move_bytes(const_cast<void*>(to.at()), from.at(), size, size - read);
}
NOT_INLINED inline void commit_group() { emulator::commit_group(); }
NOT_INLINED inline void wait_group(unsigned but) { emulator::wait_for_groups(but); }

// Barriers in memory.
NOT_INLINED inline void mbarrier_init(Place<SHARED> place, unsigned count) {
  emulator::begin_phases(const_cast<void*>(place.at()), count, CALLER);
}
NOT_INLINED inline unsigned long long mbarrier_arrive(Place<SHARED> place, unsigned count, bool drops) {
  return emulator::arrive(const_cast<void*>(place.at()), count, drops, CALLER);
}
UNSEEN inline bool try_phase(void* at, uint64_t phase, const void* where) {
  if (emulator::passed(at, phase, where)) return true;
  emulator::nap(where);
  return emulator::passed(at, phase, where);
}
NOT_INLINED inline bool mbarrier_test(Place<SHARED> place, unsigned long long state) {
  return try_phase(const_cast<void*>(place.at()), state, CALLER);
}
NOT_INLINED inline bool mbarrier_parity(Place<SHARED> place, unsigned parity) {
  void* const at = const_cast<void*>(place.at());
  const uint64_t phase = emulator::phase_of(at, CALLER);
  return try_phase(at, (phase & 1) == parity ? phase : phase - 1, CALLER);
}

}  // namespace emulated_ptx
