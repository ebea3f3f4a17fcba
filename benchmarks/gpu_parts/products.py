"""Time each product of the step with each tile and with cuBLAS, to explain the time of a step."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_parts.cublas import make_gemm
from gpu_parts.findings import Findings
from gpu_parts.kernels import task
from gpu_parts.launches import ready
from gpu_parts.limits import module, seconds
from gpu_parts.machine import backend

from fastae.backends.cupy_backend.launcher import TILES, record

SIZES = (16, 128, 1024)
REPEAT = 50  # launches in a graph, one after another, so that a launch costs what it does in a step


def measure(findings: Findings, rehearse: bool) -> None:
    """Report for each product: batch size, shape, µs with each tile, the chosen tile, and cuBLAS's µs."""
    k, cupy = backend(rehearse), module(rehearse)
    parameters, images = task(rehearse)
    s = k.session(parameters, images[:1], batch_size=1)
    repeat = 1 if rehearse else REPEAT
    with s.stream:
        gemm, made = make_gemm(s.stream, cupy, rehearsal=rehearse), s.operations()
        rate = k.asarray(np.zeros(2, np.float32))
        for m in (16,) if rehearse else SIZES:
            for layer, (W_host, b_host) in enumerate(zip(parameters.W, parameters.b)):
                inputs, outputs = W_host.shape
                W, b, rng = k.asarray(W_host), k.asarray(b_host), np.random.default_rng(layer)
                a, y, d, out = (k.asarray(rng.random((m, n), np.float32)) for n in (inputs, outputs, outputs, inputs))
                arguments = {
                    "forward": (a, W, b, y),
                    "backward": (d, W, a, out),
                    "update": (a, d, W, b, W[:0], b[:0], rate),
                }
                plain = {
                    "forward": lambda a=a, W=W, y=y: gemm(a, W, y),
                    "backward": lambda d=d, W=W, out=out: gemm(d, W, out, trans_b=True),
                    "update": lambda a=a, d=d, W=W: gemm(a, d, W, trans_a=True, alpha=-1e-9, beta=1),
                }
                for name in ("forward", "backward", "update") if layer else ("forward", "update"):
                    ours, chosen = _by_tile(k.launcher, lambda name=name, x=arguments[name]: made[name](*x))
                    times = {tile: _in_a_graph(cupy, s.stream, run, repeat) for tile, run in ours.items()}
                    times["cuBLAS"] = _in_a_graph(cupy, s.stream, plain[name], repeat)
                    shape = f"{inputs} to {outputs}"
                    findings.add("product", name=f"{name} {layer}", batch=m, shape=shape, chosen=chosen, us=times)


def _by_tile(launcher: Any, call: Callable[[], object]) -> tuple[dict[str, Callable[[], None]], str]:
    """Return the launch of a product with each tile, by the tile's name, and the name of the chosen tile."""
    asked, choose = [], launcher.tile

    def chosen(*lengths: int) -> Any:
        asked.append(choose(*lengths))
        return asked[-1]

    runs = {}
    try:
        launcher.tile = chosen
        ready(launcher, call)
        for tile in TILES:
            launcher.tile = lambda *lengths, tile=tile: tile
            (runs[str(tile)],) = ready(launcher, call)
    finally:
        del launcher.tile  # the class's own comes back
    return runs, str(asked[-1])


def _in_a_graph(cupy: Any, stream: Any, run: Callable[[], object], repeat: int) -> float:
    """Return the microseconds of a launch."""

    def runs() -> None:
        for _ in range(repeat):
            run()

    run()  # which compiles and loads
    return 1e6 * seconds(cupy, record(stream, runs).launch, min(repeat, 5)) / repeat
