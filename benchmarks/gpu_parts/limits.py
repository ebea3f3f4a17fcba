"""What the device can do, measured: multiply-adds, bytes, a launch, a node of a graph, a barrier across it."""

from typing import Any

import numpy as np

from fastae.cuda import source

KERNELS = """
extern "C" __global__ void multiply_adds(int n, float x, float* out) {
  float sums[16];
  for (int i = 0; i < 16; ++i) sums[i] = threadIdx.x + i;
  for (int k = 0; k < n; ++k)
    for (int i = 0; i < 16; ++i) sums[i] = sums[i] * x + 1.0f;
  float sum = 0;
  for (int i = 0; i < 16; ++i) sum += sums[i];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
extern "C" __global__ void barriers(int n, unsigned* arrived) {
  unsigned goal = 0;
  for (int i = 0; i < n; ++i) grid_barrier(arrived, goal);
}
"""


def seconds(cupy: Any, run: Any, repeat: int = 5) -> float:
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


def measure(cupy: Any, rehearsal: bool) -> dict[str, float]:
    """Return the limits of the current device.

    Returns
    -------
    dict
        ``flops`` (float32, a second), ``bytes`` (of a copy, read and written, a second), and in microseconds ``launch``
        (of an empty kernel, one after another), ``node`` (the same in a graph) and ``barrier``.
    """
    persistent = source("persistent.cu")
    code = persistent[: persistent.index("template <bool CROSS_ENTROPY>\n__device__ inline void train(")] + KERNELS
    options = ("-Dreal=float",)
    plain = cupy.RawModule(code=code, options=options)
    together = cupy.RawModule(code=code, options=options, enable_cooperative_groups=True)
    adds, barriers = plain.get_function("multiply_adds"), together.get_function("barriers")
    blocks = 8 * int(cupy.cuda.Device().attributes["MultiProcessorCount"])
    out, steps = cupy.zeros(blocks * 256, np.float32), 2 if rehearsal else 20_000
    flops = 2 * 16 * steps * blocks * 256
    arrived, many = cupy.zeros(1, np.uint32), 3 if rehearsal else 1000
    big = cupy.zeros(1 << (10 if rehearsal else 28), np.float32)
    copy = cupy.empty_like(big)

    def wait() -> None:
        arrived[:] = 0
        barriers((blocks // 8,), (256,), (np.int32(many), arrived))

    def launches(count: int = many) -> None:
        for _ in range(count):
            adds((1,), (32,), (np.int32(0), np.float32(1), out))

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        launches(1)
        stream.begin_capture()
        launches()
        graph = stream.end_capture()
        found = {
            "flops": flops / seconds(cupy, lambda: adds((blocks,), (256,), (np.int32(steps), np.float32(1), out))),
            "bytes": 2 * big.nbytes / seconds(cupy, lambda: cupy.copyto(copy, big)),
            "launch": 1e6 * seconds(cupy, launches) / many,
            "node": 1e6 * seconds(cupy, graph.launch) / many,
            "barrier": 1e6 * seconds(cupy, wait) / many,
        }
        stream.synchronize()
    return found
