"""What the emulator lacks of CUDA is refused with its name and line; and learners' files, which print and assert."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused
from cuda_kernels import learners_problems, run

from fastae.backends.emulator import compiler as compilers
from fastae.backends.emulator.source import CompileError

# What is not emulated.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('asm volatile("wgmma.fence.sync.aligned;");', "the PTX instruction wgmma.fence.sync.aligned is"),
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
        ("cuda::device::barrier_arrive_tx(b, 1, 64);", "cuda::device::barrier_arrive_tx, for bulk copies and PTX, is"),
        ("cuda::counting_semaphore<> s;", "cuda::counting_semaphore, of CUDA's library, is"),
    ],
)
def test_what_is_not_emulated_is_refused_by_name_and_line(compiler: str, line: str, words: str) -> None:
    code = f'// asm <<< curand\n__global__ void f(float* out) {{\n  const char* s = "tex2D(";\n\n  {line}\n}}'
    with pytest.raises(CompileError, match=re.escape(f"mine.cu, line 5: {words} not emulated")):
        run(code, 1, 1, np.zeros(1, "f4"))


@pytest.mark.parametrize(
    "header", ["curand.h", "cub/cub.cuh", "cublas_v2.h", "cuda_fp8.h", "texture_fetch_functions.h", "cuda/semaphore"]
)
def test_headers_of_what_is_not_emulated_are_refused(header: str) -> None:
    with pytest.raises(CompileError, match=r"mine.cu, line 2: .* not emulated"):
        run(f"\n  #  include <{header}>\n__global__ void f() {{}}", 1, 1)


@pytest.mark.feature("language", "`__CUDA_ARCH__` is not defined: what only a GPU compiles is left out")
def test_what_only_a_gpu_compiles_is_no_matter() -> None:
    code = """__global__ void f(float* out) {
#ifdef __CUDA_ARCH__
  asm volatile("membar.gl;");
#endif
  out[0] = NO_SUCH_NAME;
}"""
    run(code.replace("NO_SUCH_NAME", "1"), 1, 1, np.zeros(1, "f4"))
    with pytest.raises(CompileError, match=r"mine.cu:5:12: error: .NO_SUCH_NAME. was not declared"):
        run(code, 1, 1, np.zeros(1, "f4"))


def test_a_change_in_a_header_of_the_emulator_is_seen() -> None:
    seen = {Path(path).name for path in compilers.RUNTIME}
    assert seen >= {"device.h", "mathematics.h", "math_constants.h", "c_library.h"}


# Learners' files.


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
    for condition, faults in (("row < m", 0), ("col < n", 1)):
        shown = io.StringIO()
        found = learners_problems(tmp_path / "mine.cu", LEARNERS.replace("row < m", condition), "axpy", shown)
        assert re.search(r"^\| \d+ by \d+$", shown.getvalue(), re.MULTILINE)
        assert bool(found) == bool(faults), found
    assert "mine.cu:9, kernel axpy" in str(found[0])
    assert "an assertion does not hold: col < n &&" in str(found[0])


def test_a_learner_is_told_what_is_not_emulated(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "check", write("#include <cuda_fp8.h>\n" + LEARNERS, "mine.cu"), "--backend", "emulator")
    assert "mine.cu, line 1: floating point of 8 bits and fewer is not emulated" in told
