"""Launches of convolutions, stencils, transposes, sparse products and graphs."""

from typing import Any

import numpy as np
from foreign_launches import F, I, U, launch

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


@launch("textbook2", (4, 3), (16, 16), "convolution_tiled_2D_const_mem_kernel", variables={"F": FILTER})
@launch("textbook2", (3, 2), (16, 16), "convolution_cached_tiled_2D_const_mem_kernel", variables={"F": FILTER})
def tiled_convolution(random: Any) -> Any:
    x = random.standard_normal((30, 37), F)
    return (x, np.zeros_like(x), 37, 30), {1: convolved(x, FILTER)}


TAPS = np.random.default_rng(6).standard_normal(17).astype(F)


@launch("textbook2", (2, 2), (16, 4), variables={"c_Kernel": TAPS})
def convolutionRowsKernel(random: Any) -> Any:
    x = random.standard_normal((8, 128), F)
    return (np.zeros_like(x), x, 128, 8, 128), {0: [np.convolve(row, TAPS, "same") for row in x]}


WEIGHTS = dict(zip((f"c{i}" for i in range(7)), F([-6, 1, 2, 3, 4, 5, 6]), strict=True))


@launch("textbook2", (4, 4, 4), (4, 4, 4), "stencil_kernel", variables=WEIGHTS)
@launch("textbook2", (3, 3, 3), (8, 8), "stencil_register_tiling", variables=WEIGHTS)
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


@launch("textbook2", 3, 64)
def stencil_1d(random: Any) -> Any:
    x = random.integers(0, 9, 150).astype(I)
    return (x, np.zeros_like(x), 150), {1: np.convolve(x, np.ones(7, I), "same")}


@launch("textbook2", (2, 2), (32, 8), "transposeNaive")
@launch("textbook2", (2, 2), (32, 8), "transposeNoBankConflicts")
def transpose(random: Any) -> Any:
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
