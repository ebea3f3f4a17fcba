"""Launches of reductions, histograms, scans, merges and sorts, convolutions, sparse products and graphs."""

from typing import Any

import numpy as np
from foreign_launches import F, I, U, launch

N = 1000


def blocks(random: np.random.Generator, dtype: Any, grid: int, per_block: int) -> Any:
    """Make the arguments of a reduction to one number a block, of as many elements as a block takes in turn."""
    x = random.integers(-50, 50, N).astype(dtype)
    padded = np.zeros(grid * per_block, dtype)
    padded[:N] = x
    return (x, np.zeros(grid, dtype), U(N)), {1: padded.reshape(grid, per_block).sum(1)}


def total(random: np.random.Generator, dtype: Any, grid: int) -> Any:
    x = random.integers(-50, 50, N).astype(dtype)
    return (x, np.zeros(grid, dtype), U(N)), {1: lambda out: (out.sum(), x.sum())}


@launch("reductions", 8, 128, "reduce0<int>", shared=512)
def reduce0(random: Any) -> Any:
    return blocks(random, I, 8, 128)


@launch("reductions", 8, 128, "reduce1<float>", shared=512)
def reduce1(random: Any) -> Any:
    return blocks(random, F, 8, 128)


@launch("reductions", 8, 128, "reduce2<double>", shared=1024)
def reduce2(random: Any) -> Any:
    return blocks(random, np.float64, 8, 128)


@launch("reductions", 4, 128, "reduce3<int>", shared=512)
def reduce3(random: Any) -> Any:
    return blocks(random, I, 4, 256)


@launch("reductions", 4, 128, "reduce4<float, 128>", shared=512)
def reduce4(random: Any) -> Any:
    return blocks(random, F, 4, 256)


@launch("reductions", 2, 128, "reduce5<128>", shared=512)
def reduce5(random: Any) -> Any:
    return total(random, F, 2)


@launch("reductions", 4, 128, racy="s[t] += s[t +")
def reduce5_classic(random: Any) -> Any:
    x = random.integers(-50, 50, 1024).astype(I)
    return (x, np.zeros(4, I)), {1: x.reshape(4, 256).sum(1)}


@launch("reductions", 2, 128, "reduce7<int, 128, true>", shared=128)
def reduce7(random: Any) -> Any:
    return total(random, I, 2)


@launch("reductions", 2, 128, "reduce7<float, 128, false>", shared=128)
def reduce7_of_any_size(random: Any) -> Any:
    return total(random, F, 2)


@launch("reductions", 3, 128, "cg_reduce<float>", shared=512)
def cg_reduce(random: Any) -> Any:
    return total(random, F, 3)


def guide(random: np.random.Generator) -> Any:
    x = random.integers(-50, 50, N).astype(I)
    return (np.zeros(1, I), x, N), {0: x.sum()}


@launch("reductions", 2, 64, shared=256)
def sum_kernel_block(random: Any) -> Any:
    return guide(random)


@launch("reductions", 2, 64, shared=256)
def sum_kernel_tiles(random: Any) -> Any:
    return guide(random)


@launch("reductions", 2, 64, "sum_kernel_tile_shfl<16>")
def sum_kernel_tile_shfl(random: Any) -> Any:
    return guide(random)


@launch("reductions", 3, 96)
def deviceReduceKernel(random: Any) -> Any:
    x = random.integers(-50, 50, N).astype(I)
    return (x, np.zeros(3, I), N), {1: lambda out: (out.sum(), x.sum())}


@launch("reductions", 3, 96)
def deviceReduceWarpAtomicKernel(random: Any) -> Any:
    x = random.integers(-50, 50, N).astype(I)
    return (x, np.zeros(1, I), N), {1: x.sum()}


@launch("reductions", 5, 64, "reduceSinglePass<64>")
def reduce_single_pass(random: Any) -> Any:
    x = random.integers(-50, 50, N).astype(F)
    return (x, np.zeros(5, F), U(N)), {1: lambda out: (out[0], x.sum())}


@launch("reductions", 3, 64, cooperative=True, shared=512)
def reduceSinglePassMultiBlockCG(random: Any) -> Any:
    x = random.integers(-50, 50, N).astype(F)
    return (x, np.zeros(3, F), U(N)), {1: lambda out: (out[0], x.sum())}


@launch("reductions", 2, 128)
def argmax_atomic(random: Any) -> Any:
    x = random.standard_normal(N, F)
    return (x, U(N), np.zeros(1, np.uint64)), {2: lambda out: (out & np.uint64(0xFFFFFFFF), [x.argmax()])}


@launch("reductions", 1, 256)
def mean_variance(random: Any) -> Any:
    x = random.standard_normal(N, F) + 3
    return (x, N, np.zeros(2, F)), {2: [x.mean(), x.var()]}


@launch("reductions", 2, 64)
def dot_double(random: Any) -> Any:
    a, b = random.standard_normal(N), random.standard_normal(N)
    return (a, b, np.zeros(1), np.uint64(N)), {2: a @ b}


@launch("reductions", 8, 128)
def absmax(random: Any) -> Any:
    x = random.standard_normal(N, F)
    return (x, np.zeros(1, F), N), {1: np.abs(x).max()}


def letters(random: np.random.Generator) -> Any:
    text = random.integers(ord("a") - 3, ord("z") + 3, N).astype("i1")
    at = text[(text >= ord("a")) & (text <= ord("z"))] - ord("a")
    return (text, U(N), np.zeros(7, U)), {2: np.bincount(at // 4, minlength=7)}


@launch("textbook", 8, 128)
def histo_kernel(random: Any) -> Any:
    return letters(random)


@launch("textbook", 8, 128)
def histo_private_kernel(random: Any) -> Any:
    return letters(random)


@launch("textbook", 2, 128)
def histo_aggregated_kernel(random: Any) -> Any:
    return letters(random)


def sections(random: np.random.Generator) -> Any:
    x = random.integers(-9, 9, N).astype(F)
    padded = np.zeros(1024, F)
    padded[:N] = x
    return (x, np.zeros(N, F), U(N)), {1: padded.reshape(-1, 256).cumsum(1).ravel()[:N]}


@launch("textbook", 4, 256)
def Kogge_Stone_scan_kernel(random: Any) -> Any:
    return sections(random)


@launch("textbook", 4, 256)
def Kogge_Stone_double_buffer(random: Any) -> Any:
    return sections(random)


@launch("textbook", 4, 128)
def Brent_Kung_scan_kernel(random: Any) -> Any:
    return sections(random)


@launch("textbook", 8, 128, variables={"blockCounter": 0, "flags": 0, "scan_value": 0})
def stream_scan_kernel(random: Any) -> Any:
    x = random.integers(-9, 9, N).astype(F)
    return (x, np.zeros(N, F), U(N)), {1: x.cumsum()}


@launch("textbook", 8, 64, "lookback_scan<64, 2>", variables={"next_tile": 0})
def lookback_scan(random: Any) -> Any:
    x = random.integers(-9, 9, N).astype(I)
    return (x, np.zeros(N, I), N, np.zeros(8, np.uint64)), {1: x.cumsum()}


def two_sorted(random: np.random.Generator, *more: Any) -> Any:
    a, b = (np.sort(random.integers(0, 99, n)).astype(I) for n in (150, 100))
    return (a, 150, b, 100, np.zeros(250, I), *more), {4: np.sort(np.concatenate([a, b]))}


@launch("textbook", 2, 32)
def merge_basic_kernel(random: Any) -> Any:
    return two_sorted(random)


@launch("textbook", 3, 16, shared=2 * 32 * 4)
def merge_tiled_kernel(random: Any) -> Any:
    return two_sorted(random, 32)


@launch("textbook", 1, 128)
def radix_sort_block(random: Any) -> Any:
    keys = random.integers(0, 2**32, 100, dtype=U)
    return (keys, np.zeros(100, U), 100), {1: np.sort(keys)}


@launch("textbook", 3, 64, "digit_histogram<4>")
def digit_histogram(random: Any) -> Any:
    keys = random.integers(0, 2**32, 150, dtype=U)
    digits = [np.bincount(keys[i : i + 64] >> 8 & 15, minlength=16) for i in (0, 64, 128)]
    return (keys, 150, 8, np.zeros((16, 3), U)), {3: np.array(digits).T}


@launch("textbook", 2, 128)
def bitonicSortShared(random: Any) -> Any:
    keys = random.permutation(512).astype(U).reshape(2, 256)
    return (np.zeros_like(keys), np.zeros_like(keys), keys, keys + U(7), U(256), U(1)), {
        0: np.sort(keys, 1),
        1: np.sort(keys, 1) + 7,
    }


@launch("textbook", 1, 32)
def oddeven(random: Any) -> Any:
    x = random.integers(0, 100, 50).astype(I)
    return (x, 50), {0: np.sort(x)}


FILTER = np.random.default_rng(5).standard_normal((5, 5)).astype(F)


def convolved(x: Any, kernel: Any) -> Any:
    radius = kernel.shape[0] // 2
    padded = np.pad(x, radius)
    return sum(
        kernel[i, j] * padded[i : i + x.shape[0], j : j + x.shape[1]]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )


@launch("textbook2", (3, 2), (16, 16))
def convolution_2D_basic_kernel(random: Any) -> Any:
    x = random.standard_normal((30, 37), F)
    return (x, FILTER, np.zeros_like(x), 2, 37, 30), {2: convolved(x, FILTER)}


@launch("textbook2", (4, 3), (16, 16), variables={"F": FILTER})
def convolution_tiled_2D_const_mem_kernel(random: Any) -> Any:
    x = random.standard_normal((30, 37), F)
    return (x, np.zeros_like(x), 37, 30), {1: convolved(x, FILTER)}


@launch("textbook2", (3, 2), (16, 16), variables={"F": FILTER})
def convolution_cached_tiled_2D_const_mem_kernel(random: Any) -> Any:
    x = random.standard_normal((30, 37), F)
    return (x, np.zeros_like(x), 37, 30), {1: convolved(x, FILTER)}


TAPS = np.random.default_rng(6).standard_normal(17).astype(F)


@launch("textbook2", (2, 2), (16, 4), variables={"c_Kernel": TAPS})
def convolutionRowsKernel(random: Any) -> Any:
    x = random.standard_normal((8, 128), F)
    return (np.zeros_like(x), x, 128, 8, 128), {0: [np.convolve(row, TAPS, "same") for row in x]}


WEIGHTS = dict(zip((f"c{i}" for i in range(7)), F([-6, 1, 2, 3, 4, 5, 6]), strict=True))


def volume(random: np.random.Generator) -> Any:
    x = random.standard_normal((14, 14, 14), F)
    out, inner = np.zeros_like(x), slice(1, -1)
    w = list(WEIGHTS.values())
    out[inner, inner, inner] = w[0] * x[inner, inner, inner]
    for axis, first in ((2, 1), (1, 3), (0, 5)):
        for side in (0, 1):
            at: list[Any] = [inner] * 3
            at[axis] = slice(2 * side, 12 + 2 * side)
            out[inner, inner, inner] += w[first + side] * x[tuple(at)]
    return (x, np.zeros_like(x), U(14)), {1: out}


@launch("textbook2", (4, 4, 4), (4, 4, 4), variables=WEIGHTS)
def stencil_kernel(random: Any) -> Any:
    return volume(random)


@launch("textbook2", (3, 3, 3), (8, 8), variables=WEIGHTS)
def stencil_register_tiling(random: Any) -> Any:
    return volume(random)


@launch("textbook2", 3, 64)
def stencil_1d(random: Any) -> Any:
    x = random.integers(0, 9, 150).astype(I)
    return (x, np.zeros_like(x), 150), {1: np.convolve(x, np.ones(7, I), "same")}


@launch("textbook2", (2, 2), (32, 8))
def transposeNaive(random: Any) -> Any:
    x = random.standard_normal((64, 64), F)
    return (np.zeros_like(x), x), {0: x.T}


@launch("textbook2", (2, 2), (32, 8))
def transposeNoBankConflicts(random: Any) -> Any:
    x = random.standard_normal((64, 64), F)
    return (np.zeros_like(x), x), {0: x.T}


@launch("textbook2", (3, 2), (32, 8), "transposeSwizzled<double>")
def transpose_swizzled(random: Any) -> Any:
    x = random.standard_normal((50, 70))
    return (np.zeros((70, 50)), x, 50, 70), {0: x.T}


def sparse(random: np.random.Generator) -> Any:
    a = random.standard_normal((40, 30), F) * (random.random((40, 30)) < 0.2)
    a[3] = 0
    x = random.standard_normal(30, F)
    where_row, where_column = np.nonzero(a)
    pointers = np.concatenate([[0], np.cumsum((a != 0).sum(1))]).astype(I)
    return a, x, where_row.astype(I), where_column.astype(I), a[where_row, where_column], pointers


COO = np.dtype({"names": ["n", "row", "col", "value"], "formats": ["i4", "u8", "u8", "u8"], "offsets": [0, 8, 16, 24]})


@launch("textbook2", 5, 64)
def spmv_coo_kernel(random: Any) -> Any:
    a, x, row, col, value, _ = sparse(random)
    return ({"type": COO, "n": len(row), "row": row, "col": col, "value": value}, x, np.zeros(40, F)), {2: a @ x}


@launch("textbook2", 2, 32)
def spmv_csr_kernel(random: Any) -> Any:
    a, x, _, col, value, pointers = sparse(random)
    return ({"type": COO, "n": 40, "row": pointers, "col": col, "value": value}, x, np.zeros(40, F)), {2: a @ x}


@launch("textbook2", 10, 128)
def spmv_csr_vector_kernel(random: Any) -> Any:
    a, x, _, col, value, pointers = sparse(random)
    return (40, pointers, col, value, x, np.zeros(40, F)), {5: a @ x}


@launch("textbook2", 2, 32)
def spmv_ell_kernel(random: Any) -> Any:
    a, x, row, col, value, pointers = sparse(random)
    counts = np.diff(pointers).astype(U)
    columns, values = np.zeros((counts.max(), 40), U), np.zeros((counts.max(), 40), F)
    for r, c, v, i in zip(row, col, value, range(len(row)), strict=True):
        columns[i - pointers[r], r], values[i - pointers[r], r] = c, v
    given = {"type": COO, "n": 40, "row": counts, "col": columns, "value": values}
    return (given, x, np.zeros(40, F)), {2: a @ x}


@launch("textbook2", 2, 32)
def spmv_jds_kernel(random: Any) -> Any:
    a, x, _, col, value, pointers = sparse(random)
    counts = np.diff(pointers)
    order = np.argsort(-counts, kind="stable").astype(I)
    data, columns, begins = list[Any](), list[Any](), [0]
    for section in range(counts.max()):
        for r in order[counts[order] > section]:
            data.append(value[pointers[r] + section])
            columns.append(col[pointers[r] + section])
        begins.append(len(data))
    given = (np.array(data, F), np.array(columns, I), order, np.array(begins, I), int(counts.max()), 40)
    return (*given, x, np.zeros(40, F)), {7: a @ x}


GRAPH = np.dtype({"names": ["n", "begin", "dst"], "formats": ["u4", "u8", "u8"], "offsets": [0, 8, 16]})
FAR = 2**32 - 1


def graph(random: np.random.Generator) -> Any:
    """Make a graph, and the levels before and after the second step of a search from vertex 0."""
    edges = random.random((60, 60)) < 0.05
    edges[0, :5] = True
    first = np.flatnonzero(edges[0])
    before = np.full(60, FAR, U)
    before[first], before[0] = 1, 0
    after = before.copy()
    after[edges[first].any(0) & (before == FAR)] = 2
    src, dst = (x.astype(U) for x in np.nonzero(edges))
    begin = np.concatenate([[0], np.cumsum(edges.sum(1))]).astype(U)
    return {"type": GRAPH, "n": 60, "begin": begin, "dst": dst}, first[first > 0].astype(U), before, after, src, dst


@launch("textbook2", 2, 32, racy="level[vertex] == currLevel - 1")
def bfs_vertex_push(random: Any) -> Any:
    given, _, before, after, *_ = graph(random)
    return (given, before, np.zeros(1, U), U(2)), {1: after, 2: 1}


@launch("textbook2", 2, 4)
def bfs_frontier_private(random: Any) -> Any:
    given, first, before, after, *_ = graph(random)
    reached = np.flatnonzero(after == 2)
    given = (given, before, first, np.zeros(60, U), U(len(first)), np.zeros(1, U), U(2))
    return given, {1: after, 3: lambda out: (np.sort(out)[60 - len(reached) :], reached), 5: len(reached)}


@launch("textbook2", 4, 64, racy="level[src[edge]] == currLevel - 1")
def bfs_edge_kernel(random: Any) -> Any:
    _, _, before, after, src, dst = graph(random)
    return (len(src), src, dst, before, np.zeros(1, I), U(2)), {3: after, 4: 1}
