"""The step's operations for convolutions: products that read patches directly from images, and products with a fold.

The forward pass of a convolution and the backward pass of a transposed one are a single product, whose left factor is
the patches. The other two passes are a product and then a fold, which also applies the bias, activation or derivative.
The update of both is a product with a sum over all pixels. Its result is small and its sum is long, so several parts of
the sum are computed in parallel, and a second kernel adds them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import KERNELS, Kernel, check_patches
from fastae.backends.cupy_backend.launcher import THREADS, WARP, Launcher, tiles
from fastae.errors import InputError
from fastae.layers import Geometry, Layer
from fastae.operations import NUMBERS, rows

MN, PQ, PC, QC = ("m", "n"), ("p", "q"), ("p", "c"), ("q", "c")
OPERATIONS = {
    "convolution_forward": Kernel(
        "convolution_forward(a, W, b, y, height, width, kernel, stride, padding)",
        {"a": MN, "W": QC, "b": ("c",), "y": PC},
        "f(unfold(a) W + b)",
    ),
    "transposed_backward": Kernel(
        "transposed_backward(d, W, y, out, height, width, kernel, stride, padding)",
        {"d": MN, "W": QC, "y": PC, "out": PC},
        "(unfold(d) W) · f′",
    ),
    "gradients": Kernel(
        "gradients(x, pixels, d, parts, bias_parts, height, width, kernel, stride, padding)",
        {"x": MN, "pixels": PC, "d": ("o", "b"), "parts": ("s", "w"), "bias_parts": ("t", "b")},
        "parts, a row each, of unfold(x)ᵀ pixels and of the column sums of d",
    ),
    "fold_forward": Kernel(
        "fold_forward(products, b, y, height, width, kernel, stride, padding)",
        {"products": PQ, "b": ("c",), "y": MN},
        "f(fold(products) + b)",
    ),
    "fold_forward_loss": Kernel(
        "fold_forward_loss(products, b, y, x, scale, d, height, width, kernel, stride, padding)",
        {"products": PQ, "b": ("c",), "y": MN, "x": MN, "d": MN},
        "σ(fold(products) + b), and the gradient of its loss against x with respect to the pre-activations",
    ),
    "fold_backward": Kernel(
        "fold_backward(products, y, out, height, width, kernel, stride, padding)",
        {"products": PQ, "y": MN, "out": MN},
        "fold(products) · f′",
    ),
    "descend_by_parts": Kernel(
        "descend_by_parts(parts, bias_parts, W, b, V, c, rate)",
        {
            "parts": ("s", "w"),
            "bias_parts": ("t", "o"),
            "W": QC,
            "b": ("o",),
            "V": ("v", "c"),
            "c": ("u",),
            "rate": ("r",),
        },
        "W + rate[0] · Σ parts, b + rate[0] · Σ bias_parts; with velocities, v = rate[1] · v + gradient first",
    ),
}
ROWS_OF_A_PART = 128  # the fewest rows of the deltas that a block sums for the biases
MOST_PARTS = 64  # the most parts of the biases' sums


class Local(NamedTuple):
    """A layer's data besides parameters: `fastae.step.Local` without copies of patches."""

    kind: int  # index in fastae.operations.KINDS
    geometry: Any = Geometry()  # of its patches
    products: Any = None  # (m · patches, numbers of a patch): all layers use the same memory, one after another
    parts: Any = None  # (parts, weights): the parts of the gradient
    bias_parts: Any = None  # a vector: room for the parts of the biases' gradient


def make_local(launcher: Launcher, layers: Sequence[Layer], m: int, real: np.dtype[Any]) -> tuple[Local, ...]:
    """Make ``Buffers.local`` for batches of m images."""

    def zeros(*shape: int) -> Any:
        return launcher.cupy.array(np.zeros(shape, real))

    products = zeros(max(m * layer.patches * layer.shape[0] if layer.shared else 0 for layer in layers))
    found = []
    for layer in layers:
        kind, local = NUMBERS[layer.kind], Local(NUMBERS["dense"])
        if layer.shared:
            patches, (numbers, others) = m * layer.patches, layer.shape
            _, parts = launcher.shared(numbers, others, patches, real)
            mine = products[: patches * numbers].reshape((patches, numbers))
            local = Local(
                kind,
                layer.geometry,
                mine,
                zeros(parts, numbers * others),
                zeros(MOST_PARTS * max(WARP, layer.channels)),
            )
        found.append(local)
    return tuple(found)


def shrink_local(local: Local, m: int) -> Local:
    """Return a layer's data for batches of only m images."""
    if local.products is None:
        return local
    return local._replace(products=local.products[: m * local.geometry.rows * local.geometry.columns])


def side_by_side(deltas: int, channels: int) -> int:
    """Return how many rows of the deltas to treat as one: with few channels, most lanes of a warp would be idle."""
    return max(k for k in range(1, max(1, WARP // channels) + 1) if deltas % k == 0)


class Launches:
    """Launches the kernels of ``convolutions.cu`` and ``folds.cu``.

    Parameters
    ----------
    launcher : Launcher
    **defined
        The macros that `fastae.backends.cupy_backend.launcher.definitions` returns.
    """

    def __init__(self, launcher: Launcher, **defined: int) -> None:
        self.launcher = launcher
        no_loss = {name: value for name, value in defined.items() if name != "BCE"}
        self._defined = {"convolutions.cu": no_loss, "folds.cu": defined}

    def forward(self, a: Any, W: Any, b: Any, y: Any, g: Geometry) -> None:
        """Launch ``convolution_forward``; y has a row for each pixel."""
        self._of_patches("convolution_forward", {"a": a, "W": W, "b": b, "y": y}, a, y, g)

    def backward(self, d: Any, W: Any, y: Any, out: Any, g: Geometry) -> None:
        """Launch ``transposed_backward``; y and out have a row for each pixel."""
        self._of_patches("transposed_backward", {"d": d, "W": W, "y": y, "out": out}, d, out, g)

    def product(self, pixels: Any, W: Any, products: Any) -> None:
        """Launch products = pixels Wᵀ, which must be followed by a fold."""
        (numbers, channels), count = W.shape, pixels.shape[0]
        arguments = {"a": pixels, "b": W, "out": products, "trans_a": False, "trans_b": True, "alpha": 1.0, "beta": 0.0}
        tile = self.launcher.tile(count, numbers, channels, W.dtype)
        sizes, blocks = (count, numbers, channels), tiles(count, numbers, tile)
        self.launcher.launch("matmul.cu", "matmul", KERNELS["matmul"], sizes, blocks, arguments, W.dtype, tile)

    def fold(self, name: str, g: Geometry, images: Any, **arguments: Any) -> None:
        """Launch one of the folds of ``folds.cu``; its outputs have the shape of ``images``."""
        self._check(name, g, images, arguments["products"].shape)
        blocks = -(-images.size // THREADS)
        arguments |= g._asdict()
        self._launch("folds.cu", name, images.shape, blocks, arguments, images.dtype)

    def update(self, x: Any, pixels: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, local: Local) -> None:
        """Launch ``gradients`` and ``descend_by_parts``; d has a row for each pixel."""
        if V.shape[0] not in (0, W.shape[0]) or c.shape[0] not in (0, b.shape[0]):
            raise InputError(f"update: the velocities must be as W and b, or have no rows; here {V.shape}, {c.shape}")
        (numbers, others), depth, real = W.shape, pixels.shape[0], W.dtype
        self._check("gradients", local.geometry, x, (depth, numbers))
        tile, count = self.launcher.shared(numbers, others, depth, real)
        parts = local.parts[
            : min(count, len(local.parts))
        ]  # a smaller batch might have more parts than there is room for
        channels = b.shape[0]
        k = side_by_side(len(d), channels)
        d = rows(d, k * channels)
        count = max(1, min(MOST_PARTS, -(-len(d) // ROWS_OF_A_PART)))
        bias_parts = local.bias_parts[: count * k * channels].reshape((count, k * channels))
        arguments = {"x": x, "pixels": pixels, "d": d, "parts": parts, "bias_parts": bias_parts}
        blocks = len(parts) * tiles(numbers, others, tile) + count * -(-k * channels // WARP)
        sizes: tuple[int, ...] = (numbers, others, depth, len(d), k * channels, len(parts), count)
        self._launch("convolutions.cu", "gradients", sizes, blocks, arguments | local.geometry._asdict(), real, tile)
        bias_parts = rows(bias_parts, channels)
        arguments = {"parts": parts, "bias_parts": bias_parts, "W": W, "b": b, "V": V, "c": c, "rate": rate}
        blocks = -(-W.size // THREADS) + -(-channels // WARP)
        of_parts = (numbers, others, channels, len(parts), len(bias_parts))
        self._launch("folds.cu", "descend_by_parts", of_parts, blocks, arguments, real)

    def _of_patches(self, name: str, arguments: dict[str, Any], images: Any, out: Any, g: Geometry) -> None:
        W = arguments["W"]
        (depth, cols), count = W.shape, out.shape[0]
        self._check(name, g, images, (count, depth))
        tile, sizes = self.launcher.tile(count, cols, depth, W.dtype), (count, cols, depth)
        blocks = tiles(count, cols, tile)
        self._launch("convolutions.cu", name, sizes, blocks, arguments | g._asdict(), W.dtype, tile)

    def _check(self, name: str, g: Geometry, images: Any, patches: tuple[int, int]) -> None:
        check_patches(name, "the batch", images.shape, "the layer", patches, g._asdict())

    def _launch(
        self,
        file: str,
        name: str,
        sizes: Sequence[int],
        blocks: int,
        arguments: dict[str, Any],
        real: np.dtype[Any],
        tile: Any = None,
    ) -> None:
        defined = self._defined[file]
        self.launcher.launch(file, name, OPERATIONS[name], tuple(sizes), blocks, arguments, real, tile, **defined)


def convolution(launches: Launches) -> dict[str, Any]:
    """Make the operations of a convolution."""

    def forward(a: Any, W: Any, b: Any, y: Any, local: Local, workspace: Any = None) -> None:
        launches.forward(a, W, b, rows(y, W.shape[1]), local.geometry)

    def backward(d: Any, W: Any, y: Any, out: Any, local: Local, workspace: Any = None) -> None:
        launches.product(rows(d, W.shape[1]), W, local.products)
        launches.fold("fold_backward", local.geometry, out, products=local.products, y=y, out=out)

    def update(a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, local: Local, workspace: Any = None) -> None:
        pixels = rows(d, W.shape[1])
        launches.update(a, pixels, pixels, W, b, V, c, rate, local)

    return {"forward": forward, "backward": backward, "update": update}


def transposed(launches: Launches) -> dict[str, Any]:
    """Make the operations of a transposed convolution; ``forward_loss`` does not compute the losses."""

    def forward(a: Any, W: Any, b: Any, y: Any, local: Local, workspace: Any = None) -> None:
        launches.product(rows(a, W.shape[1]), W, local.products)
        launches.fold("fold_forward", local.geometry, y, products=local.products, b=b, y=y)

    def forward_loss(a: Any, W: Any, b: Any, y: Any, x: Any, scale: float, d: Any, local: Local) -> None:
        launches.product(rows(a, W.shape[1]), W, local.products)
        given = {"products": local.products, "b": b, "y": y, "x": x, "scale": scale, "d": d}
        launches.fold("fold_forward_loss", local.geometry, y, **given)

    def backward(d: Any, W: Any, y: Any, out: Any, local: Local, workspace: Any = None) -> None:
        launches.backward(d, W, rows(y, W.shape[1]), rows(out, W.shape[1]), local.geometry)

    def update(a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, local: Local, workspace: Any = None) -> None:
        launches.update(d, rows(a, W.shape[1]), rows(d, b.shape[0]), W, b, V, c, rate, local)

    return {"forward": forward, "forward_loss": forward_loss, "backward": backward, "update": update}


KINDS = {"conv": convolution, "transposed": transposed}
