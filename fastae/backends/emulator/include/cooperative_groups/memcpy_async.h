// Asynchronous copies by a group, whose threads share them: a part of CUDA's cooperative_groups/memcpy_async.h.
#pragma once

#include "language/asynchronous.h"
#include "../cooperative_groups.h"

namespace cooperative_groups {

// Each call is a group of copies by itself.
template <class Group, class T, class Size>
NOT_INLINED void memcpy_async(const Group& group, T* to, const T* from, Size size) {
  emulator::copy_shares(group, nullptr, to, from, size, emulator::alignment_of<Size>(alignof(T)), CALLER);
  emulator::commit_group();
}
template <class Group, class Size>
NOT_INLINED void memcpy_async(const Group& group, void* to, const void* from, Size size) {
  emulator::copy_shares(group, nullptr, to, from, size, emulator::alignment_of<Size>(1), CALLER);
  emulator::commit_group();
}
// Of two arrays with so many elements, as many as both have.
template <class Group, class T, class To, class From>
NOT_INLINED void memcpy_async(const Group& group, T* to, const To& places, const T* from, const From& elements) {
  const size_t count = size_t(places) < size_t(elements) ? size_t(places) : size_t(elements);
  emulator::copy_shares(group, nullptr, to, from, count * sizeof(T), alignof(T), CALLER);
  emulator::commit_group();
}

template <unsigned But, class Group>
NOT_INLINED void wait_prior(const Group& group, int line = __builtin_LINE()) {
  emulator::wait_for_groups(But);
  details::meet_all(group, CALLER, line);
}
template <class Group>
NOT_INLINED void wait(const Group& group, int line = __builtin_LINE()) {
  emulator::wait_for_groups(0);
  details::meet_all(group, CALLER, line);
}

}  // namespace cooperative_groups
