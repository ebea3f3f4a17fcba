"""Every kernel by NVIDIA's own compiler, for every architecture, without a GPU."""

import nvrtc
import pytest

from fastae.backends.emulator.compiler import kernels_of
from fastae.cuda import source

BETWEEN = ("sm_80", "sm_100")  # the oldest and the newest, and what is between them


@pytest.mark.parametrize(
    "architecture", [pytest.param(a, marks=[pytest.mark.thorough] * (a in BETWEEN)) for a in nvrtc.ARCHITECTURES]
)
@pytest.mark.parametrize("real", nvrtc.REALS)
@pytest.mark.parametrize("file", nvrtc.FILES)
def test_it_compiles_without_spills(file: str, real: str, architecture: str) -> None:
    if not nvrtc.makes_sense(file, real, architecture):
        return
    ok, log = nvrtc.compile_for(source(file), architecture, real)
    assert ok, log
    found = nvrtc.uses(log)
    assert {use.kernel for use in found} == set(kernels_of(source(file)))
    assert [use for use in found if use.spilled] == []
    assert all(0 < use.registers <= 255 for use in found)


def test_a_spill_and_an_error_would_be_seen() -> None:
    greedy = """extern "C" __global__ void __launch_bounds__(1024) greedy(real* x) {
      real v[200];
      #pragma unroll
      for (int i = 0; i < 200; ++i) v[i] = x[i * 7 + threadIdx.x];
      #pragma unroll
      for (int i = 0; i < 200; ++i) x[i * 5 + threadIdx.x] = v[i] * v[199 - i];
    }"""
    ok, log = nvrtc.compile_for(greedy, "sm_90", "double")
    assert ok
    assert nvrtc.uses(log)[0].spilled > 0
    ok, log = nvrtc.compile_for("__global__ void f() { oops(); }", "sm_90", "float")
    assert not ok
    assert "oops" in log
