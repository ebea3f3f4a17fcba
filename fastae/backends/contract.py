"""The table of the kernels that backends offer: names, arguments, shapes, mathematics, FLOPs and bytes.

A kernel writes its result into an array that it is given, usually ``out``. It allocates nothing, returns nothing and
has no state. Matrices are (rows, columns) and batches (images, features). Rows are contiguous; the row stride may
exceed the width, so that a block of columns is a valid argument. The float arrays of one call share one dtype, float32
or float64; images are uint8, ``order`` and ``cursor`` int64, sums of losses float64. ``alpha``, ``beta`` and ``scale``
are numbers, or 0-d arrays on the device.

An image with a height, a width and channels is also one row: its pixels row by row, with the channels of a pixel next
to each other. The integers of ``unfold``, ``fold`` and ``convolve`` are the fields of `fastae.layers.Geometry`.
"""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.errors import InputError
from fastae.layers import Geometry

EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Kernel:
    """One row of the contract.

    Attributes
    ----------
    signature : str
        Name and arguments, with their defaults.
    shapes : dict
        The shape of each array argument, by its name; each letter stands for one length.
    writes : str
        The formula of the output.
    alias : tuple of str
        The pairs of arguments, as ``"out=z"``, that may be the same array. No other output may overlap an input.
    flops, bytes : callable
        The number of arithmetic operations, and the number of bytes that must at least be moved: the coordinates of a
        kernel in the roofline model. The arguments are the lengths by their letters and, for ``bytes``, the size ``s``
        of a float in bytes. A sigmoid counts as four operations.

    Examples
    --------
    >>> matmul = KERNELS["matmul"]
    >>> matmul.writes
    'alpha · op(a) op(b) + beta · out; if beta is 0, out is not read'
    >>> list(matmul.parameters.parameters)
    ['a', 'b', 'out', 'trans_a', 'trans_b', 'alpha', 'beta']
    >>> matmul.flops(m=16, k=784, n=256)
    6422528
    """

    signature: str
    shapes: dict[str, tuple[str, ...]]
    writes: str
    alias: tuple[str, ...] = ()
    flops: Callable[..., int] = lambda **n: 0
    bytes: Callable[..., int] = lambda s, **n: 0

    @property
    def name(self) -> str:
        """The name of the kernel."""
        return self.signature.partition("(")[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments in order, each with its default; ``inspect.Parameter.empty`` where it has none."""
        listed = self.signature[self.signature.index("(") + 1 : -1].split(", ")
        pairs = (text.partition("=") for text in listed)
        return {name: ast.literal_eval(default) if equals else EMPTY for name, equals, default in pairs}

    @property
    def parameters(self) -> inspect.Signature:
        """The arguments as an ``inspect.Signature``."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(x, kind, default=value) for x, value in self.arguments.items()])


MN, PQ = ("m", "n"), ("p", "q")


def activation_kernels() -> dict[str, Kernel]:
    """Return the two kernels of each activation in `fastae.activations.ACTIVATIONS`."""
    kernels: dict[str, Kernel] = {}
    for row in ACTIVATIONS.values():
        kernels[row.kernel] = Kernel(
            f"{row.kernel}(z, bias, out)",
            {"z": MN, "bias": ("n",), "out": MN},
            row.writes,
            alias=("out=z",),
            flops=lambda m, n, each=row.flops: each * m * n,
            bytes=lambda s, m, n: s * (2 * m * n + n),
        )
        kernels[row.gradient] = Kernel(
            f"{row.gradient}(delta, y, out)",
            {"delta": MN, "y": MN, "out": MN},
            row.gradient_writes,
            alias=("out=delta",),
            flops=lambda m, n, each=row.gradient_flops: each * m * n,
            bytes=lambda s, m, n: s * 3 * m * n,
        )
    return kernels


#: The kernels of the contract, by name.
KERNELS: dict[str, Kernel] = {
    "matmul": Kernel(
        "matmul(a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0)",
        {"a": ("m", "k"), "b": ("k", "n"), "out": MN},  # a and b as they are after their transposition
        "alpha · op(a) op(b) + beta · out; if beta is 0, out is not read",
        flops=lambda m, n, k: 2 * m * n * k,
        bytes=lambda s, m, n, k: s * (m * k + k * n + m * n),
    ),
    **activation_kernels(),
    "mse_gradient": Kernel(
        "mse_gradient(z, x, scale, out)",
        {"z": MN, "x": MN, "out": MN},
        "2 · scale · (z − x) · z · (1 − z): the gradient of scale · Σ (z − x)² with respect to the input of the last "
        "sigmoid",
        flops=lambda m, n: 5 * m * n,
        bytes=lambda s, m, n: s * 3 * m * n,
    ),
    "bce_gradient": Kernel(
        "bce_gradient(z, x, scale, out)",
        {"z": MN, "x": MN, "out": MN},
        "scale · (z − x): the gradient of scale times the cross-entropy with respect to the input of the last sigmoid",
        flops=lambda m, n: 2 * m * n,
        bytes=lambda s, m, n: s * 3 * m * n,
    ),
    "mse_loss": Kernel(
        "mse_loss(z, x, out)",
        {"z": MN, "x": MN, "out": ("m",)},
        "Σ (z − x)² of each image, a sum over its pixels",
        flops=lambda m, n: 3 * m * n,
        bytes=lambda s, m, n: s * 2 * m * n + 8 * m,
    ),
    "bce_loss": Kernel(
        "bce_loss(z, x, out)",
        {"z": MN, "x": MN, "out": ("m",)},
        "−Σ [x log z + (1 − x) log(1 − z)] of each image, a sum over its pixels; logarithms below −100 count as −100",
        flops=lambda m, n: 12 * m * n,
        bytes=lambda s, m, n: s * 2 * m * n + 8 * m,
    ),
    "column_sum": Kernel(
        "column_sum(delta, out, alpha=1.0, beta=0.0)",
        {"delta": MN, "out": ("n",)},
        "alpha · (the sum of each column of delta) + beta · out; if beta is 0, out is not read",
        flops=lambda m, n: m * n,
        bytes=lambda s, m, n: s * (m * n + n),
    ),
    "axpy": Kernel(
        "axpy(alpha, x, y)",
        {"x": ("...",), "y": ("...",)},
        "y += alpha · x",
        flops=lambda size: 2 * size,
        bytes=lambda s, size: s * 3 * size,
    ),
    "gather": Kernel(
        "gather(images, order, cursor, offset, out)",
        {"images": ("N", "n"), "order": ("o",), "cursor": ("1",), "out": MN},
        "for each row i of out the image order[cursor[0] + offset + i], divided by 255",
        flops=lambda m, n: m * n,
        bytes=lambda s, m, n: (s + 1) * m * n + 8 * m,
    ),
    "advance": Kernel("advance(cursor, n)", {"cursor": ("1",)}, "cursor[0] += n"),
    "unfold": Kernel(
        "unfold(x, height, width, kernel, stride, padding, out)",
        {"x": MN, "out": PQ},
        "the patches of the images, one in each row: the rows are ordered by image, patch row and patch column, the "
        "columns by row, column and channel within the patch; the padding is 0",
        bytes=lambda s, m, n, p, q: s * (m * n + p * q),
    ),
    "fold": Kernel(
        "fold(x, height, width, kernel, stride, padding, out)",
        {"x": PQ, "out": MN},
        "for each pixel the sum of its values in all patches that contain it: the transpose of unfold",
        flops=lambda m, n, p, q: p * q,
        bytes=lambda s, m, n, p, q: s * (m * n + p * q),
    ),
    "convolve": Kernel(
        "convolve(x, weights, height, width, kernel, stride, padding, out)",
        {"x": MN, "weights": ("q", "c"), "out": ("p", "c")},
        "unfold(x) · weights: the product of each patch with each filter, which is not flipped; a backend need not "
        "copy the patches",
        flops=lambda m, n, p, q, c: 2 * p * q * c,
        bytes=lambda s, m, n, p, q, c: s * (m * n + q * c + p * c),
    ),
}

FIXED_DTYPES = {"images": np.uint8, "order": np.int64, "cursor": np.int64, "losses": np.float64}
PATCHES = {"unfold": ("x", "out"), "fold": ("out", "x"), "convolve": ("x", "out")}  # images, and what has their patches
SUMS = {("mse_loss", "out"), ("bce_loss", "out")}  # float64 whatever the dtype of the rest


def check_arguments(
    name: str, arguments: dict[str, Any], kernel: Kernel | None = None, on_device: bool = False
) -> None:
    """Check that the arguments of a call obey the contract.

    Parameters
    ----------
    name : str
        The name of the kernel, for messages.
    arguments : dict
        Every argument of the call by name; arrays need ``shape``, ``strides``, ``dtype`` and ``itemsize``.
    kernel : Kernel, optional
        Describes the arguments; by default the kernel of that name in the table.
    on_device : bool
        Whether the arrays are on a device, so that the values of ``order`` and ``cursor`` cannot be checked.

    Raises
    ------
    InputError
        An argument has a wrong shape, dtype or stride, or a value out of range.

    Examples
    --------
    >>> x = np.zeros((4, 3), np.float32)
    >>> check_arguments("axpy", {"alpha": 2.0, "x": x, "y": x[:2]})
    Traceback (most recent call last):
        ...
    fastae.errors.InputError: axpy: y has shape (2, 3), but its m should be 4
    """
    lengths: dict[str, Any] = {}
    floats: dict[str, Any] = {}
    for argument, letters in (kernel or KERNELS[name]).shapes.items():
        array = arguments[argument]
        if argument in FIXED_DTYPES:
            if array.dtype != FIXED_DTYPES[argument]:
                raise InputError(f"{name}: {argument} must be {np.dtype(FIXED_DTYPES[argument])}, not {array.dtype}")
        elif (name, argument) in SUMS:
            if array.dtype != np.float64:
                raise InputError(f"{name}: {argument} must be float64, not {array.dtype}: sums of losses are")
        else:
            floats[argument] = array.dtype
        shape = array.shape[::-1] if arguments.get(f"trans_{argument}") else array.shape
        if letters == ("...",):  # a vector or a matrix, as the first of them is
            letters = lengths.setdefault("...", ("n",) if len(shape) < 2 else MN)
        if len(shape) != len(letters):
            raise InputError(f"{name}: {argument} must have {len(letters)} dimensions, not {len(shape)}")
        for letter, length in zip(letters, shape):
            expected = 1 if letter == "1" else lengths.setdefault(letter, length)
            if length != expected:
                raise InputError(f"{name}: {argument} has shape {array.shape}, but its {letter} should be {expected}")
        if array.size and array.shape[-1] > 1 and array.strides[-1] != array.itemsize:
            raise InputError(f"{name}: the rows of {argument} must be contiguous; copy it first")
    if len(set(floats.values())) > 1 or not all(d in (np.float32, np.float64) for d in floats.values()):
        raise InputError(
            f"{name}: the float arrays must share one dtype, float32 or float64; here "
            + ", ".join(f"{argument} is {dtype}" for argument, dtype in floats.items())
        )
    if name in PATCHES:
        images, patches = PATCHES[name]
        rows, numbers = lengths["p"], lengths["q"]
        check_patches(name, images, arguments[images].shape, patches, (rows, numbers), arguments)
    if name == "gather" and not on_device:
        check_rows(arguments["images"], arguments["order"], arguments["cursor"], arguments["offset"], arguments["out"])


def check_rows(images: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
    """Check that all rows of a gather exist in ``order`` and in ``images``; raises `InputError`."""
    first = int(cursor[0]) + int(offset)
    rows = order[first : first + out.shape[0]] if first >= 0 else order[:0]
    if rows.shape[0] != out.shape[0]:
        raise InputError(f"gather: {out.shape[0]} rows from {first} on are more than the order's {order.shape[0]}")
    if rows.shape[0] and (int(rows.min()) < 0 or int(rows.max()) >= images.shape[0]):
        raise InputError(f"gather: the order names rows outside the {images.shape[0]} images")


def check_patches(
    name: str,
    images: str,
    shape: tuple[int, int],
    patches: str,
    rows: tuple[int, int],
    arguments: dict[str, Any],
) -> None:
    """Check that a geometry is valid, and that images and patches have the shapes that it implies.

    Parameters
    ----------
    name, images, patches : str
        The names of the kernel, of the images and of what holds the patches, for messages.
    shape : (m, n)
        Of the images.
    rows : (p, q)
        The number of patches, and the numbers of a patch.
    arguments : dict
        Has the fields of `fastae.layers.Geometry`.

    Raises
    ------
    InputError
        The geometry is invalid, or the shapes do not match it.
    """
    height, width, kernel, stride, padding = (int(arguments[key]) for key in Geometry._fields)
    if min(height, width, kernel, stride) < 1 or not 0 <= padding < kernel:
        raise InputError(
            f"{name}: height, width, kernel and stride must be positive, and padding from 0 to kernel - 1; here "
            f"{height}, {width}, {kernel}, {stride}, {padding}"
        )
    if kernel > min(height, width) + 2 * padding:
        raise InputError(f"{name}: a kernel of {kernel} is larger than an image of {height} x {width} and its padding")
    geometry = Geometry(height, width, kernel, stride, padding)
    channels, rest = divmod(shape[1], height * width)
    if rest:
        raise InputError(
            f"{name}: {images} has {shape[1]} columns, which are not whole channels of {height} x {width} pixels"
        )
    expected = shape[0] * geometry.rows * geometry.columns, kernel**2 * channels
    if rows != expected:
        raise InputError(
            f"{name}: {images} has {expected[0]} patches of {expected[1]} numbers, but {patches} is for {rows[0]} of "
            f"{rows[1]}"
        )
