"""The barrier at which the workers of a team wait for each other: they spin for a while, then sleep until woken.

A worker that only spins keeps the core that the one it waits for may need. It sleeps on a lock of CPython's
(``PyThread_acquire_lock_timed``): the same few functions on every system, which need no interpreter and are called from
compiled code by their names. A lock is held from the start; to wait is to acquire it, to wake is to release it.
"""

import ctypes
import weakref
from typing import Any

import numpy as np

from fastae.backends.numba_backend.internals import cgutils, intrinsic, ir, name_address, types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.simd import I32, I64, Array, index

SPINS = 4096  # looks at the barrier, some 80 µs: about what it costs to be woken
FEW = 32  # looks where spinning was in vain
VAIN = 3  # times in a row that a worker spun and slept nevertheless
AGAIN = 64  # barriers after which it spins as long as before
LOOK = 50_000  # µs of sleep before it looks whether the run has been ended

_python: Any = ctypes.pythonapi  # each call holds the interpreter's lock, so none here may wait for another worker
_python.PyThread_allocate_lock.restype = ctypes.c_void_p
_python.PyThread_acquire_lock.argtypes = [ctypes.c_void_p, ctypes.c_int]
_python.PyThread_free_lock.argtypes = [ctypes.c_void_p]
for _name in ("PyThread_acquire_lock_timed", "PyThread_release_lock"):
    name_address(_name, ctypes.cast(getattr(_python, _name), ctypes.c_void_p).value or 0)

acquire = types.ExternalFunction("PyThread_acquire_lock_timed", types.int32(types.intp, types.int64, types.int32))
release = types.ExternalFunction("PyThread_release_lock", types.void(types.intp))


def make_beds(beds: np.ndarray) -> None:
    """Fill in the locks on which the workers will sleep, one in each row; they are freed with the array.

    Parameters
    ----------
    beds : ndarray, int64 (workers, 2 or more)
        [w, 0] is 1 while worker w sleeps and nobody has begun to wake it; [w, 1] is the address of its lock.
    """
    for bed in beds:
        lock = _python.PyThread_allocate_lock()
        if not lock:
            raise MemoryError
        weakref.finalize(beds, _python.PyThread_free_lock, lock).atexit = False  # at exit a daemon thread may sleep
        _python.PyThread_acquire_lock(lock, 1)
        bed[:2] = 0, lock


@intrinsic
def count(typing_context, counter):
    """Add one, as one step that every core sees, and return the sum."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        before = builder.atomic_rmw("add", builder.bitcast(address, I64.as_pointer()), index(1), "seq_cst")
        return builder.add(before, index(1))

    return types.int64(counter), generate


@intrinsic
def look(typing_context, counter):
    """Read what other cores write; what they wrote before is then seen too."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        return builder.load_atomic(builder.bitcast(address, I64.as_pointer()), "seq_cst", 8)

    return types.int64(counter), generate


@intrinsic
def swap(typing_context, flag, new):
    """Write a number, as one step that every core sees, and return the one before."""

    def generate(context, builder, signature, arguments):
        address = Array(context, builder, signature.args[0], arguments[0]).base
        return builder.atomic_rmw("xchg", builder.bitcast(address, I64.as_pointer()), arguments[1], "seq_cst")

    return types.int64(flag, types.int64), generate


@intrinsic
def pause(typing_context):
    """Tell the core that this is a spin loop, where it has an instruction for that."""

    def generate(context, builder, signature, arguments):
        triple, nothing = builder.module.triple, ir.VoidType()
        if triple.startswith("x86_64"):
            kind = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif triple.startswith(("aarch64", "arm64")):
            kind = ir.FunctionType(nothing, [I32])  # its own hint takes no time at all
            wait = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.isb")
            builder.call(wait, [I32(15)])
        return context.get_dummy_value()

    return types.void(), generate


@jit
def barrier(workspace):
    """Wait until all workers have come here; the last to come wakes those who sleep."""
    worker, workers = workspace.place
    if workers == 1:
        return
    workspace.passed[0] += 1
    everybody = workspace.passed[0] * workers
    if count(workspace.arrivals) == everybody:
        for other in range(workers):
            if look(workspace.beds[other]) and swap(workspace.beds[other], 0):
                release(workspace.beds[other, 1])
        return
    spins = FEW if workspace.passed[1] >= VAIN and workspace.passed[0] % AGAIN != 0 else SPINS
    for _ in range(spins):
        if look(workspace.arrivals) >= everybody:
            workspace.passed[1] = 0
            return
        pause()
    workspace.passed[1] += 1
    sleep(workspace, workspace.beds[worker], everybody)


@jit
def sleep(workspace, bed, everybody):
    """Sleep until all have come, or the run is ended."""
    while look(workspace.arrivals) < everybody and not workspace.arrivals[1]:
        swap(bed, 1)
        if look(workspace.arrivals) >= everybody and swap(bed, 0):
            return  # nobody has seen that it was about to sleep
        while acquire(bed[1], LOOK, 0) != 1:
            if workspace.arrivals[1]:
                return
