// Reductions over cooperative groups: a part of CUDA's cooperative_groups/reduce.h.
#pragma once

#include "../cooperative_groups.h"

namespace cooperative_groups {

#define OPERATION(name, result)                                         \
  template <class T>                                                    \
  struct name {                                                         \
    UNSEEN T operator()(const T& x, const T& y) const { return result; } \
  };
OPERATION(plus, T(x + y))
OPERATION(less, y < x ? y : x)
OPERATION(greater, x < y ? y : x)
OPERATION(bit_and, T(x & y))
OPERATION(bit_or, T(x | y))
OPERATION(bit_xor, T(x ^ y))
#undef OPERATION

template <class Group, class T, class F>
NOT_INLINED T reduce(const Group& group, T value, F&& combine) {
  return emulator::reduce(group.mask(), value, combine, CALLER);
}

}  // namespace cooperative_groups
