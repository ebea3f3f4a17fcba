// Prefix sums over cooperative groups: a part of CUDA's cooperative_groups/scan.h.
#pragma once

#include "reduce.h"

namespace cooperative_groups {

namespace details {
// The values of the lanes of a group up to this one's, combined in their order; of the first without its own, T().
template <class T, class F>
UNSEEN T scan(unsigned mask, const T& value, F combine, bool with_own, const void* where) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "lanes scan values of at most 8 bytes");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  emulator::meet(emulator::REDUCE, mask, bits, where);
  T result{};
  bool first = true;
  for (unsigned l = 0, lanes = emulator::lanes_of(mask); l < emulator::lane() + with_own; ++l) {
    if (!(lanes >> l & 1)) continue;
    T other = value;
    bits = emulator::seen(l);
    __builtin_memcpy(&other, &bits, sizeof(T));
    result = first ? other : T(combine(result, other));
    first = false;
  }
  return result;
}
}  // namespace details

#define SCAN(name, with_own)                                                                  \
  template <class T, class F>                                                                 \
  NOT_INLINED T name(const lane_group& group, T value, F&& combine) {                         \
    return details::scan(group.mask(), value, combine, with_own, CALLER);                     \
  }                                                                                           \
  template <class T>                                                                          \
  NOT_INLINED T name(const lane_group& group, T value) {                                      \
    return details::scan(group.mask(), value, plus<T>(), with_own, CALLER);                   \
  }
SCAN(inclusive_scan, true)
SCAN(exclusive_scan, false)
#undef SCAN

}  // namespace cooperative_groups
