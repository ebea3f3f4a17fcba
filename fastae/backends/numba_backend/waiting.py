"""The barrier at which the workers of a team wait for each other: they spin for a while, then sleep until woken.

A worker that only spins occupies a core that the worker it waits for may need, so it goes to sleep on one of CPython's
locks (``PyThread_acquire_lock_timed``). CPython has these functions on every system, they do not need the GIL, and
compiled code can call them by name. Each lock is acquired when it is made. A worker sleeps by acquiring its lock again,
and another worker wakes it by releasing the lock.
"""

import ctypes
import weakref
from typing import Any

import numpy as np

from fastae.backends.numba_backend.internals import cgutils, intrinsic, ir, name_address, types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.simd import I32, I64, Array, index

SPINS = 4096  # reads of the counter before a worker sleeps, about 80 µs: as long as it takes to be woken
SHORT_SPINS = 32  # the same where spinning has not helped lately
SHORT_AFTER = 3  # a worker spins for the short time after it has slept at so many barriers in a row
FULL_SPINS_EVERY = 64  # at every so many barriers a worker spins for the full time again
POLL_MICROSECONDS = 50_000  # µs of sleep between two checks whether the run has been ended

_python: Any = ctypes.pythonapi  # its calls hold the GIL, so none of those below may wait for another worker
_python.PyThread_allocate_lock.restype = ctypes.c_void_p
_python.PyThread_acquire_lock.argtypes = [ctypes.c_void_p, ctypes.c_int]
_python.PyThread_free_lock.argtypes = [ctypes.c_void_p]
for _name in ("PyThread_acquire_lock_timed", "PyThread_release_lock"):
    name_address(_name, ctypes.cast(getattr(_python, _name), ctypes.c_void_p).value or 0)

acquire = types.ExternalFunction("PyThread_acquire_lock_timed", types.int32(types.intp, types.int64, types.int32))
release = types.ExternalFunction("PyThread_release_lock", types.void(types.intp))


def make_waiters(waiters: np.ndarray) -> None:
    """Make the locks on which the workers sleep, one for each row; they are freed together with the array.

    Parameters
    ----------
    waiters : ndarray, int64, (workers, 2 or more)
        Written. [w, 0] is 1 while worker w sleeps and no other worker has begun to wake it; [w, 1] is the address of
        its lock.

    Raises
    ------
    MemoryError
        A lock cannot be allocated.
    """
    for waiter in waiters:
        lock = _python.PyThread_allocate_lock()
        if not lock:
            raise MemoryError
        weakref.finalize(waiters, _python.PyThread_free_lock, lock).atexit = False  # a daemon thread may sleep at exit
        _python.PyThread_acquire_lock(lock, 1)
        waiter[:2] = 0, lock


@intrinsic
def increment(typing_context, counter):
    """Add 1 to counter[0] atomically and return the sum."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        before = builder.atomic_rmw("add", builder.bitcast(address, I64.as_pointer()), index(1), "seq_cst")
        return builder.add(before, index(1))

    return types.int64(counter), generate


@intrinsic
def load(typing_context, counter):
    """Read counter[0] atomically; afterwards, all that other cores wrote before it is visible."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        return builder.load_atomic(builder.bitcast(address, I64.as_pointer()), "seq_cst", 8)

    return types.int64(counter), generate


@intrinsic
def exchange(typing_context, flag, new):
    """Write a number to flag[0] atomically and return the old one."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        return builder.atomic_rmw("xchg", builder.bitcast(address, I64.as_pointer()), arguments[1], "seq_cst")

    return types.int64(flag, types.int64), generate


@intrinsic
def pause(typing_context):
    """Emit the processor's instruction for spin loops, if it has one."""

    def generate(context, builder, signature, arguments):
        triple, nothing = builder.module.triple, ir.VoidType()
        if triple.startswith("x86_64"):
            kind = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif triple.startswith(("aarch64", "arm64")):
            kind = ir.FunctionType(nothing, [I32])  # ARM's own hint, yield, does not take any time
            wait = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.isb")
            builder.call(wait, [I32(15)])
        return context.get_dummy_value()

    return types.void(), generate


@jit
def barrier(workspace):
    """Wait until all workers have arrived; the last one wakes those that sleep."""
    worker, workers = workspace.place
    if workers == 1:
        return
    workspace.passed[0] += 1
    target = workspace.passed[0] * workers
    if increment(workspace.arrivals) == target:
        for other in range(workers):
            if load(workspace.waiters[other]) and exchange(workspace.waiters[other], 0):
                release(workspace.waiters[other, 1])
        return
    short = workspace.passed[1] >= SHORT_AFTER and workspace.passed[0] % FULL_SPINS_EVERY != 0
    for _ in range(SHORT_SPINS if short else SPINS):
        if load(workspace.arrivals) >= target:
            workspace.passed[1] = 0
            return
        pause()
    workspace.passed[1] += 1
    sleep(workspace, workspace.waiters[worker], target)


@jit
def sleep(workspace, waiter, target):
    """Sleep until all workers have arrived, or the run has been ended."""
    while load(workspace.arrivals) < target and not workspace.arrivals[1]:
        exchange(waiter, 1)
        if load(workspace.arrivals) >= target and exchange(waiter, 0):
            return  # no other worker has seen the flag, so none will release the lock
        while acquire(waiter[1], POLL_MICROSECONDS, 0) != 1:
            if workspace.arrivals[1]:
                return
