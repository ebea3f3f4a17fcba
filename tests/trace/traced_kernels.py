"""Kernels whose launches are recorded, what was recorded, and what the page says of it."""

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastae import cli
from fastae.backends.emulator import Counted, KernelFault, RawModule, Recorded, device, tracing
from fastae.backends.emulator.source import kernels_of
from fastae.trace import page
from fastae.trace.record import Launch

NAIVE = """extern "C" __global__ void matmul(int n, const float* a, const float* b, float* c) {
  const int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  float sum = 0;
  for (int k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + col];
  c[row * n + col] = sum;
}"""

TILED = """#define SIDE 16
extern "C" __global__ void matmul(int n, const float* a, const float* b, float* c) {
  __shared__ float A[SIDE][SIDE], B[SIDE][SIDE];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * 16 + y, col = blockIdx.x * 16 + x;
  float sum = 0;
  for (int first = 0; first < n; first += 16) {
    A[y][x] = a[row * n + first + x];
    B[y][x] = b[(first + y) * n + col];
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += A[y][k] * B[k][x];
    __syncthreads();
  }
  c[row * n + col] = sum;
}"""

STRIDED = """extern "C" __global__ void reduce(const float* x, float* out) {
  __shared__ float part[256];
  const int t = threadIdx.x;
  part[t] = x[blockIdx.x * 256 + t];
  __syncthreads();
  for (int stride = 1; stride < 256; stride *= 2) {
    if (t % (2 * stride) == 0) part[t] += part[t + stride];
    __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = part[0];
}"""

FAR_APART = STRIDED.replace(
    "if (t % (2 * stride) == 0) part[t] += part[t + stride];",
    "if (2 * stride * t < 256) part[2 * stride * t] += part[2 * stride * t + stride];",
)
SEQUENTIAL = STRIDED.replace(
    "for (int stride = 1; stride < 256; stride *= 2)", "for (int stride = 128; stride > 0; stride /= 2)"
).replace("if (t % (2 * stride) == 0)", "if (t < stride)")
RACE = SEQUENTIAL.replace("    __syncthreads();\n  }", "  }")

TRANSPOSE = """extern "C" __global__ void transpose(int n, const float* in, float* out) {
  __shared__ float tile[32][32];
  const int x = threadIdx.x, y = threadIdx.y;
  tile[y][x] = in[(blockIdx.y * 32 + y) * n + blockIdx.x * 32 + x];
  __syncthreads();
  out[(blockIdx.x * 32 + y) * n + blockIdx.y * 32 + x] = tile[x][y];
}"""

BRANCHES = """extern "C" __global__ void branches(const float* x, float* out) {
  const int t = threadIdx.x;
  if (t % 2) {
    out[2 * t] = x[t];
    out[2 * t + 1] = x[t + 1];
  } else {
    for (int i = 0; i <= t % 4; ++i) out[2 * t] = x[t + i];
  }
  out[80 + t] = __shfl_down_sync(~0u, x[t], 1);
}"""

QUADS = """extern "C" __global__ void quads(const float4* x, float4* out, int* count) {
  extern __shared__ float4 room[];
  room[threadIdx.x] = x[2 * threadIdx.x];
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
  atomicAdd(count, 2);
}"""

CONSTANTS = """#define TAPS 5
__constant__ float taps[TAPS], table[2][8];
namespace inner { __constant__ int first = 1; }
__device__ float spare[64];
extern "C" __global__ void filter(const float* x, float* out) {
  const int t = threadIdx.x;
  float sum = table[1][t % 8] + inner::first;
  for (int i = 0; i < TAPS; ++i) sum += taps[i] * x[t + i];
  spare[t] = sum;
  out[t] = spare[t] + table[0][t % 2];
}"""

IN_TURNS = """extern "C" __global__ void in_turns(float* x) {
  for (int i = 0; i < 32; ++i) {
    if (threadIdx.x == i) x[64] += x[8 * i];
    __syncthreads();
  }
}"""


def on_device(*arrays: Any) -> list[Any]:
    return [device.array(np.asarray(x)) for x in arrays]


def floats(size: int) -> Any:
    return np.random.default_rng(size).standard_normal(size).astype(np.float32)


def products(n: int) -> list[Any]:
    return [np.int32(n), *on_device(floats(n * n), floats(n * n), np.zeros(n * n, np.float32))]


def sums() -> list[Any]:
    return on_device(floats(512), np.zeros(2, np.float32))


KERNELS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], Callable[[], list[Any]], int]] = {
    "naive matmul": (NAIVE, (2, 2), (16, 16), lambda: products(32), 0),
    "tiled matmul": (TILED, (2, 2), (16, 16), lambda: products(32), 0),
    "strided reduction": (STRIDED, (2,), (256,), sums, 0),
    "reduction with conflicts": (FAR_APART, (2,), (256,), sums, 0),
    "sequential reduction": (SEQUENTIAL, (2,), (256,), sums, 0),
    "transpose": (
        TRANSPOSE,
        (2, 2),
        (32, 32),
        lambda: [np.int32(64), *on_device(floats(4096), np.zeros(4096, np.float32))],
        0,
    ),
    "branches": (BRANCHES, (1,), (32,), lambda: on_device(floats(40), np.zeros(120, np.float32)), 0),
    "quads": (
        QUADS,
        (2,),
        (48,),
        lambda: on_device(floats(96 * 4), np.zeros(96 * 4, np.float32), np.zeros(1, np.int32)),
        48 * 16,
    ),
    "constants": (CONSTANTS, (1,), (48,), lambda: on_device(floats(64), np.zeros(48, np.float32)), 0),
    "in turns": (IN_TURNS, (1,), (32,), lambda: on_device(np.zeros(256, np.float32)), 0),
}


def run(name: str, code: str = "") -> None:
    written, grid, block, arguments, shared = KERNELS[name]
    code = code or written
    (kernel,) = kernels_of(code)
    RawModule(code, file="mine.cu").get_function(kernel)(grid, block, tuple(arguments()), shared_mem=shared)


def traced(name: str, code: str = "") -> Recorded:
    with tracing() as trace:
        run(name, code)
    (launch,) = trace
    return launch


def faulty(name: str, code: str) -> tuple[Launch, KernelFault]:
    with tracing() as trace, pytest.raises(KernelFault) as caught:
        run(name, code)
    (launch,) = trace
    assert launch.fault == str(caught.value)
    return Launch(launch), caught.value


FIELDS = ("requests", "accesses", "transactions", "best")


def counted(counts: Counted) -> Counter[tuple[str, ...]]:
    found = Counter[tuple[str, ...]]()
    for entry in counts:
        for field in FIELDS:
            found[entry.line, entry.memory, entry.action, field] += getattr(entry, field)
    return found


def shown(launch: Recorded) -> tuple[Counter[tuple[str, ...]], dict[str, Any]]:
    """Return the numbers in the page itself."""
    (told,) = data_of(page.page([launch]))[0]["launches"]
    found = Counter[tuple[str, ...]]()
    for place, memory, writes, *numbers in told["traffic"]:
        action = "write" if writes else "read"
        for field, number in zip(FIELDS, numbers, strict=True):
            found[told["places"][place], memory, action, field] += number
    return found, told


def trace_command(file: Path, out: Path, *options: object) -> tuple[int, dict[str, Any]]:
    """Run ``fastae trace``; return the exit status, and what the page holds, if there is one."""
    status = cli.main(["trace", "--out", str(out), str(file), *map(str, options)])
    return status, data_of(out.read_text(encoding="utf-8"))[0] if out.exists() else {}


def data_of(text: str) -> tuple[dict[str, Any], bytes]:
    match = re.search(r'<script id="data" type="text/plain">([^<]*)</script>', text)
    assert match
    data = zlib.decompress(base64.b64decode(match[1]))
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def line(code: str, words: str) -> int:
    (number,) = [i for i, text in enumerate(code.splitlines(), 1) if words in text]
    return number
