"""How kernels are run: checked, counted, traced, and in which order threads take turns."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastae.backends.emulator.recording import Trace


@dataclass(frozen=True)
class Traffic:
    """What the accesses of one instruction of a kernel cost, summed over a launch.

    Attributes
    ----------
    kernel, line : str
        File and line of the access.
    memory : {"global", "shared", "constant"}
    action : {"read", "write"}
    requests : int
        How many times a warp executed it.
    accesses : int
        How many times a thread did.
    transactions : int
        Of global memory, sectors of 32 bytes that were moved. Of shared memory, rounds of its 32 banks: more than one a
        request where lanes want different words of one bank. Of constant memory, places, which it gives one at a time.
    best : int
        The fewest transactions for as many bytes, side by side; of constant memory, one a request.

    Examples
    --------
    >>> traffic = Traffic("twice", "kernel.cu:3", "global", "read", requests=1, accesses=32, transactions=4, best=4)
    >>> traffic.transactions / traffic.best
    1.0
    """

    kernel: str
    line: str
    memory: str
    action: str
    requests: int
    accesses: int
    transactions: int
    best: int


class Counted(list[Traffic]):
    """The costs that `counting` collects: for each launch, its instructions that touch memory.

    Attributes
    ----------
    threads : int
        Launched in all blocks.
    barriers : int
        Times that a thread passed a ``__syncthreads()``.
    """

    threads = 0
    barriers = 0


class Settings:
    """How kernels are run."""

    checks = False
    order = 0
    seed = 1
    counts: Counted | None = None
    trace: Trace | None = None


settings = Settings()


@contextlib.contextmanager
def _changed(**values: Any) -> Iterator[None]:
    before = {name: getattr(settings, name) for name in values}
    vars(settings).update(values)
    try:
        yield
    finally:
        vars(settings).update(before)


@contextlib.contextmanager
def checking(order: str = "forward", seed: int = 1) -> Iterator[None]:
    """Check every access to memory in the kernels that run in this block, some 13 times slower.

    The first access that no CUDA program may make ends its launch with a `KernelFault`.

    Parameters
    ----------
    order : {"forward", "reverse", "random"}
        The order in which the threads of a block take turns between barriers.
    seed : int
        Of the random order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import KernelFault, RawKernel, device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with checking():
    ...     try:
    ...         RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(5)))
    ...     except KernelFault as fault:
    ...         print(fault.line, fault.thread, fault.fault)
    kernel.cu:3 (4, 0, 0) out of bounds
    """
    with _changed(checks=True, order=("forward", "reverse", "random").index(order), seed=seed):
        yield


@contextlib.contextmanager
def counting() -> Iterator[Counted]:
    """Check every access and count what it costs, in the kernels that run in this block.

    Yields
    ------
    Counted
        A list of `Traffic`, to which each launch adds its instructions that touch memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import RawKernel, device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with counting() as counts:
    ...     RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(4)))
    >>> [(traffic.line, traffic.action, traffic.accesses) for traffic in counts]
    [('kernel.cu:3', 'read', 4), ('kernel.cu:3', 'write', 4)]
    """
    counts = Counted()
    with _changed(counts=counts), checking():
        yield counts


@contextlib.contextmanager
def tracing() -> Iterator[Trace]:
    """Check and record every access, in the kernels that run in this block.

    Yields
    ------
    Trace
        The launches, with one that a fault has ended; ``save("page.html")`` writes a page that shows them step by step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import RawKernel, device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with tracing() as trace:
    ...     RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(4)))
    >>> len(trace)
    1
    >>> trace.save("twice.html")
    """
    trace = Trace()
    with _changed(trace=trace), checking():
        yield trace
