"""The host's time for a launch by CuPy alone and by fastae, for an eager step, and for launching a graph."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from gpu_parts.findings import Findings
from gpu_parts.kernels import task
from gpu_parts.launches import ready
from gpu_parts.machine import backend

from fastae.backends.cupy_backend.session import STEPS_A_GRAPH

BATCH = 16
QUEUED = 200  # launches in a row: fewer than a stream takes before the host has to wait
ROUNDS = 15


def measure(findings: Findings, rehearse: bool) -> None:
    """Measure the host's microseconds without waiting for the device."""
    k = backend(rehearse)
    parameters, images = task(rehearse)
    sessions = {
        mode: k.session(parameters, images, batch_size=BATCH, lr=1e-6, mode=mode) for mode in ("eager", "captured")
    }
    eager, count = sessions["eager"], 3 if rehearse else QUEUED

    def of_host(name: str, call: Callable[[], object], calls: int, synchronize: Callable[[], object]) -> None:
        times = []
        for _ in range(2 if rehearse else ROUNDS):
            synchronize()
            began = time.perf_counter()
            for _ in range(calls):
                call()
            times.append((time.perf_counter() - began) / calls)
        synchronize()
        findings.add("host", name=name, us=1e6 * float(np.median(times)))

    with eager.stream:
        W, b = (k.asarray(p[0]) for p in (parameters.W, parameters.b))
        a, y = (k.asarray(np.zeros((BATCH, n), np.float32)) for n in W.shape)
        cursor, forward = k.asarray(np.zeros(1, np.int64)), eager.operations()["forward"]
        for name, call in (("advance", lambda: k.advance(cursor, 0)), ("forward", lambda: forward(a, W, b, y))):
            (alone,) = ready(k.launcher, call)
            call()
            of_host(f"{name}, CuPy's call alone", alone, count, eager.stream.synchronize)
            of_host(f"{name}, with ours around it", call, count, eager.stream.synchronize)
    for mode, steps, name in (
        ("eager", 1, "a step, eager"),
        ("captured", 1, "a graph of 1 step"),
        ("captured", STEPS_A_GRAPH, f"a graph of {STEPS_A_GRAPH} steps"),
    ):
        s = sessions[mode]
        s.start(np.arange(len(images)))
        s.run(2 + STEPS_A_GRAPH)  # which compiles and captures
        of_host(name, partial(s.run, steps), 1 if rehearse else 10, s.stream.synchronize)
