"""NVIDIA's compiler accepts every kernel for every architecture, without a GPU."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import nvrtc
import pytest

from fastae.backends.emulator.source import kernels_of
from fastae.cuda import source

# The one kernel that has products with pieces of both kinds is short of registers where the compiler uses them freely.
MAY_SPILL = {
    ("persistent.cu", real, architecture): 1036
    for real in ("float, both", "float, both, bce", "float, both, tanh")
    for architecture in ("sm_100", "sm_120")
}


def every_kernel() -> Iterator[Any]:
    """Each file as the launcher may have it compiled; in `make test` for one architecture, loss and activation.

    Where there is tanh, which takes the most registers, the others are compiled for one architecture alone.
    """
    for file, real, architecture in itertools.product(nvrtc.FILES, nvrtc.REALS, nvrtc.ARCHITECTURES):
        if nvrtc.makes_sense(file, real, architecture):
            most = f"{real}, tanh"
            if architecture != "sm_90" and most in nvrtc.REALS and nvrtc.makes_sense(file, most, architecture):
                continue
            quick = real == "double" and file != "persistent.cu"
            long = architecture != "sm_90" or not (quick or real == "float, both")
            yield pytest.param(file, real, architecture, marks=[pytest.mark.thorough] * long)


@pytest.mark.parametrize(("file", "real", "architecture"), list(every_kernel()))
def test_it_compiles_without_spills(file: str, real: str, architecture: str) -> None:
    ok, log = nvrtc.compile_for(source(file), architecture, real)
    assert ok, log
    found = nvrtc.uses(log)
    assert {use.kernel for use in found} == set(kernels_of(source(file)))
    assert [use for use in found if use.spilled > MAY_SPILL.get((file, real, architecture), 0)] == []
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


def test_the_barrier_across_blocks_is_a_release_and_an_acquire_and_no_fence() -> None:
    """A fence beside them, or a sleep, would cost a good part of a microsecond at each of nine barriers a step."""
    probe = (
        source("barrier.cuh")
        + """extern "C" __global__ void probe(unsigned* arrived) {
      unsigned goal = 0;
      grid_barrier(arrived, goal);
    }"""
    )
    text = nvrtc.ptx(probe, "sm_90", "float").partition(".entry probe")[2]
    assert len(re.findall(r"\bred\.release\.gpu\.add\.u32\b", text)) == 1
    assert "ld.acquire.gpu.u32" in text
    assert not re.search(r"\b(membar|fence|nanosleep|atom)\b", text)


def test_tensor_cores_are_given_their_operands_and_give_the_sums() -> None:
    """The assembler's text, which the emulator does not read: where each operand comes from, and each sum goes to."""
    probe = """extern "C" __global__ void probe(float* sums, const float* a, const float* b) {
      float kept[4] = {sums[0], sums[1], sums[2], sums[3]};
      multiply_accumulate(kept, {a[0], a[1], a[2], a[3]}, {b[0], b[1]});
      for (int i = 0; i < 4; ++i) sums[i] = kept[i];
    }"""
    text = nvrtc.ptx(source("matmul.cu") + probe, "sm_80", "TF32").partition(".entry probe")[2].partition("{")[2]
    value: dict[str, str] = {f"[probe_param_{i}]": name for i, name in enumerate(("sums", "a", "b"))}

    def at(address: str) -> str:
        register, offset = re.findall(r"^\[(%rd\d+)(?:\+(\d+))?\]$", address)[0]
        return f"{value[register]}[{int(offset or 0) // 4}]"

    stored, products = {}, []
    for operation, rest in re.findall(r"^\s*([a-z]\S+)\s+(.*);$", text, re.MULTILINE):
        operands = re.findall(r"\[[^]]*\]|\{[^}]*\}|%\w+", rest)
        if operation.startswith("mma"):
            assert operation == "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
            results, *factors = (re.findall(r"%\w+", group) for group in operands)
            products.append([[value[register] for register in group] for group in factors])
            value |= {register: f"product[{i}]" for i, register in enumerate(results)}
        elif operation.startswith("st.global"):
            stored[at(operands[0])] = value[operands[1]]
        elif operation.startswith("ld.global"):
            value[operands[0]] = at(operands[1])
        elif operation.startswith(("ld.param", "cvta", "mov")):
            value[operands[0]] = value[operands[1]]
        elif operation == "cvt.rna.tf32.f32":
            value[operands[0]] = f"tf32({value[operands[1]]})"
    a, b = ([f"tf32({name}[{i}])" for i in range(count)] for name, count in (("a", 4), ("b", 2)))
    assert products == [[a, b, [f"sums[{i}]" for i in range(4)]]]
    assert stored == {f"sums[{i}]": f"product[{i}]" for i in range(4)}
