"""Launches of reductions, histograms, scans, merges and sorts."""

from typing import Any

import numpy as np
from foreign_launches import F, I, U, launch

N = 1000


@launch("reductions", 8, 128, "reduce0<int>", shared=512, of=(I, 8, 128))
@launch("reductions", 8, 128, "reduce1<float>", shared=512, of=(F, 8, 128))
@launch("reductions", 8, 128, "reduce2<double>", shared=1024, of=(np.float64, 8, 128))
@launch("reductions", 4, 128, "reduce3<int>", shared=512, of=(I, 4, 256))
@launch("reductions", 4, 128, "reduce4<float, 128>", shared=512, of=(F, 4, 256))
def blocks(random: np.random.Generator, dtype: Any, grid: int, per_block: int) -> Any:
    """Make the arguments of a reduction to one number a block, of as many elements as a block takes in turn."""
    x = random.integers(-50, 50, N).astype(dtype)
    padded = np.zeros(grid * per_block, dtype)
    padded[:N] = x
    return (x, np.zeros(grid, dtype), U(N)), {1: padded.reshape(grid, per_block).sum(1)}


@launch("reductions", 2, 128, "reduce5<128>", shared=512, of=(F, 2))
@launch("reductions", 2, 128, "reduce7<int, 128, true>", shared=128, of=(I, 2))
@launch("reductions", 2, 128, "reduce7<float, 128, false>", shared=128, of=(F, 2))
@launch("reductions", 3, 128, "cg_reduce<float>", shared=512, of=(F, 3))
@launch("reductions", 3, 96, "deviceReduceKernel", of=(I, 3, I))
@launch("reductions", 3, 96, "deviceReduceWarpAtomicKernel", of=(I, 1, I))
def total(random: np.random.Generator, dtype: Any, grid: int, size: Any = U) -> Any:
    x = random.integers(-50, 50, N).astype(dtype)
    return (x, np.zeros(grid, dtype), size(N)), {1: lambda out: (out.sum(), x.sum())}


@launch("reductions", 4, 128, racy="s[t] += s[t +")
def reduce5_classic(random: Any) -> Any:
    x = random.integers(-50, 50, 1024).astype(I)
    return (x, np.zeros(4, I)), {1: x.reshape(4, 256).sum(1)}


@launch("reductions", 2, 64, "sum_kernel_block", shared=256)
@launch("reductions", 2, 64, "sum_kernel_tiles", shared=256)
@launch("reductions", 2, 64, "sum_kernel_tile_shfl<16>")
def guide(random: np.random.Generator) -> Any:
    x = random.integers(-50, 50, N).astype(I)
    return (np.zeros(1, I), x, N), {0: x.sum()}


@launch("reductions", 5, 64, "reduceSinglePass<64>", of=(5,))
@launch("reductions", 3, 64, "reduceSinglePassMultiBlockCG", cooperative=True, shared=512, of=(3,))
def single_pass(random: Any, grid: int) -> Any:
    x = random.integers(-50, 50, N).astype(F)
    return (x, np.zeros(grid, F), U(N)), {1: lambda out: (out[0], x.sum())}


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


@launch("textbook", 8, 128, "histo_kernel")
@launch("textbook", 8, 128, "histo_private_kernel")
@launch("textbook", 2, 128, "histo_aggregated_kernel")
def letters(random: np.random.Generator) -> Any:
    text = random.integers(ord("a") - 3, ord("z") + 3, N).astype("i1")
    at = text[(text >= ord("a")) & (text <= ord("z"))] - ord("a")
    return (text, U(N), np.zeros(7, U)), {2: np.bincount(at // 4, minlength=7)}


@launch("textbook", 4, 256, "Kogge_Stone_scan_kernel")
@launch("textbook", 4, 256, "Kogge_Stone_double_buffer")
@launch("textbook", 4, 128, "Brent_Kung_scan_kernel")
def sections(random: np.random.Generator) -> Any:
    x = random.integers(-9, 9, N).astype(F)
    padded = np.zeros(1024, F)
    padded[:N] = x
    return (x, np.zeros(N, F), U(N)), {1: padded.reshape(-1, 256).cumsum(1).ravel()[:N]}


@launch("textbook", 8, 128, variables={"blockCounter": 0, "flags": 0, "scan_value": 0})
def stream_scan_kernel(random: Any) -> Any:
    x = random.integers(-9, 9, N).astype(F)
    return (x, np.zeros(N, F), U(N)), {1: x.cumsum()}


@launch("textbook", 8, 64, "lookback_scan<64, 2>", variables={"next_tile": 0})
def lookback_scan(random: Any) -> Any:
    x = random.integers(-9, 9, N).astype(I)
    return (x, np.zeros(N, I), N, np.zeros(8, np.uint64)), {1: x.cumsum()}


@launch("textbook", 2, 32, "merge_basic_kernel")
@launch("textbook", 3, 16, "merge_tiled_kernel", shared=2 * 32 * 4, of=(32,))
def two_sorted(random: np.random.Generator, *more: Any) -> Any:
    a, b = (np.sort(random.integers(0, 99, n)).astype(I) for n in (150, 100))
    return (a, 150, b, 100, np.zeros(250, I), *more), {4: np.sort(np.concatenate([a, b]))}


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
