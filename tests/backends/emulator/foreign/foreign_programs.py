"""Launches of puzzles, of whole algorithms, and of what exercises the language."""

from typing import Any

import numpy as np
from foreign_launches import F, I, U, by_value, launch


def numbers(n: int) -> Any:
    return np.arange(n, dtype=F)


@launch("puzzles", 1, 4, "Map", of=(4,))
@launch("puzzles", 1, 8, "MapGuard", of=(4, 4.0))
@launch("puzzles", 1, (3, 3), "Map2DGuard", of=(4, 2))
@launch("puzzles", (2, 2), (3, 3), "MapBlock2D", of=(25, 5.0))
@launch("puzzles", 2, 4, "Shared", shared=16, of=(7, 7.0))
def ten_more(random: Any, n: int, *size: float) -> Any:
    return (numbers(n), np.zeros(n, F), *size), {1: numbers(n) + 10}


@launch("puzzles", 1, 4)
def Zip(random: Any) -> Any:
    return (numbers(4), numbers(4), np.zeros(4, F)), {2: 2 * numbers(4)}


@launch("puzzles", 1, (3, 3))
def Broadcast(random: Any) -> Any:
    return (numbers(2), numbers(2), np.zeros((2, 2), F), 2), {2: numbers(2)[:, None] + numbers(2)}


@launch("puzzles", 1, 8, shared=32)
def Pooling(random: Any) -> Any:
    return (numbers(8), np.zeros(8, F), 8.0), {1: np.convolve(numbers(8), np.ones(3))[:8]}


@launch("puzzles", 1, 8, shared=32)
def DotProduct(random: Any) -> Any:
    return (numbers(8), numbers(8), np.zeros(1, F), 8.0), {2: numbers(8) @ numbers(8)}


@launch("puzzles", 2, 8)
def Conv1D(random: Any) -> Any:
    a, b = random.standard_normal(15, F), random.standard_normal(4, F)
    return (a, b, np.zeros(15, F), 15, 4), {2: np.correlate(np.pad(a, (0, 3)), b, "valid")}


@launch("puzzles", 2, 8, shared=32)
def PrefixSum(random: Any) -> Any:
    return (numbers(15), np.zeros(2, F), 15), {1: [28, 77]}


@launch("puzzles", (1, 4), 8)
def AxisSum(random: Any) -> Any:
    return (numbers(24), np.zeros(4, F), 6), {1: numbers(24).reshape(4, 6).sum(1)}


@launch("puzzles", (2, 2), (8, 8))
def Matmul(random: Any) -> Any:
    a, b = random.standard_normal((13, 13), F), random.standard_normal((13, 13), F)
    return (a, b, np.zeros_like(a), 13), {2: a @ b}


@launch("puzzles", 2, 32)
def saxpy(random: Any) -> Any:
    x, y = random.standard_normal(100, F), random.standard_normal(100, F)
    return (100, 2.5, x, y), {3: F(2.5) * x + y}


@launch("puzzles", 1, 64, "staticReverse")
@launch("puzzles", 1, 64, "dynamicReverse", shared=256)
def reversed_order(random: Any) -> Any:
    return (np.arange(64, dtype=I), 64), {0: np.arange(64)[::-1]}


@launch("puzzles", 3, 256)
def dot(random: Any) -> Any:
    a, b = random.integers(0, 9, 2112).astype(F), random.integers(0, 9, 2112).astype(F)
    return (a, b, np.zeros(3, F)), {2: lambda out: (out.sum(), a @ b)}


@launch("algorithms", 4, 64, shared=40)
def assign_clusters(random: Any) -> Any:
    x, means = random.standard_normal((2, 200), F), random.standard_normal((2, 5), F)
    best = ((x[:, :, None] - means[:, None]) ** 2).sum(0).argmin(1)
    points = {"type": np.dtype([("x", "u8"), ("y", "u8"), ("size", "u8")]), "x": x[0], "y": x[1], "size": 200}
    given = (points, *means, np.zeros(5, F), np.zeros(5, F), 5, np.zeros(5, I))
    return given, {3: np.bincount(best, x[0], 5), 4: np.bincount(best, x[1], 5), 6: np.bincount(best, minlength=5)}


@launch("algorithms", 1, 5)
def compute_new_means(random: Any) -> Any:
    sums, counts = random.standard_normal((2, 5), F), I([0, 1, 2, 3, 4])
    return (np.zeros(5, F), np.zeros(5, F), *sums, counts), {0: sums[0] / np.maximum(1, counts)}


@launch("algorithms", 4, 64, variables={"pattern": np.frombuffer(b"abra", "i1")})
def count_matches(random: Any) -> Any:
    text = b"abracadabra" * 20
    places = [i for i in range(len(text)) if text[i : i + 4] == b"abra"]
    given = (np.frombuffer(text, "i1"), len(text), 4, np.full(60, 999, I), np.zeros(1, U))
    return given, {3: lambda out: (np.sort(out)[: len(places)], places), 4: len(places)}


@launch("algorithms", 1, 32)
def sieve_bits(random: Any) -> Any:
    primes = [p for p in range(3, 500, 2) if all(p % q for q in range(3, p, 2))]
    given = (np.zeros(8, U), np.uint64(499))
    return given, {0: lambda out: ([2 * i + 3 for i in range(249) if not out[i // 32] >> U(i % 32) & 1], primes)}


@launch("algorithms", (2, 2), (16, 16))
def floyd_warshall(random: Any) -> Any:
    d = random.integers(1, 99, (20, 20)).astype(I)
    d[3, 3] = 0
    return (d, 20, 3), {0: np.minimum(d, d[:, 3:4] + d[3:4])}


@launch("algorithms", 2, 64)
def filter_arr(random: Any) -> Any:
    x = random.integers(-9, 9, 300).astype(I)
    return (np.zeros(300, I), np.zeros(1, I), x, 300), {
        0: lambda out: (np.sort(out), np.sort(np.maximum(x, 0))),
        1: (x > 0).sum(),
    }


@launch("algorithms", 2, 64)
def bucket_counts(random: Any) -> Any:
    x = random.integers(0, 99, 100).astype(I)
    counts = np.bincount(x % 5, minlength=5)
    places = sorted((b, i) for b in range(5) for i in range(counts[b]))
    return (x, 100, 5, np.zeros(5, I), np.zeros(100, I)), {
        3: counts,
        4: lambda out: (sorted(zip(x % 5, out, strict=True)), places),
    }


@launch("algorithms", 2, 32)
def locked_add(random: Any) -> Any:
    of = random.integers(0, 4, 50).astype(I)
    sums = np.repeat(np.bincount(of, np.arange(50), 4)[:, None], 3, 1)
    return (np.zeros(4, I), np.zeros((4, 3), I), 3, of, 50), {1: sums}


@launch("algorithms", 2, 32, variables={"ready": 0})
def hand_over(random: Any) -> Any:
    return (np.zeros(32, I),), {0: 3 * np.arange(32)}


@launch("language", 1, 16, shared=20 * 9)
def packed_shared(random: Any) -> Any:
    a, b = random.integers(0, 9, 20).astype(I), random.standard_normal(20, F)
    c = random.integers(0, 99, 20).astype("i1")
    return (a, b, c, np.zeros(20, F), 20), {3: a[::-1] * b + np.roll(c, -1)}


NOTHING = np.zeros(1, "u1")  # what an empty struct is passed as


@launch("language", 2, 32, "binary_elementwise<Add, int, 2>", of=(NOTHING, I, 101, np.add))
@launch("language", 2, 32, "binary_elementwise<Mul, float, 4>", of=(NOTHING, F, 103, np.multiply))
@launch("language", 2, 32, "binary_elementwise<Axpby<double>, double, 2>",
        of=(np.array([2.0, 3.0]), np.float64, 101, lambda x, y: 2 * x + 3 * y))  # fmt: skip
def two_vectors(random: Any, factors: Any, dtype: Any, n: int, operation: Any) -> Any:
    x, y = (99 * random.random((2, n))).astype(dtype)
    return (by_value(factors), x, y, np.zeros(n, dtype), np.int64(n)), {3: operation(x, y)}


@launch("language", 1, 32)
def through_pointers(random: Any) -> Any:
    x, which = random.standard_normal(50, F), random.integers(0, 2, 50).astype(I)
    return (x, np.zeros(50, F), which, 50), {1: np.where(which, x / 2, x * x)}


@launch("language", 1, 8)
def recursive(random: Any) -> Any:
    x = random.integers(0, 99, (6, 20)).astype(I)
    return (x, 6, 20, np.zeros(6, I)), {0: np.sort(x, 1), 3: [3, 5, 7, 9, 3, 5]}


@launch("language", 2, 32)
def hello(random: Any) -> Any:
    return (2,), {}


@launch("language", 1, 8)
def interpreter(random: Any) -> Any:
    program = np.array([(0, 3), (0, -1), (1, 0), (0, 5), (2, 0), (3, 0), (4, 0)], [("op", "u1"), ("arg", "i1")])
    t = np.arange(8)
    results = -((3 + t + t - 1) * (5 + t))
    return (program, 7, np.zeros(8, I), np.zeros(8, F)), {2: results, 3: 2.0 * np.abs(results)}


@launch("language", 1, 32)
def morton(random: Any) -> Any:
    xy = random.integers(0, 2**16, (40, 2)).astype(U)
    codes = [sum((int(x) >> i & 1) << 2 * i | (int(y) >> i & 1) << 2 * i + 1 for i in range(16)) for x, y in xy]
    mixed = []
    for code in codes:
        mirrored, bits = int(f"{code:032b}"[::-1], 2), f"{code:b}"
        words = [mirrored >> 8 * i & 255 for i in range(4)] + [code >> 8 * i & 255 for i in range(4)]
        chosen = words[0] | words[1] << 8 | words[6] << 16 | words[7] << 24
        mixed.append(chosen ^ bits.count("1") ^ (32 - len(bits)))
    return (xy, np.zeros(40, U), np.zeros(40, U), 40), {1: codes, 2: mixed}


@launch("language", (2, 2, 2), (4, 2, 3))
def volume_index(random: Any) -> Any:
    z, y, x = np.mgrid[:5, :3, :6]
    return (np.zeros((5, 3, 6, 3), I), by_value(U([6, 3, 5]))), {0: np.stack([x, y, z], -1)}


@launch("language", 1, 8)
def suffix_max(random: Any) -> Any:
    x = random.standard_normal(50, F)
    rows = [np.maximum.accumulate(x[i : i + 12][::-1])[::-1] for i in range(0, 50, 12)]
    return (x, np.zeros(50, F), np.uint64(50), np.uint64(12)), {1: np.concatenate(rows)}


@launch("language", 1, 1, "describe<double>", of=(np.float64, 5.5))
@launch("language", 1, 1, "describe<int>", of=(I, 6))
def described(random: Any, dtype: Any, expected: float) -> Any:
    return (np.zeros(1, dtype),), {0: expected}


@launch("language", 1, 32)
def two_scratches(random: Any) -> Any:
    t = np.arange(32)
    return (np.zeros(32, I),), {0: (31 - t) + (131 - t) + ((t + 1) % 32 % 3 == 0) * 1000 + 7}
