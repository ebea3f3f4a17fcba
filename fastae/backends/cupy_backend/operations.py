"""The step's operations; those that no other operation waits for run in parallel, on branches.

The operations of a dense layer are one kernel each; those of convolutions are in ``convolutions``.

No other operation of a step needs an update of weights. So each update is launched on its own branch, which forks from
the session's stream when the delta is computed and joins it where the cursor advances. The losses, their sum, the
cursor and the next batch are on one further branch, one after another. There are buffers for two batches, so a step's
batch is gathered during the backward pass of the step before it.
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
    """Make the operations of a dense layer; ``forward_loss`` does not compute the losses."""
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
    """Make the operations of one session.

    Parameters
    ----------
    backend : CupyBackend
        Its kernels are used for everything but the fused operations.
    launcher : Launcher
        Launches the fused operations.
    loss : {"mse", "bce"}
    branches : Branches
        ``branches.ahead`` must have forked when the first step begins.
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    kinds : sequence of str
        Of the network's layers, in their order; the last is dense or transposed.

    Returns
    -------
    dict
        The operations that `fastae.operations.make_operations` returns, with ``forward_loss`` instead of
        ``loss_gradient``, and the kernels that run on a branch.
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
    with_gradient = of_kinds[kinds[-1]]["forward_loss"]  # it always has a sigmoid

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
        with ahead.fork():
            loss_of_images(y, x, losses)

    def update(*arguments: Any) -> None:
        with branches.fork():
            update_now(*arguments)

    def mse_loss(z: Any, x: Any, out: Any) -> None:
        with ahead.fork():
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
