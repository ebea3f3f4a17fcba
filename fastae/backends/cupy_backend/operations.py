"""The step's operations; what nobody waits for runs beside the others, on branches.

A dense layer's are one kernel each; a convolution's are in ``convolutions``.

A weight's update is needed by no other operation of its step: each is launched on a branch of its own, which leaves the
session's stream when the delta is there and comes back where the cursor advances. So are the losses, their sum, the
cursor and the next batch, one after another on one branch: two batches have a buffer each, so a step's is gathered
while the one before it goes backward.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.backends.contract import Kernel
from fastae.backends.cupy_backend import convolutions
from fastae.backends.cupy_backend.branches import Branches
from fastae.backends.cupy_backend.launcher import WARP, Launcher, Tile, definitions, tiles
from fastae.errors import InputError
from fastae.operations import by_kind

MO, IO, MI = ("m", "o"), ("i", "o"), ("m", "i")
OPERATIONS = {
    "forward": Kernel("forward(a, W, b, y)", {"a": MI, "W": IO, "b": ("o",), "y": MO}, "f(a W + b)"),
    "forward_loss": Kernel(
        "forward_loss(a, W, b, y, x, scale, d)",
        {"a": MI, "W": IO, "b": ("o",), "y": MO, "x": MO, "d": MO},
        "σ(a W + b), and the gradient of its loss against x with respect to the pre-activations",
    ),
    "backward": Kernel("backward(d, W, y, out)", {"d": MO, "W": IO, "y": MI, "out": MI}, "(d Wᵀ) · f′"),
    "update": Kernel(
        "update(a, d, W, b, V, c, rate)",
        {"a": MI, "d": MO, "W": IO, "b": ("o",), "V": ("v", "o"), "c": ("w",), "rate": ("r",)},
        "W + rate[0] · aᵀ d, b + rate[0] · Σ_rows d; with velocities, v = rate[1] · v + gradient first",
    ),
}
FILE = "operations.cu"


def dense(launcher: Launcher, loss: str, activation: str) -> dict[str, Any]:
    """Bind the operations of a dense layer; ``forward_loss`` is the last layer's without its losses."""
    defined = definitions(loss, activation)

    def launch(name: str, tile: Tile, blocks: int, sizes: tuple[int, ...], **arguments: Any) -> None:
        real = arguments["W"].dtype
        launcher.launch(FILE, name, OPERATIONS[name], sizes, blocks, arguments, real, tile, **defined)

    def forward(a: Any, W: Any, b: Any, y: Any, local: Any = None, workspace: Any = None) -> None:
        (m, inputs), outputs = a.shape, W.shape[1]
        tile = launcher.tile(m, outputs, inputs, W.dtype)
        launch("forward", tile, tiles(m, outputs, tile), (m, inputs, outputs), a=a, W=W, b=b, y=y)

    def forward_loss(a: Any, W: Any, b: Any, y: Any, x: Any, scale: float, d: Any, local: Any = None) -> None:
        (m, inputs), outputs = a.shape, W.shape[1]
        tile, sizes = launcher.tile(m, outputs, inputs, W.dtype), (m, inputs, outputs)
        launch("forward_loss", tile, tiles(m, outputs, tile), sizes, a=a, W=W, b=b, y=y, x=x, scale=scale, d=d)

    def backward(d: Any, W: Any, y: Any, out: Any, local: Any = None, workspace: Any = None) -> None:
        (m, outputs), inputs = d.shape, W.shape[0]
        tile = launcher.tile(m, inputs, outputs, W.dtype)
        launch("backward", tile, tiles(m, inputs, tile), (m, inputs, outputs), d=d, W=W, y=y, out=out)

    def update(
        a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, local: Any = None, workspace: Any = None
    ) -> None:
        (m, inputs), outputs = a.shape, W.shape[1]
        if V.shape[0] not in (0, inputs) or c.shape[0] not in (0, outputs):
            raise InputError(f"update: the velocities must be as W and b, or have no rows; here {V.shape}, {c.shape}")
        tile = launcher.tile(inputs, outputs, m, W.dtype)
        blocks = tiles(inputs, outputs, tile) + -(-outputs // WARP)
        launch("update", tile, blocks, (m, inputs, outputs), a=a, d=d, W=W, b=b, V=V, c=c, rate=rate)

    return {"forward": forward, "forward_loss": forward_loss, "backward": backward, "update": update}


def make_operations(
    backend: Any,
    launcher: Launcher,
    loss: str,
    branches: Branches,
    activation: str = "sigmoid",
    kinds: Sequence[str] = ("dense",),
) -> dict[str, Any]:
    """Bind the operations of one session.

    Parameters
    ----------
    backend : CupyBackend
        Whose other kernels the step takes.
    launcher : Launcher
        By which products are launched.
    loss : {"mse", "bce"}
    branches : Branches
        Of which ``ahead`` has left when the first step begins.
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    kinds : sequence of str
        Of the network's layers, in their order; the last is dense or transposed.

    Returns
    -------
    dict
        As `fastae.operations.make_operations` has it, ``forward_loss`` in place of ``loss_gradient``; and the kernels
        that run on a branch.
    """
    ahead = branches.ahead
    loss_of_images = backend.mse_loss if loss == "mse" else backend.bce_loss

    def of_kind(kind: str, activation: str) -> dict[str, Any]:
        if kind == "dense":
            return dense(launcher, loss, activation)
        if kind not in convolutions.KINDS:
            raise NotImplementedError(f"the backend {backend.name!r} has no operations for layers of the kind {kind!r}")
        return convolutions.KINDS[kind](convolutions.Launches(launcher, **definitions(loss, activation)))

    of_kinds = {kind: of_kind(kind, activation) for kind in kinds}
    made = {
        name: by_kind([(kind, one[name]) for kind, one in of_kinds.items()])
        for name in ("forward", "backward", "update")
    }
    last, update_now = of_kind(kinds[-1], "sigmoid"), made["update"]
    if activation == "sigmoid":
        last = of_kinds[kinds[-1]]
    with_gradient = of_kinds[kinds[-1]]["forward_loss"]  # which has a sigmoid whatever the others have

    def gather(images: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
        with ahead.stream:
            (backend.gather if images.dtype == np.uint8 else backend.take)(images, order, cursor, offset, out)
        ahead.join()

    def forward_loss(
        a: Any,
        W: Any,
        b: Any,
        y: Any,
        x: Any,
        scale: float,
        d: Any,
        losses: Any,
        local: Any = None,
        workspace: Any = None,
    ) -> None:
        with_gradient(a, W, b, y, x, scale, d, local)
        with ahead.leave():
            loss_of_images(y, x, losses)

    def update(*arguments: Any) -> None:
        with branches.another():
            update_now(*arguments)

    def mse_loss(z: Any, x: Any, out: Any) -> None:
        with ahead.leave():
            backend.mse_loss(z, x, out)

    def column_sum(delta: Any, out: Any, alpha: Any = 1.0, beta: Any = 0.0) -> None:
        with ahead.stream:  # behind the losses
            backend.column_sum(delta, out, alpha, beta)

    def advance(cursor: Any, n: int) -> None:
        with ahead.stream:
            backend.advance(cursor, n)
        branches.join()

    return made | {
        "gather": gather,
        "output": last["forward"],
        "forward_loss": forward_loss,
        "update": update,
        "barrier": lambda workspace: None,
        "mse_loss": mse_loss,
        "column_sum": column_sum,
        "advance": advance,
    }
