"""The step's four operations, each one kernel; what nobody waits for runs beside the others, on a second stream.

A weight's update is needed by no other operation of its step, and neither is the sum of the losses: they are launched
on a branch that leaves the main stream when their inputs are ready, and comes back where the cursor advances. Captured,
the branch becomes a branch of the graph.
"""

from typing import Any

from fastae.backends.contract import Kernel
from fastae.backends.cupy_backend.launcher import WARP, Launcher, tiles
from fastae.errors import InputError

MO, IO, MI = ("m", "o"), ("i", "o"), ("m", "i")
OPERATIONS = {
    "forward": Kernel("forward(a, W, b, y)", {"a": MI, "W": IO, "b": ("o",), "y": MO}, "σ(a W + b)"),
    "loss_gradient": Kernel(
        "loss_gradient(z, x, scale, d, losses)",
        {"z": MO, "x": MO, "d": MO, "losses": ("m",)},
        "the gradient of the loss with respect to the last pre-activations, and the loss of each image",
    ),
    "backward": Kernel("backward(d, W, y, out)", {"d": MO, "W": IO, "y": MI, "out": MI}, "(d Wᵀ) · y · (1 − y)"),
    "update": Kernel(
        "update(a, d, W, b, V, c, rate)",
        {"a": MI, "d": MO, "W": IO, "b": ("o",), "V": ("v", "o"), "c": ("w",), "rate": ("r",)},
        "W + rate[0] · aᵀ d, b + rate[0] · Σ_rows d; with velocities, v = rate[1] · v + gradient first",
    ),
}
FILE = "operations.cu"


def make_operations(k: Any, launcher: Launcher, loss: str) -> dict[str, Any]:
    """Bind the operations of one session.

    Parameters
    ----------
    k : CupyBackend
        Whose other kernels the step takes.
    launcher : Launcher
        By which products are launched.
    loss : {"mse", "bce"}

    Returns
    -------
    dict
        As `fastae.step.make_operations` has it, and the kernels that run on the branch or end it.
    """
    cuda = launcher.cupy.cuda
    branch, left, joined = (
        cuda.Stream(non_blocking=True),
        cuda.Event(disable_timing=True),
        cuda.Event(disable_timing=True),
    )

    def beside(launch: Any) -> None:
        left.record(cuda.get_current_stream())
        branch.wait_event(left)
        with branch:
            launch()

    def forward(a: Any, W: Any, b: Any, y: Any, own: Any = None) -> None:
        (m, inputs), outputs = a.shape, W.shape[1]
        tile = launcher.tile(m, outputs)
        sizes, arguments = (tile, m, inputs, outputs), {"a": a, "W": W, "b": b, "y": y}
        launcher.launch(FILE, "forward", OPERATIONS["forward"], sizes, tiles(m, outputs, tile), arguments, W.dtype)

    def loss_gradient(z: Any, x: Any, scale: float, d: Any, losses: Any, own: Any = None) -> None:
        arguments = {"z": z, "x": x, "scale": scale, "d": d, "losses": losses}
        launcher.launch(
            FILE, f"{loss}_loss_gradient", OPERATIONS["loss_gradient"], z.shape, z.shape[0], arguments, z.dtype
        )

    def backward(d: Any, W: Any, y: Any, out: Any, own: Any = None) -> None:
        (m, outputs), inputs = d.shape, W.shape[0]
        tile = launcher.tile(m, inputs)
        sizes, arguments = (tile, m, inputs, outputs), {"d": d, "W": W, "y": y, "out": out}
        launcher.launch(FILE, "backward", OPERATIONS["backward"], sizes, tiles(m, inputs, tile), arguments, W.dtype)

    def update(a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, own: Any = None) -> None:
        (m, inputs), outputs = a.shape, W.shape[1]
        if V.shape[0] not in (0, inputs) or c.shape[0] not in (0, outputs):
            raise InputError(f"update: the velocities must be as W and b, or have no rows; here {V.shape}, {c.shape}")
        tile = launcher.tile(inputs, outputs)
        blocks = tiles(inputs, outputs, tile) + -(-outputs // WARP)
        arguments = {"a": a, "d": d, "W": W, "b": b, "V": V, "c": c, "rate": rate}
        beside(
            lambda: launcher.launch(
                FILE, "update", OPERATIONS["update"], (tile, m, inputs, outputs), blocks, arguments, W.dtype
            )
        )

    def column_sum(delta: Any, out: Any, alpha: Any = 1.0, beta: Any = 0.0) -> None:
        beside(lambda: k.column_sum(delta, out, alpha, beta))

    def advance(cursor: Any, n: int) -> None:
        joined.record(branch)
        cuda.get_current_stream().wait_event(joined)
        k.advance(cursor, n)

    return {
        "forward": forward,
        "loss_gradient": loss_gradient,
        "backward": backward,
        "update": update,
        "barrier": lambda own: None,
        "column_sum": column_sum,
        "advance": advance,
    }
