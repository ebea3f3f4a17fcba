"""Measure the device's limits: multiply-adds, bytes, a launch, a node of a graph, a barrier across the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_parts import rehearsal
from gpu_parts.findings import Findings
from gpu_parts.machine import backend

from fastae.backends.cupy_backend.launcher import record
from fastae.cuda import source

ADDS = """
extern "C" __global__ void multiply_adds(int n, float x, float* out) {
  float sums[16];
  for (int i = 0; i < 16; ++i) sums[i] = threadIdx.x + i;
  for (int k = 0; k < n; ++k)
    for (int i = 0; i < 16; ++i) sums[i] = sums[i] * x + 1.0f;
  float sum = 0;
  for (int i = 0; i < 16; ++i) sum += sums[i];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""
BARRIERS = """
extern "C" __global__ void barriers(int n, unsigned* arrived) {
  unsigned goal = 0;
  for (int i = 0; i < n; ++i) grid_barrier(arrived, goal);
}
"""


def module(rehearse: bool) -> Any:
    """Return CuPy, or its stand-in in a rehearsal."""
    return rehearsal.cupy() if rehearse else backend(rehearse).launcher.cupy


def seconds(cupy: Any, run: Callable[[], object], repeat: int = 5) -> float:
    """Return the median time of ``run`` by events on the current stream."""
    run()
    times = []
    for _ in range(repeat):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record(cupy.cuda.get_current_stream())
        run()
        end.record(cupy.cuda.get_current_stream())
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
    return float(np.median(times))


def measure(findings: Findings, rehearse: bool) -> None:
    """Measure multiply-adds in float32 and copied bytes per second, and the µs of a launch and of a graph's node."""
    cupy: Any = module(rehearse)
    adds = cupy.RawModule(code=ADDS).get_function("multiply_adds")
    blocks = 8 * int(cupy.cuda.Device().attributes["MultiProcessorCount"])
    out, steps, many = cupy.zeros(blocks * 256, np.float32), 2 if rehearse else 20_000, 3 if rehearse else 1000

    def empty() -> None:
        for _ in range(many):
            adds((1,), (32,), (np.int32(0), np.float32(1), out))

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        work = seconds(cupy, lambda: adds((blocks,), (256,), (np.int32(steps), np.float32(1), out)))
        findings.add("limit", name="flops", value=2 * 16 * steps * blocks * 256 / work)
        big = cupy.zeros(1 << (10 if rehearse else 28), np.float32)
        copy = cupy.empty_like(big)
        findings.add("limit", name="bytes", value=2 * big.nbytes / seconds(cupy, lambda: cupy.copyto(copy, big)))
        findings.add("limit", name="launch", value=1e6 * seconds(cupy, empty) / many)
        findings.add("limit", name="node", value=1e6 * seconds(cupy, record(stream, empty).launch) / many)
        stream.synchronize()


def barrier(findings: Findings, rehearse: bool) -> None:
    """Measure the µs of a barrier across the device, a block on each multiprocessor."""
    cupy: Any = module(rehearse)
    code = source("barrier.cuh") + BARRIERS
    run = cupy.RawModule(code=code, enable_cooperative_groups=True).get_function("barriers")
    blocks, many = int(cupy.cuda.Device().attributes["MultiProcessorCount"]), 3 if rehearse else 1000

    def wait() -> None:
        arrived[:] = 0
        run((blocks,), (256,), (np.int32(many), arrived))

    with cupy.cuda.Stream(non_blocking=True):
        arrived = cupy.zeros(1, np.uint32)
        findings.add("limit", name="barrier", value=1e6 * seconds(cupy, wait) / many)
