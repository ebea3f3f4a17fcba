"""What the emulator lacks of CUDA is refused with its name and line; and learners' files, which print and assert."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import launch, zeros

from fastae.backends.emulator import compiler as compilers
from fastae.backends.emulator.source import CompileError

# What is not emulated.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'asm volatile("wgmma.fence.sync.aligned;");',
            "the PTX instruction wgmma.fence.sync.aligned is",
        ),
        ("surf2Dwrite(1.0f, s, 0, 0);", "surfaces are"),
        ("out[0] = tex2D<float>(t, 0, 0);", "textures are"),
        ("texture<float, 2> t;", "texture and surface references, which CUDA 12 has no more, are"),
        ("out[0] = texCubemap<float>(t, 0, 0, 1);", "texCubemap is"),
        ("cudaGraphAddKernelNode(&n, g);", "cudaGraphAddKernelNode(), of no captured graph, is"),
        ("cooperative_groups::this_cluster().sync();", "this_cluster, of clusters of blocks, is"),
        ("g<<<1, 32>>>(out);", "launches by <<< >>> are"),
        ("cudaMalloc(&out, 4);", "cudaMalloc(), of the host, is"),
        ("curandGenerator_t g;", "curandGenerator_t, of cuRAND, is"),
        ("cublasHandle_t h;", "cublasHandle_t, of CUDA's libraries, is"),
        ("thrust::device_vector<float> v;", "thrust and cub are"),
        ("wmma::bmma_sync(d, a, b, c);", "wmma::bmma_sync, for fragments of bits, is"),
        ("nvcuda::wmma::experimental::precision::b1 x;", "wmma::experimental, for fragments of bits, is"),
        ("__nv_fp8_e4m3 x;", "__nv_fp8_e4m3, of 8 bits and fewer, is"),
        ("cuda::latch done(32);", "cuda::latch, of CUDA's library, is"),
        (
            "cuda::device::barrier_arrive_tx(b, 1, 64);",
            "cuda::device::barrier_arrive_tx, for bulk copies and PTX, is",
        ),
    ],
)
def test_what_is_not_emulated_is_refused_by_name_and_line(compiler: str, line: str, words: str) -> None:
    code = f'// asm <<< curand\n__global__ void f(float* out) {{\n  const char* s = "tex2D(";\n\n  {line}\n}}'
    with pytest.raises(CompileError, match=re.escape(f"mine.cu, line 5: {words} not emulated")):
        launch(code, "f", zeros(1))


@pytest.mark.parametrize(
    "header",
    [
        "curand.h",
        "cub/cub.cuh",
        "cublas_v2.h",
        "cuda_fp8.h",
        "texture_fetch_functions.h",
        "cuda/semaphore",
    ],
)
def test_headers_of_what_is_not_emulated_are_refused(header: str) -> None:
    with pytest.raises(CompileError, match=r"mine.cu, line 2: .* not emulated"):
        launch(f"\n  #  include <{header}>\n__global__ void f() {{}}", "f")


@pytest.mark.feature("language", "`__CUDA_ARCH__` is not defined: what only a GPU compiles is left out")
def test_what_only_a_gpu_compiles_is_no_matter() -> None:
    code = """__global__ void f(float* out) {
#ifdef __CUDA_ARCH__
  asm volatile("membar.gl;");
#endif
  out[0] = NO_SUCH_NAME;
}"""
    launch(code.replace("NO_SUCH_NAME", "1"), "f", zeros(1))
    with pytest.raises(CompileError, match=r"mine.cu:5:12: error: .NO_SUCH_NAME. was not declared"):
        launch(code, "f", zeros(1))


def test_a_change_in_a_header_of_the_emulator_is_seen() -> None:
    assert {Path(path).name for path in compilers.RUNTIME} >= {
        "device.h",
        "mathematics.h",
        "math_constants.h",
        "c_library.h",
    }


# Learners' files.


@pytest.mark.feature("learners' files", "launch comments: `n / 16`, `ceil`, `floor`, `min`, `max`, `%`")
@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("(n / 16, m / 16)", (2, 0)),
        ("(ceil(n / 16), (m + 15) / 16)", (3, 1)),
        ("(ceil(n / 16 / 2) * 2, floor(n / 16))", (4, 2)),
        ("(min(n, 5), max(m, n, 1), n % 7)", (5, 41, 6)),
        ("(n // 16)", (2,)),
    ],
)
def test_launches_are_reckoned_as_people_think(grid: str, expected: tuple[int, ...]) -> None:
    from fastae.check.file.launch_comments import launch_of

    named = {"z": np.zeros((3, 41), "f4"), "bias": np.zeros(41, "f4"), "out": np.zeros((3, 41), "f4")}
    text = f"// launch bias_sigmoid: grid {grid}, block (16, 16)"
    assert launch_of(text, "bias_sigmoid", named)[:2] == (expected, (16, 16))


@pytest.mark.parametrize("grid", ["(n / 0)", "(n - 100)", "(ceil(n, 2))", "(min(n))", "(n ** 2)", "(abs(n))", "()"])
def test_a_launch_that_nobody_can_reckon_is_refused(grid: str) -> None:
    from fastae.check.file.launch_comments import launch_of
    from fastae.errors import InputError

    named = {"z": np.zeros((3, 41), "f4"), "bias": np.zeros(41, "f4"), "out": np.zeros((3, 41), "f4")}
    with pytest.raises(InputError, match=re.escape(f"the launch's {grid}: ")):
        launch_of(f"// launch bias_sigmoid: grid {grid}, block (16)", "bias_sigmoid", named)


LEARNERS = """#include "cuda_runtime.h"
#include <stdio.h>
#include <assert.h>
// launch axpy: grid (ceil(n / 32), m), block (32)
__global__ void axpy(int m, int n, real alpha, const real* alpha_at, const real* __restrict__ x, long long x_stride,
                     real* y, long long y_stride) {
  const int row = blockIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
  if (alpha_at) alpha = *alpha_at;
  assert(row < m && alpha < FLT_MAX && x[0] < INFINITY);
  if (row == 0 && col == 0) printf("%d by %d\\n", m, n);
  if (col < n) y[row * y_stride + col] += alpha * __ldg(&x[row * x_stride + col]);
}
"""


@pytest.mark.feature("learners' files", "`printf` and `assert` in `fastae check`")
def test_a_learners_kernel_prints_and_asserts(tmp_path: Path) -> None:
    from fastae.check import verdict
    from fastae.check.sandbox.remote import Remote

    path = tmp_path / "mine.cu"
    for condition, faults in (("row < m", 0), ("col < n", 1)):
        path.write_text(LEARNERS.replace("row < m", condition), encoding="utf-8")
        shown = io.StringIO()
        with contextlib.closing(Remote(path, "emulator", output=shown)) as k:
            found = verdict.examine(k, "axpy", 1).problems
        assert re.search(r"^\| \d+ by \d+$", shown.getvalue(), re.MULTILINE)
        assert bool(found) == bool(faults), found
    assert "mine.cu:9, kernel axpy" in str(found[0])
    assert "an assertion does not hold: col < n &&" in str(found[0])


def test_a_learner_is_told_what_is_not_emulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fastae import cli

    path = tmp_path / "mine.cu"
    path.write_text("#include <cuda_fp8.h>\n" + LEARNERS, encoding="utf-8")
    assert cli.main(["check", str(path), "--backend", "emulator"]) == 2
    assert "mine.cu, line 1: floating point of 8 bits and fewer is not emulated" in capsys.readouterr().err
