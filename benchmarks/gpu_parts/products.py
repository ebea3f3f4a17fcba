"""What each product of the step takes with each tile, and with cuBLAS: the profile behind a step's time."""

from typing import Any

import numpy as np
from gpu_parts.cublas import make_gemm
from gpu_parts.limits import seconds

from fastae.backends.cupy_backend.launcher import TILES
from fastae.backends.cupy_backend.operations import make_operations
from fastae.bench.contenders.job import initial_parameters

REPEAT = 50  # launches in a graph, one after another, so that a launch costs what it does in a step


def measure(backend: Any, cupy: Any, sizes: list[int], rehearsal: bool) -> list[dict[str, Any]]:
    """Return a row for each product: name, batch size, shape, microseconds by tile, what is chosen, and cuBLAS's."""
    launcher = backend.launcher
    weights, biases = initial_parameters()
    stream = cupy.cuda.Stream(non_blocking=True)
    rows, repeat = [], 1 if rehearsal else REPEAT
    with stream:
        gemm = make_gemm(stream, cupy, rehearsal=rehearsal)
        operations = make_operations(backend, launcher, "mse")
        rate, cursor = cupy.zeros(2, np.float32), cupy.zeros(1, np.int64)

        def join() -> None:
            operations["advance"](cursor, 0)  # where the branch of the updates comes back

        for m in sizes:
            for layer, (W_host, b_host) in enumerate(zip(weights, biases)):
                inputs, outputs = W_host.shape
                W, b = cupy.array(W_host), cupy.array(b_host)
                a, y, d, out = (
                    cupy.array(np.random.default_rng(i).random((m, n), np.float32))
                    for i, n in enumerate((inputs, outputs, outputs, inputs))
                )

                def update(a: Any = a, d: Any = d, W: Any = W, b: Any = b) -> None:
                    operations["update"](a, d, W, b, W[:0], b[:0], rate)

                runs = {
                    "forward": (lambda a=a, W=W, b=b, y=y: operations["forward"](a, W, b, y), (m, outputs)),
                    "update": (update, (inputs, outputs)),
                }
                plain = {
                    "forward": lambda a=a, W=W, y=y: gemm(a, W, y),
                    "update": lambda a=a, d=d, W=W: gemm(a, d, W, trans_a=True, alpha=-1e-9, beta=1),
                }
                if layer:
                    runs["backward"] = (
                        lambda d=d, W=W, a=a, out=out: operations["backward"](d, W, a, out),
                        (m, inputs),
                    )
                    plain["backward"] = lambda d=d, W=W, out=out: gemm(d, W, out, trans_b=True)
                for name, (run, shape) in runs.items():
                    row = {"product": f"{name} {layer}", "batch_size": m, "inputs": inputs, "outputs": outputs}
                    chosen, right = launcher.tile(*shape), launcher.tile
                    for tile in TILES:
                        launcher.tile = lambda rows, cols, tile=tile: tile
                        row[f"tile {tile}"] = _in_a_graph(cupy, stream, run, repeat, join if name == "update" else None)
                    launcher.tile = right
                    rows.append(row | {"chosen": chosen, "cuBLAS": _in_a_graph(cupy, stream, plain[name], repeat)})
    return rows


def _in_a_graph(cupy: Any, stream: Any, run: Any, repeat: int, join: Any = None) -> float:
    run()
    stream.begin_capture()
    for _ in range(repeat):
        run()
    if join is not None:
        join()
    graph = stream.end_capture()
    return 1e6 * seconds(cupy, graph.launch, min(repeat, 5)) / repeat
