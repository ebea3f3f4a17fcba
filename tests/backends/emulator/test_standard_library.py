"""`cuda::std` on the emulator, and what came with newer standards of C++."""

import numpy as np
import pytest
from cuda_kernels import in_every_order


@pytest.mark.feature("language", "`cuda::std`: the standard library's headers by their names in CUDA's")
def test_the_standard_library_by_cudas_name() -> None:
    code = """#include <cuda/std/array>
#include <cuda/std/cmath>
#include <cuda/std/complex>
#include <cuda/std/cstdint>
#include <cuda/std/limits>
#include <cuda/std/tuple>
#include <cuda/std/type_traits>
#include <cuda/std/utility>
template <class T>
__device__ cuda::std::enable_if_t<cuda::std::is_integral_v<T>, T> twice(T x) { return 2 * x; }
__global__ void f(float x, double* out) {
  cuda::std::array<int, 3> a{1, 2, 3};
  cuda::std::complex<float> z(x, x);
  z *= z;
  auto [first, second] = cuda::std::make_tuple(a[2], cuda::std::numeric_limits<cuda::std::uint8_t>::max());
  cuda::std::swap(a[0], a[1]);
  out[0] = z.imag(), out[1] = first, out[2] = second, out[3] = a[0], out[4] = twice(3), out[5] = cuda::std::sqrt(x);
}"""
    for (out,) in in_every_order(code, 1, 1, np.float32(2), np.zeros(6)):
        np.testing.assert_allclose(out, [8, 3, 255, 2, 6, 2**0.5], rtol=1e-6)


@pytest.mark.feature("language", "`cuda::std`: spans, bits and numbers of C++20; `cuda::ceil_div` and its like")
def test_what_came_with_newer_standards() -> None:
    code = """#include <cuda/cmath>
#include <cuda/std/array>
#include <cuda/std/bit>
#include <cuda/std/numbers>
#include <cuda/std/span>
__device__ float total(cuda::std::span<const float> all) {
  float sum = 0;
  for (float x : all) sum += x;
  return sum;
}
__global__ void f(const float* x, int n, double* out) {
  cuda::std::span<const float> all{x, (size_t)n};
  cuda::std::array<float, 2> two{1, 2};
  float three[3] = {1, 2, 3};
  out[0] = total(all), out[1] = total(all.subspan(1, 2)), out[2] = total(two) + total(three);
  out[3] = all.back() + all.first(2).size() + cuda::std::span(three).size();
  out[4] = cuda::ceil_div(n, 3) + 10 * cuda::round_up(n, 4) + 1000 * cuda::round_down(n, 4);
  out[5] = cuda::std::popcount(0xf0u) + 10 * cuda::std::countl_zero(1u) + 1000 * cuda::std::bit_ceil(5u);
  out[6] = cuda::std::bit_cast<int>(1.0f), out[7] = cuda::std::rotl((unsigned char)0x81, 1);
  out[8] = cuda::std::numbers::pi_v<float>, out[9] = cuda::std::countr_zero((unsigned short)0);
}"""
    x = np.arange(1, 6, dtype=np.float32)
    for x_after, out in in_every_order(code, 1, 1, x, np.int32(5), np.zeros(10)):
        assert x_after.tolist() == x.tolist()
        expected = [15, 5, 9, 10, 2 + 10 * 8 + 1000 * 4, 4 + 310 + 8000, 0x3F800000, 3, np.float32(np.pi), 16]
        assert out.tolist() == expected
