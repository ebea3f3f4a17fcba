// Matrix instructions of PTX: mma.sync, ldmatrix, stmatrix, movmatrix. The PTX ISA says for each shape which lane has which
// elements; all shapes follow one pattern, by the bits of an element.
#pragma once

#include "language/halves.h"
#include "ptx.h"

namespace emulated_ptx {

enum Element { F16, BF16, TF, S8, U8, F64, F32, S32 };
constexpr int bits_of_element(Element e) {
  return e == F64 ? 64 : e == S8 || e == U8 ? 8 : e == F16 || e == BF16 ? 16 : 32;
}
template <Element e>
using Register = std::conditional_t<e == F64, unsigned long long, unsigned>;

// An element as it is multiplied, or as it is added to; and a sum as it is kept.
template <Element e>
UNSEEN inline auto element_of(Register<e> bits, int number) {
  if constexpr (e == F16) return emulator::Binary16::to_float(static_cast<unsigned short>(bits >> 16 * number));
  else if constexpr (e == BF16) return emulator::Bfloat16::to_float(static_cast<unsigned short>(bits >> 16 * number));
  else if constexpr (e == TF) return emulator::bits_as<float>(bits & 0xffffe000u);
  else if constexpr (e == S8) return static_cast<int>(static_cast<int8_t>(bits >> 8 * number));
  else if constexpr (e == U8) return static_cast<int>(static_cast<uint8_t>(bits >> 8 * number));
  else if constexpr (e == F64) return emulator::bits_as<double>(bits);
  else if constexpr (e == F32) return emulator::bits_as<float>(bits);
  else return static_cast<long long>(static_cast<int>(bits));
}
template <Element e, bool saturates, class S>
UNSEEN inline Register<e> bits_of_sum(S sum) {
  if constexpr (e == F16) return emulator::narrow<emulator::Binary16>(sum);
  else if constexpr (e == S32) return static_cast<unsigned>(saturates ? sum < INT_MIN ? INT_MIN : sum > INT_MAX ? INT_MAX : sum : sum);
  else return emulator::bits_as<Register<e>>(sum);
}

// d = a b + c of a whole warp. A register has E elements side by side; those of a and b go along k, of sums along a row.
// In groups of four, lanes have the rows of a and of the sums, and the columns of b.
template <int m, int n, int k, Element of_sum, Element of_a, Element of_b, bool saturates>
NOT_INLINED auto mma(Values<Register<of_a>, m * k * bits_of_element(of_a) / (8 * sizeof(Register<of_a>)) / 32> a,
                     Values<Register<of_b>, n * k * bits_of_element(of_b) / (8 * sizeof(Register<of_b>)) / 32> b,
                     Values<Register<of_sum>, m * n * bits_of_element(of_sum) / (8 * sizeof(Register<of_sum>)) / 32> c,
                     int line = __builtin_LINE()) {
  constexpr int E = 8 * sizeof(Register<of_a>) / bits_of_element(of_a);
  constexpr int SUMS = 8 * sizeof(Register<of_sum>) / bits_of_element(of_sum);
  struct Shown {
    decltype(a) x;
    decltype(b) y;
  } mine{a, b};
  emulator::require_warp(CALLER);
  emulator::meet(emulator::MMA, ~0u, reinterpret_cast<uintptr_t>(&mine), CALLER, line);
  const Shown* lanes[32];
  for (unsigned l = 0; l < 32; ++l) lanes[l] = reinterpret_cast<const Shown*>(emulator::seen(l));
  decltype(c) d{};
  constexpr int COUNT = sizeof c.x / sizeof c.x[0] * SUMS;
  for (int i = 0; i < COUNT; ++i) {
    const int row = emulator::lane() / 4 + 8 * (i / 2), col = emulator::lane() % 4 * 2 + i % 2;
    auto sum = element_of<of_sum>(c.x[i / SUMS], i % SUMS);
    for (int at = 0; at < k; ++at) {
      const int group = at / (4 * E), lane = at / E % 4;  // of registers, of four lanes
      const int of_row = m == 16 ? row / 8 + 2 * group : group;
      sum += element_of<of_a>(lanes[row % 8 * 4 + lane]->x.x[of_row], at % E) *
             element_of<of_b>(lanes[col * 4 + lane]->y.x[group], at % E);
    }
    d.x[i / SUMS] |= bits_of_sum<of_sum, saturates>(sum) << (SUMS > 1 ? bits_of_element(of_sum) * (i % SUMS) : 0);
  }
  emulator::meet(emulator::MMA, ~0u, 0, CALLER, line);
  return d;
}

struct Row {  // of a matrix of 8 x 8 elements of 16 bits
  unsigned short x[8];
};

// Lane 8 i + j has the address of row j of matrix i; each lane gets two elements that lie side by side, or one above the other.
template <int matrices, bool transposed>
NOT_INLINED Values<unsigned, matrices> ldmatrix(Place<SHARED> place, int line = __builtin_LINE()) {
  Row mine{};
  emulator::require_warp(CALLER);
  if (emulator::lane() < 8 * matrices) {
    emulator::access_in(SHARED, place.at(), sizeof mine, sizeof mine, false, CALLER);
    __builtin_memcpy(&mine, place.at(), sizeof mine);
  }
  emulator::meet(emulator::LOAD_FRAGMENT, ~0u, reinterpret_cast<uintptr_t>(&mine), CALLER, line);
  Values<unsigned, matrices> values{};
  const unsigned lane = emulator::lane();
  for (int i = 0; i < matrices; ++i)
    for (unsigned e = 0; e < 2; ++e) {
      const unsigned row = transposed ? lane % 4 * 2 + e : lane / 4, col = transposed ? lane / 4 : lane % 4 * 2 + e;
      values.x[i] |= static_cast<unsigned>(reinterpret_cast<const Row*>(emulator::seen(8 * i + row))->x[col]) << 16 * e;
    }
  emulator::meet(emulator::LOAD_FRAGMENT, ~0u, 0, CALLER, line);
  return values;
}
template <int matrices, bool transposed>
NOT_INLINED void stmatrix(Place<SHARED> place, Values<unsigned, matrices> values, int line = __builtin_LINE()) {
  emulator::require_warp(CALLER);
  emulator::meet(emulator::STORE_FRAGMENT, ~0u, reinterpret_cast<uintptr_t>(&values), CALLER, line);
  Row mine{};
  const unsigned lane = emulator::lane(), row = lane % 8;
  for (unsigned col = 0; lane < 8 * matrices && col < 8; ++col) {
    const unsigned from = transposed ? col * 4 + row / 2 : row * 4 + col / 2, e = transposed ? row % 2 : col % 2;
    mine.x[col] = reinterpret_cast<const Values<unsigned, matrices>*>(emulator::seen(from))->x[lane / 8] >> 16 * e;
  }
  emulator::meet(emulator::STORE_FRAGMENT, ~0u, 0, CALLER, line);
  if (lane >= 8 * matrices) return;
  emulator::access_in(SHARED, place.at(), sizeof mine, sizeof mine, true, CALLER);
  __builtin_memcpy(const_cast<void*>(place.at()), &mine, sizeof mine);
}
NOT_INLINED inline unsigned movmatrix(unsigned value, int line = __builtin_LINE()) {
  emulator::require_warp(CALLER);
  emulator::meet(emulator::MMA, ~0u, value, CALLER, line);
  const unsigned lane = emulator::lane(), row = lane / 4;
  unsigned result = 0;
  for (unsigned e = 0; e < 2; ++e) {
    const unsigned from = (lane % 4 * 2 + e) * 4 + row / 2;
    result |= (static_cast<unsigned>(emulator::seen(from)) >> 16 * (row % 2) & 0xffff) << 16 * e;
  }
  return result;
}

}  // namespace emulated_ptx
