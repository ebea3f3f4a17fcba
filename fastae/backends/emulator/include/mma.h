// CUDA's fragments of matrices, which a warp multiplies together. (CUDA C++ programming guide, on warp matrix functions.)
//
// Which lane has which elements is the emulator's own choice, as it is each GPU's: rows of a, columns of b and rows of
// the sums are dealt out to the lanes in pieces, of 16 bytes or, of sums of any type, of 4. Products are exact but for double's, and are added up in the type of
// the sums, those of half in float and then rounded once.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda {
namespace wmma {

struct row_major;
struct col_major;
struct matrix_a;
struct matrix_b;
struct accumulator;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };

namespace details {

template <class T>
struct Element {
  using type = T;
};
template <>
struct Element<precision::tf32> {
  using type = float;
};

template <class T>
constexpr bool is_half = std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>;
template <class T>
constexpr bool is_byte = std::is_same_v<T, signed char> || std::is_same_v<T, char> || std::is_same_v<T, unsigned char>;
template <int m, int n, int k>
constexpr bool is_cut_by_16 = k == 16 && ((m == 16 && n == 16) || (m == 32 && n == 8) || (m == 8 && n == 32));

template <class Use, int m, int n, int k, class T>
constexpr bool exists() {
  constexpr bool sums = std::is_same_v<Use, accumulator>;
  if (std::is_same_v<T, precision::tf32>) return !sums && m == 16 && n == 16 && k == 8;
  if (std::is_same_v<T, double>) return m == 8 && n == 8 && k == 4;
  if (std::is_same_v<T, float>) return sums && (is_cut_by_16<m, n, k> || (m == 16 && n == 16 && k == 8));
  if (std::is_same_v<T, int>) return sums && is_cut_by_16<m, n, k>;
  if (std::is_same_v<T, __half>) return is_cut_by_16<m, n, k>;
  return !sums && (is_half<T> || is_byte<T>) && is_cut_by_16<m, n, k>;
}

// An element as it is multiplied. What of a float is no part of TF32 the tensor cores do not see.
template <class T, class S>
UNSEEN auto factor(S x) {
  if constexpr (std::is_same_v<T, precision::tf32>) {
    return emulator::bits_as<float>(emulator::bits_as<unsigned>(x) & 0xffffe000u);
  } else if constexpr (is_half<T>) {
    return static_cast<float>(x);
  } else if constexpr (is_byte<T>) {
    return static_cast<int>(x);
  } else {
    return x;
  }
}

// A sum with `satf`: NaN becomes 0, and infinity the largest number.
template <class T, class S>
UNSEEN T saturated(S sum) {
  const S most = std::is_same_v<T, int> ? S(INT_MAX) : std::is_same_v<T, __half> ? S(65504) : std::numeric_limits<S>::max();
  const S least = std::is_same_v<T, int> ? S(INT_MIN) : -most;
  return static_cast<T>(sum != sum ? S(0) : sum > most ? most : sum < least ? least : sum);
}

}  // namespace details

UNSEEN inline float __float_to_tf32(float x) { return emulator::to_tf32(x); }

template <class Use, int m, int n, int k, class T, class Layout = void>
class fragment {
  static_assert(details::exists<Use, m, n, k, T>(), "there are no fragments of this shape and type");
  static_assert(std::is_void_v<Layout> == std::is_same_v<Use, accumulator>,
                "a fragment of a or b is row_major or col_major, and an accumulator is neither");

 public:
  using element_type = typename details::Element<T>::type;
  using storage_element_type = element_type;
  // Rows of a and of the sums, columns of b; and the length of each.
  static constexpr int lines = std::is_same_v<Use, matrix_b> ? n : m, length = std::is_same_v<Use, accumulator> ? n : k;
  static constexpr int num_elements = lines * length / 32, num_storage_elements = num_elements;
  static constexpr int most = std::is_same_v<Use, accumulator> ? 4 : 16 / sizeof(element_type);
  static constexpr int piece = num_elements < most ? num_elements : most;
  element_type x[num_elements];

  // Of an element counted along the lines, its lane and its number there; and the other way round.
  static constexpr int lane_of(int element) { return element / piece % 32; }
  static constexpr int number_of(int element) { return element / (32 * piece) * piece + element % piece; }
  static constexpr int element_of(int lane, int number) { return (number / piece * 32 + lane) * piece + number % piece; }
};

template <class Use, int m, int n, int k, class T, class Layout>
UNSEEN void fill_fragment(fragment<Use, m, n, k, T, Layout>& f, typename details::Element<T>::type value) {
  for (auto& x : f.x) x = value;
}

namespace details {

UNSEEN inline void see(const void* at, size_t bytes, bool is_write, const void* where) {
#ifdef SEEING
  emulator::access_whole(at, bytes, bytes, is_write, where);
#endif
}

// Visit a lane's elements and their places, in pieces that lie side by side; of one number each if they do not.
template <class Fragment, class F>
UNSEEN void each_piece(bool along_lines, unsigned ldm, F visit) {
  const int step = along_lines ? Fragment::piece : 1;
  for (int i = 0; i < Fragment::num_elements; i += step) {
    const int element = Fragment::element_of(emulator::lane(), i);
    const size_t line = element / Fragment::length, along = element % Fragment::length;
    visit(i, along_lines ? line * ldm + along : along * ldm + line, step);
  }
}

// All lanes come, with an address and a leading dimension that a GPU can load from.
template <class Fragment>
UNSEEN void begin(emulator::Operation operation, const void* at, bool along_lines, unsigned ldm, const void* where,
                  int line) {
  constexpr unsigned SIZE = sizeof(typename Fragment::element_type);
  emulator::begin_fragment(operation, at, SIZE, along_lines ? Fragment::length : Fragment::lines, ldm, where, line);
}

template <class Fragment>
UNSEEN void load(Fragment& f, const typename Fragment::element_type* at, bool along_lines, unsigned ldm, const void* where,
                 int line) {
  begin<Fragment>(emulator::LOAD_FRAGMENT, at, along_lines, ldm, where, line);
  each_piece<Fragment>(along_lines, ldm, [&](int i, size_t place, int count) UNSEEN {
    see(at + place, count * sizeof *at, false, where);
    __builtin_memcpy(static_cast<void*>(f.x + i), at + place, count * sizeof *at);
  });
}

}  // namespace details

template <class Use, int m, int n, int k, class T, class Layout>
NOT_INLINED void load_matrix_sync(fragment<Use, m, n, k, T, Layout>& f, const typename details::Element<T>::type* at,
                                  unsigned ldm, int line = __builtin_LINE()) {
  static_assert(!std::is_void_v<Layout>, "an accumulator is loaded with mem_row_major or mem_col_major");
  constexpr bool rows = std::is_same_v<Layout, row_major>, along_lines = rows == std::is_same_v<Use, matrix_a>;
  details::load(f, at, along_lines, ldm, CALLER, line);
}
template <int m, int n, int k, class T>
NOT_INLINED void load_matrix_sync(fragment<accumulator, m, n, k, T>& f, const T* at, unsigned ldm, layout_t layout,
                                  int line = __builtin_LINE()) {
  details::load(f, at, layout == mem_row_major, ldm, CALLER, line);
}
template <int m, int n, int k, class T>
NOT_INLINED void store_matrix_sync(T* at, const fragment<accumulator, m, n, k, T>& f, unsigned ldm, layout_t layout,
                                   int line = __builtin_LINE()) {
  using Fragment = fragment<accumulator, m, n, k, T>;
  const void* const where = CALLER;
  details::begin<Fragment>(emulator::STORE_FRAGMENT, at, layout == mem_row_major, ldm, where, line);
  details::each_piece<Fragment>(layout == mem_row_major, ldm, [&](int i, size_t place, int count) UNSEEN {
    details::see(at + place, count * sizeof *at, true, where);
    __builtin_memcpy(static_cast<void*>(at + place), f.x + i, count * sizeof *at);
  });
}

// d = a b + c. Each lane shows the others its elements of a and b, until all have read what they need.
template <int m, int n, int k, class D, class A, class B, class C, class LayoutA, class LayoutB>
NOT_INLINED void mma_sync(fragment<accumulator, m, n, k, D>& d, const fragment<matrix_a, m, n, k, A, LayoutA>& a,
                          const fragment<matrix_b, m, n, k, B, LayoutB>& b, const fragment<accumulator, m, n, k, C>& c,
                          bool satf = false, int line = __builtin_LINE()) {
  using Factor = decltype(details::factor<A>(a.x[0]));
  using Sum = std::conditional_t<std::is_same_v<D, __half>, float, std::conditional_t<std::is_same_v<D, int>, long long, D>>;
  static_assert(std::is_same_v<A, B>, "a and b are of one type");
  static_assert(details::is_byte<A> ? std::is_same_v<C, int> && std::is_same_v<D, int>
                : std::is_same_v<A, double> ? std::is_same_v<C, double> && std::is_same_v<D, double>
                : std::is_same_v<A, __half> ? true : std::is_same_v<C, float> && std::is_same_v<D, float>,
                "the sums are int for products of bytes, double for double, float or half for half, float for others");
  using OfA = fragment<matrix_a, m, n, k, A, LayoutA>;
  using OfB = fragment<matrix_b, m, n, k, B, LayoutB>;
  constexpr int A_COUNT = OfA::num_elements, B_COUNT = OfB::num_elements;
  constexpr int SHORTER = OfA::piece < OfB::piece ? OfA::piece : OfB::piece, PIECE = SHORTER < k ? SHORTER : k;
  struct Shown {
    Factor a[A_COUNT], b[B_COUNT];
  } mine;
  for (int i = 0; i < A_COUNT; ++i) mine.a[i] = details::factor<A>(a.x[i]);
  for (int i = 0; i < B_COUNT; ++i) mine.b[i] = details::factor<B>(b.x[i]);
  emulator::require_warp(CALLER);
  emulator::meet(emulator::MMA, ~0u, reinterpret_cast<uintptr_t>(&mine), CALLER, line);
  const Shown* lanes[32];
  for (unsigned l = 0; l < 32; ++l) lanes[l] = reinterpret_cast<const Shown*>(emulator::seen(l));
  for (int i = 0; i < d.num_elements; ++i) {
    const int element = d.element_of(emulator::lane(), i), row = element / n, col = element % n;
    Sum sum = static_cast<Sum>(c.x[i]);
    for (int begin = 0; begin < k; begin += PIECE) {
      const int of_a = row * k + begin, of_b = col * k + begin;
      const Factor* const x = lanes[OfA::lane_of(of_a)]->a + OfA::number_of(of_a);
      const Factor* const y = lanes[OfB::lane_of(of_b)]->b + OfB::number_of(of_b);
      for (int j = 0; j < PIECE; ++j) sum += x[j] * y[j];
    }
    d.x[i] = satf ? details::saturated<D>(sum) : static_cast<D>(sum);
  }
  emulator::meet(emulator::MMA, ~0u, 0, CALLER, line);
}

}  // namespace wmma
}  // namespace nvcuda
