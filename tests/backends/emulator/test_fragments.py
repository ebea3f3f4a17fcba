"""The tensor cores' fragments on the emulator: products, and faults at their lines."""

import contextlib
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import changed, learners_problems, marked, marked_fault, run
from half_numbers import BFLOAT, rounded

from fastae.backends.emulator import RawModule, checking, counting, device

# Fragments.

PRODUCT = """#include <mma.h>
using namespace nvcuda;
template <class LayoutA, class LayoutB, wmma::layout_t layout>
__global__ void f(const TYPE* a, unsigned lda, const TYPE* b, unsigned ldb, const SUM* c, SUM* d, unsigned ldd) {
  wmma::fragment<wmma::matrix_a, M, N, K, KIND, LayoutA> fa;
  wmma::fragment<wmma::matrix_b, M, N, K, KIND, LayoutB> fb;
  wmma::fragment<wmma::accumulator, M, N, K, SUM> sums;
  wmma::load_matrix_sync(sums, c, ldd, layout);
  wmma::load_matrix_sync(fa, a, lda);
  wmma::load_matrix_sync(fb, b, ldb);
  for (int i = 0; i < fa.num_elements; ++i) fa.x[i] = ELEMENT(fa.x[i]);
  for (int i = 0; i < fb.num_elements; ++i) fb.x[i] = ELEMENT(fb.x[i]);
  wmma::mma_sync(sums, fa, fb, sums);
  wmma::store_matrix_sync(d, sums, ldd, layout);
}"""
SHAPES = [(16, 16, 16), (32, 8, 16), (8, 32, 16)]
KINDS = {  # of a and b: the element, the sums; and what they are rounded to
    "half": ("half", "float", 11), "half sums": ("half", "half", 11), "bfloat16": ("__nv_bfloat16", "float", 8),
    "bytes": ("signed char", "int", 0), "unsigned bytes": ("unsigned char", "int", 0), "tf32": ("float", "float", 11),
    "double": ("double", "double", 53),
}  # fmt: skip
DTYPES = {"half": "f2", "half sums": "f2", "bytes": "i1", "unsigned bytes": "u1", "int": "i4", "double": "f8"}
TILES = [
    *((kind, shape) for kind in ("half", "half sums", "bfloat16", "bytes") for shape in SHAPES),
    ("unsigned bytes", SHAPES[0]), ("tf32", (16, 16, 8)), ("double", (8, 8, 4)),
]  # fmt: skip


def stored(x: np.ndarray, kind: str, row_major: bool) -> tuple[np.ndarray, np.uint32]:
    """A matrix as it lies in memory, with elements between its rows or columns, and its leading dimension."""
    lines = x if row_major else x.T
    wide = np.zeros((lines.shape[0], lines.shape[1] // 16 * 16 + 32), DTYPES.get(kind, "f4"))
    wide[:, : lines.shape[1]] = lines
    return rounded(wide, BFLOAT) if kind == "bfloat16" else wide, np.uint32(wide.shape[1])


@pytest.mark.parametrize(
    ("kind", "shape"), [pytest.param(*tile, marks=[pytest.mark.thorough] * (tile[1] in SHAPES[1:])) for tile in TILES]
)
@pytest.mark.feature(
    "tensor cores", "`nvcuda::wmma` of half, bfloat16, TF32, bytes and double, in every shape and layout"
)
def test_a_warp_multiplies_fragments(kind: str, shape: tuple[int, int, int], random: np.random.Generator) -> None:
    m, n, k = shape
    element, sums, digits = KINDS[kind]
    code = PRODUCT
    for word, text in {
        "KIND": "wmma::precision::tf32" if kind == "tf32" else element, "TYPE": element, "SUM": sums,
        "M, N, K": f"{m}, {n}, {k}", "ELEMENT": "wmma::__float_to_tf32" if kind == "tf32" else "",
    }.items():  # fmt: skip
        code = code.replace(word, text)
    words = {True: "row_major", False: "col_major"}
    names = {
        layouts: "f<wmma::{}, wmma::{}, wmma::mem_{}>".format(*(words[layout] for layout in layouts))
        for layouts in itertools.product((True, False), repeat=3)
    }
    module = RawModule(code, name_expressions=tuple(names.values()))
    for (layouts, name), checked in itertools.product(names.items(), (False, True)):
        if sums == "int":
            a, b = (random.integers(-128, 128, s) + 128 * (kind == "unsigned bytes") for s in ((m, k), (k, n)))
            c = random.integers(-1000, 1000, (m, n))
        else:
            a, b, c = (random.standard_normal(s) for s in ((m, k), (k, n), (m, n)))
            if digits < 53:
                a, b, c = (np.round(v * 2.0 ** (digits - 4)) / 2.0 ** (digits - 4) for v in (a, b, c))
        (sa, lda), (sb, ldb) = (stored(v, kind, row) for v, row in zip((a, b), layouts))
        sc, ldd = stored(c, sums, layouts[2])
        given = [device.array(v) for v in (sa, sb, sc, np.zeros_like(sc))]
        with checking() if checked else contextlib.nullcontext():
            module.get_function(name)((1,), (32,), (given[0], lda, given[1], ldb, *given[2:], ldd))
        d = np.asarray(given[-1])
        exact, weight = a @ b + c, np.abs(a) @ np.abs(b) + np.abs(c)
        u = {"int": 0, "half": 2.0**-24, "float": 2.0**-24, "double": 2.0**-53}[sums]
        bound = 1.01 * (k + 1) * u * weight + (2.0**-11 * np.abs(exact) if sums == "half" else 0)
        found = (d if layouts[2] else d.T)[: exact.shape[0], : exact.shape[1]].astype("f8")
        assert (np.abs(found - exact) <= bound).all(), (layouts, np.abs(found - exact).max())
        assert (d[:, -16:] == 0).all()


GEMM = """#include <mma.h>
#define TILE 32
using namespace nvcuda::wmma;
template <class Kind, class Element, int K>
__device__ void product(int n, int k, const float* a, const float* b, float* c, Element* as, Element* bs) {
  const int warp = threadIdx.x / 32, row = 16 * (warp / 2), col = 16 * (warp % 2);
  fragment<matrix_a, 16, 16, K, Kind, row_major> fa;
  fragment<matrix_b, 16, 16, K, Kind, row_major> fb;
  fragment<accumulator, 16, 16, K, float> sums;
  fill_fragment(sums, 0);
  for (int begin = 0; begin < k; begin += TILE) {
    for (int i = threadIdx.x; i < TILE * TILE; i += blockDim.x) {
      const int y = i / TILE, x = i % TILE;
      as[y * (TILE + 8) + x] = a[(blockIdx.y * TILE + y) * k + begin + x];//<a
      bs[y * (TILE + 8) + x] = b[(begin + y) * n + blockIdx.x * TILE + x];//<b
    }
    __syncthreads();  // loaded
    for (int inner = 0; inner < TILE; inner += K) {
      load_matrix_sync(fa, as + row * (TILE + 8) + inner, TILE + 8);//<fa
      load_matrix_sync(fb, bs + inner * (TILE + 8) + col, TILE + 8);//<fb
#ifdef CONVERTS
      for (int i = 0; i < fa.num_elements; ++i) fa.x[i] = __float_to_tf32(fa.x[i]);
      for (int i = 0; i < fb.num_elements; ++i) fb.x[i] = __float_to_tf32(fb.x[i]);
#endif
      mma_sync(sums, fa, fb, sums);//<mma
    }
    __syncthreads();  // used
  }
  for (int i = 0; i < sums.num_elements; ++i) sums.x[i] *= 2.0f;
  store_matrix_sync(c + (blockIdx.y * TILE + row) * n + blockIdx.x * TILE + col, sums, n, mem_row_major);//<store
}
__global__ void of_half(int n, int k, const float* a, const float* b, float* c) {
  __shared__ half as[TILE * (TILE + 8)], bs[TILE * (TILE + 8)];
  product<half, half, 16>(n, k, a, b, c, as, bs);
}
__global__ void of_tf32(int n, int k, const float* a, const float* b, float* c) {
  __shared__ float as[TILE * (TILE + 8)], bs[TILE * (TILE + 8)];
  product<precision::tf32, float, 8>(n, k, a, b, c, as, bs);
}"""


def tf32(x: np.ndarray, nearest: bool) -> np.ndarray:
    return ((x.view("u4") + 0x1000 * nearest) & 0xFFFFE000).astype("u4").view("f4")


SQUARE = np.ones((64, 64), "f4")
ONES = (2, 2), 128, np.int32(64), np.int32(64), SQUARE, SQUARE, 0 * SQUARE  # grid, block and arguments


@pytest.mark.parametrize("name", ["of_half", "of_tf32"])
@pytest.mark.feature("tensor cores", "a product of matrices by tiles, its fragments scaled element by element")
def test_a_product_by_tensor_cores(compiler: str, checks: bool, name: str, random: np.random.Generator) -> None:
    for converts in (True, False):
        code = "#define CONVERTS\n" + GEMM if converts and name == "of_tf32" else GEMM
        a, b = (random.uniform(-1, 1, shape).astype("f4") for shape in ((64, 64), (64, 96)))
        *_, c = run(code, (3, 2), 128, np.int32(96), np.int32(64), a, b, np.zeros((64, 96), "f4"), name=name)
        if name == "of_half":
            x, y = (v.astype("f2").astype("f8") for v in (a, b))
        else:
            x, y = (tf32(v, converts).astype("f8") for v in (a, b))
        gamma = 65 * 2.0**-24 / (1 - 65 * 2.0**-24)
        assert (np.abs(c - 2 * (x @ y)) <= 2 * gamma * (np.abs(x) @ np.abs(y))).all()
        assert (np.abs(c - 2 * (a.astype("f8") @ b)) > 2 * gamma * (np.abs(a) @ np.abs(b))).any()  # not of floats


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("      load_matrix_sync(fa", "      if (threadIdx.x % 32 != 7) load_matrix_sync(fa", "fa",
         "thread (0, 0, 0): a warp operation waits for lanes that never come; thread (7, 0, 0) waits at mine.cu:"),
        ("inner, TILE + 8);", "inner, TILE + 4);", "fa",
         "has rows or columns ldm = 36 apart, no multiple of 8 elements"),
        ("inner, TILE + 8);", "inner, 8);", "fa", "has rows or columns of 16 elements, which ldm = 8 lets overlap"),
        ("+ inner, TILE", "+ inner + 1, TILE", "fa", "begins at an address that is no multiple of 16 bytes"),
        ("sums, n, mem_row", "sums, 8, mem_row", "store", "has rows or columns of 16 elements, which ldm = 8 lets"),
        ("c + (blockIdx", "c + 4 + (blockIdx", "store", "begins at an address that is no multiple of 32 bytes"),
    ],
)  # fmt: skip
@pytest.mark.feature("tensor cores", "missing lanes, wrong leading dimensions and misaligned matrices, at their line")
def test_fragments_that_no_gpu_loads(compiler: str, old: str, new: str, mark: str, words: str) -> None:
    code = marked(GEMM.replace(old, new, 1), mark)
    for order in (None, "forward"):
        assert words in str(marked_fault(code, *ONES, name="of_half", order=order))


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("    __syncthreads();  // loaded\n", "", "fa", "a race between two threads of a block"),
        ("    __syncthreads();  // used\n", "", "a", "a race between two threads of a block"),
        ("inner * (TILE + 8) + col, TILE", "inner * (TILE + 8) + col, 2 * TILE", "fb", "before it is|out of bounds"),
        ("blockIdx.y * TILE + row) * n", "blockIdx.y * TILE + row + 16) * n", "store", "writing: out of bounds"),
        ("i < TILE * TILE;", "i < TILE * TILE - 8;", "fa", "shared memory is read before it is written"),
    ],
)  # fmt: skip
@pytest.mark.feature("tensor cores", "loads and stores of fragments, whose bounds, races and first reads are checked")
def test_faults_of_fragments(compiler: str, old: str, new: str, mark: str, words: str) -> None:
    code = marked(changed(GEMM, old, new), mark)
    assert re.search(words, str(marked_fault(code, *ONES, name="of_half")))


def test_a_warp_that_is_not_whole_has_no_fragments() -> None:
    code = """#include <mma.h>
__global__ void f(float* c) {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums;
  nvcuda::wmma::fill_fragment(sums, 1.0f);
  nvcuda::wmma::store_matrix_sync(c, sums, 16, nvcuda::wmma::mem_row_major);//<
}"""
    for order in (None, "forward"):
        assert "an operation of a whole warp in a warp of fewer threads" in str(
            marked_fault(code, 1, 48, np.zeros(256, "f4"), order=order)
        )


def test_a_row_is_loaded_as_every_row_by_a_leading_dimension_of_0(checks: bool) -> None:
    code = """#include <mma.h>
using namespace nvcuda::wmma;
__global__ void f(const float* bias, float* out, const half* tops) {
  fragment<accumulator, 16, 16, 16, float> sums;
  fragment<accumulator, 16, 16, 16, half> halves;
  fragment<matrix_a, 16, 16, 16, half, row_major> a;
  fragment<matrix_b, 16, 16, 16, half, col_major> b;
  load_matrix_sync(sums, bias, 0, mem_row_major);
  store_matrix_sync(out, sums, 16, mem_row_major);
  load_matrix_sync(a, tops, 16), load_matrix_sync(b, tops, 16);
  fill_fragment(halves, 60000.0f);
  mma_sync(halves, a, b, halves, true);
  for (int i = 0; i < halves.num_elements; ++i) sums.x[i] = float(halves.x[i]);
  store_matrix_sync(out + 256, sums, 16, mem_row_major);
}"""
    bias = np.arange(16, dtype="f4")
    _, out, _ = run(code, 1, 32, bias, np.zeros(512, "f4"), np.full(256, 60000, "f2"))
    np.testing.assert_array_equal(out[:256].reshape(16, 16), np.tile(bias, (16, 1)))
    assert set(out[256:].tolist()) == {65504}  # `satf`


def test_what_fragments_move_is_counted() -> None:
    with counting() as counts:
        run(GEMM, *ONES, name="of_half")
    line = GEMM[: GEMM.index("//<store")].count("\n") + 1
    (store,) = [t for t in counts if t.line == f"mine.cu:{line}"]
    assert (store.memory, store.action, store.accesses) == ("global", "write", 64 * 64 // 4)
    assert store.transactions == store.best == 64 * 64 * 4 // 32


# Learners' files.

LEARNERS = """#include "cuda_fp16.h"
#include <mma.h>
using namespace nvcuda;
// launch matmul: grid (ceil(n / 16), ceil(m / 16)), block (32)
__global__ void matmul(int m, int n, int k, real alpha, const real* alpha_at, const real* a, long long a_stride,
                       int trans_a, const real* b, long long b_stride, int trans_b, real beta, const real* beta_at,
                       real* out, long long out_stride) {
  __shared__ ELEMENT as[16 * DEPTH], bs[DEPTH * 16];
  __shared__ float cs[16 * 16];
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  wmma::fragment<wmma::matrix_a, 16, 16, DEPTH, KIND, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, DEPTH, KIND, wmma::row_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, DEPTH, float> sums;
  wmma::fill_fragment(sums, 0.0f);
  const int first = 16 * blockIdx.y, left = 16 * blockIdx.x;
  for (int begin = 0; begin < k; begin += DEPTH) {
    for (int i = threadIdx.x; i < 16 * DEPTH; i += 32) {
      const int row = first + i / DEPTH, l = begin + i % DEPTH, inner = begin + i / 16, col = left + i % 16;
      as[i] = row < m && l < k ? (float)(trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) : 0.0f;
      bs[i] = inner < k && col < n ? (float)(trans_b ? b[col * b_stride + inner] : b[inner * b_stride + col]) : 0.0f;
    }
    __syncwarp();
    wmma::load_matrix_sync(fa, as, DEPTH);
    wmma::load_matrix_sync(fb, bs, 16);
    wmma::mma_sync(sums, fa, fb, sums);
    __syncwarp();
  }
  wmma::store_matrix_sync(cs, sums, 16, wmma::mem_row_major);
  __syncwarp();
  for (int i = threadIdx.x; i < 256; i += 32) {
    const int row = first + i / 16, col = left + i % 16;
    if (row >= m || col >= n) continue;
    real* const at = &out[row * out_stride + col];
    *at = alpha * cs[i] + (beta != 0 ? beta * *at : 0);
  }
}
"""


@pytest.mark.parametrize(
    ("kind", "element", "depth"),
    [("half", "half", "16"), ("wmma::precision::tf32", "float", "8")],
    ids=["half", "tf32"],
)
@pytest.mark.feature("learners' files", "`fastae check` of products by tensor cores: wrong, for their precision")
def test_a_learners_product_by_tensor_cores_is_wrong_for_its_precision(
    kind: str, element: str, depth: str, tmp_path: Path
) -> None:
    code = LEARNERS.replace("KIND", kind).replace("ELEMENT", element).replace("DEPTH", depth)
    found = learners_problems(tmp_path / "mine.cu", code, "matmul")
    assert {problem.causes[0].partition(":")[0] for problem in found} == {
        "the errors are small everywhere, as those of float16 or TF32"
    }
