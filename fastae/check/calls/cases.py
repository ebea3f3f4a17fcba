"""The arguments of a call, the expected result and its bound, and the call itself.

Outputs are full of NaN before a call, and arrays lie among NaN, so that a kernel that reads either shows it.
"""

import contextlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.emulator import checking
from fastae.backends.numpy_backend import NumpyBackend
from fastae.check import bounds
from fastae.check.file.failure import KernelFailed, describe_failure
from fastae.check.file.python_file import Returned, describe_return
from fastae.errors import InputError
from fastae.layers import Geometry

REFERENCE = NumpyBackend()
WRITTEN = {"axpy": "y", "advance": "cursor"}  # the outputs that are not called out
ACTIVATION_OF = {kernel: name for name, row in ACTIVATIONS.items() for kernel in (row.kernel, row.gradient)}
ROUNDED_SUMS = {row.kernel for row in ACTIVATIONS.values() if row.error}  # kernels whose function is of a rounded sum
ALPHA_BETA = ((1.0, 0.0), (-0.25, 1.0), (0.75, -1.5), (0.0, 2.0), (-0.5, 0.0))
OUTPUTS = {(row.gradient, "y"): row for name, row in ACTIVATIONS.items() if name != "sigmoid"}  # not between 0 and 1
SPREAD = {"bias_tanh": 2}  # standard deviation of z, by default 8; tanh of more than 9 is 1 in float32
UNTOUCHED = 99  # surrounds arrays of whole numbers
GUARD = 4096  # elements before and behind an array, so that a wrong index does not end the process


def make(name: str, dtype: str, seed: Any = 0, **given: Any) -> dict[str, Any]:
    """Make random arguments for a kernel; ``out`` is full of NaN unless beta is not 0.

    Parameters
    ----------
    name : str
        A kernel of the contract other than ``advance``.
    dtype : {"float32", "float64"}
        Of the float arrays.
    seed : int or sequence of int
    **given
        Lengths by the contract's letters, and numbers other than the defaults. The kernels for images take ``m``, the
        geometry and ``channels``; ``convolve`` also takes ``c``.

    Returns
    -------
    dict
        Every argument by name, in the contract's order.

    Examples
    --------
    >>> from fastae.check.calls.cases import make
    >>> make("bce_gradient", "float32", seed=1, m=2, n=3)["z"].shape
    (2, 3)
    """
    given = lengths(name, given)
    rng = np.random.default_rng([len(name), *np.atleast_1d(seed)])
    arguments: dict[str, Any] = {}
    for key, default in KERNELS[name].arguments.items():
        arguments[key] = given.get(key, 1 / 7 if key == "scale" else default)
    if name == "gather":
        return arguments | _rows(rng, dtype, **given)
    for key, letters in KERNELS[name].shapes.items():
        shape = tuple(given[letter] for letter in letters)
        if key == "out" and arguments.get("beta", 0) == 0:
            values = np.full(shape, np.nan)
        elif (name, key) in OUTPUTS:
            values = rng.normal(0, 2, shape)
            OUTPUTS[name, key].apply(values)
            values.flat[:4] = [0, 1, -0.0, {"tanh_gradient": -1}.get(name, 1e-30)][: values.size]
        elif name.endswith("loss") or (key in "xyz" and name.endswith("gradient")):
            values = 1 / (1 + np.exp(-rng.normal(0, 8, shape)))  # outputs of σ, and greys
            values.flat[:4] = {"x": [0, 1, 1, 0]}.get(key, [0, 1, -0.0, 1])[: values.size]  # log ±0, by 0 and by 1
        else:
            values = rng.normal(0, SPREAD.get(name, 8) if key == "z" else 1, shape)
        values = values.astype("float64" if key == "out" and name.endswith("loss") else dtype)
        arguments[key] = np.ascontiguousarray(values.T) if arguments.get(f"trans_{key}") else values
    return arguments


def redrawn(name: str, key: str, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Quickly draw another array of the shape, dtype and range of one that `make` returned."""
    if array.dtype.kind != "f":
        if key == "cursor":
            return array
        return rng.integers(0, int(array.max()) + 1, array.shape, array.dtype)
    kind: Any = array.dtype.type
    if (name, key) not in OUTPUTS and (name.endswith("loss") or (key in "xyz" and name.endswith("gradient"))):
        return rng.random(array.shape, kind)
    if name == "tanh_gradient" and key == "y":
        return 2 * rng.random(array.shape, kind) - 1
    values = rng.standard_normal(array.shape, kind)
    if name == "relu_gradient" and key == "y":
        return np.maximum(values, 0)
    return values * SPREAD.get(name, 8) if key == "z" else values


def lengths(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the lengths by letter; those of kernels for images follow from images, geometry and channels."""
    if name not in PATCHES:
        return given
    g = Geometry(*(given[key] for key in Geometry._fields))
    numbers = {
        "n": g.height * g.width * given["channels"],
        "p": given["m"] * g.rows * g.columns,
        "q": g.kernel**2 * given["channels"],
    }
    return given | numbers


def work(name: str, given: dict[str, Any]) -> int:
    """Return how often the innermost of a kernel's plain loops runs, for the lengths of a call."""
    letters = "pqc" if name in PATCHES else "mnk"
    return math.prod(int(x) for key, x in lengths(name, given).items() if key in letters)


def _rows(rng: np.random.Generator, dtype: str, m: int, n: int, **given: Any) -> dict[str, Any]:
    """Make the arguments of ``gather``: rows without order and with repetitions."""
    images, cursor, offset = rng.integers(0, 256, (m + 9, n), dtype=np.uint8), 2, int(rng.integers(3))
    order = rng.integers(0, len(images), cursor + offset + m + 1)
    out = np.full((m, n), np.nan, dtype)
    return {"images": images, "order": order, "cursor": np.array([cursor]), "offset": offset, "out": out}


def made(name: str, dtype: str, given: dict[str, Any], seed: list[int]) -> dict[str, Any]:
    """Make arguments as `make` does, also for ``advance``, and for ``axpy`` of matrices."""
    if name == "advance":
        return {"cursor": np.array([seed[0] % 1000 + 7]), "n": given["n"]}
    if name == "axpy" and isinstance(given["..."], tuple):
        x, y = np.random.default_rng(seed).normal(size=(2, *given["..."])).astype(dtype)
        return {"alpha": given["alpha"], "x": x, "y": y}
    return make(name, dtype, seed, **given)


def in_float64(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with every float array in float64."""
    return {k: v.astype(np.float64) if _is_float(v) else v for k, v in arguments.items()}


def expected(name: str, arguments: dict[str, Any], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what the numpy backend writes in float64, and elementwise how far from it a kernel in `dtype` may be."""
    values = in_float64(arguments)
    if name in ROUNDED_SUMS:
        sums = arguments["z"] + arguments["bias"]
        values |= {"z": sums.astype(np.float64), "bias": np.zeros(sums.shape[1])}
    exact = values[WRITTEN.get(name, "out")].copy()
    getattr(REFERENCE, name)(**(values | {WRITTEN.get(name, "out"): exact}))
    if name in ACTIVATION_OF:
        if name == ACTIVATIONS[ACTIVATION_OF[name]].kernel:
            return exact, bounds.activation(ACTIVATION_OF[name], exact, dtype)
        return exact, bounds.activation_gradient(ACTIVATION_OF[name], values["delta"], values["y"], dtype)
    if name == "gather":
        return exact, bounds.gather(exact, dtype)
    if name == "matmul":
        values |= {key: values[key].T for key in "ab" if values[f"trans_{key}"]}
        values = {key: value for key, value in values.items() if not key.startswith("trans")}
    elif name not in ("column_sum", "axpy"):
        del values["out"]
    if not hasattr(bounds, name):
        raise InputError(f"{name} has no error bound yet; add a function of that name to fastae/check/bounds.py")
    return exact, getattr(bounds, name)(**values, dtype=dtype)


def frame(
    array: np.ndarray, block: bool, right: int = 1, around: float = np.nan
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Put an array between rows of NaN or 99 and, if it is a block of columns, between such columns.

    Returns the whole array, and the slices at which the given one is in it.
    """
    width = (array.shape[1] + (1 + right) * block) if array.ndim == 2 else 1
    rows = -(-GUARD // max(1, width))
    margins = [(rows, rows)] + [(1, right) if block else (0, 0)] * (array.ndim - 1)
    framed = np.pad(array, margins, constant_values=around if array.dtype.kind == "f" else UNTOUCHED)
    return framed, tuple(slice(before, before + n) for (before, _), n in zip(margins, array.shape))


@dataclass
class Outcome:
    """The outcome of a call.

    Attributes
    ----------
    found : ndarray
        The output after the call.
    returned : Returned or None
        What the kernel returned, if not None.
    touched : list of str
        The names of inputs that were changed, and ``"around x"`` where something around the output ``x`` was.
    """

    found: np.ndarray
    returned: Returned | None
    touched: list[str]


def call(
    backend: Any,
    name: str,
    arguments: dict[str, Any],
    block: bool | Collection[str] = True,
    alias: str = "",
    interpreted: bool = False,
    around: float = np.nan,
    on_device: Collection[str] = (),
    frozen: bool = False,
    before: dict[str, Any] | None = None,
    turns: int = 0,
) -> Outcome:
    """Call a kernel on framed copies of the arguments.

    Parameters
    ----------
    backend : Backend or Remote
        The backend with the kernel.
    name : str
        A kernel of the contract.
    arguments : dict
        As `make` returns them; they are not changed.
    block : bool or collection of str
        Whether matrices, or which of them, are blocks of columns of wider ones.
    alias : str
        ``"out=z"`` passes one array for both; empty for none.
    interpreted : bool
        Whether the interpreter runs a kernel that Numba would compile.
    around : float
        The number that surrounds arrays of floats.
    on_device : collection of str
        The names of numbers that are passed as 0-d arrays on the device.
    frozen : bool
        Whether the inputs are read-only.
    before : dict, optional
        Arguments of the same shapes. The kernel is called with them first, in the same arrays.
    turns : int
        On the emulator: if not 0, the seed of the order in which threads and blocks take turns, also between atomic
        operations of one thread.

    Returns
    -------
    Outcome

    Raises
    ------
    KernelFailed
        The kernel raised an exception.
    KernelFault
        On the emulator, it made an invalid access.
    WorkerLost
        The process that runs it ended.
    """
    arrays = [(key, x) for key, x in arguments.items() if isinstance(x, np.ndarray)]
    blocks = {key for key, _ in arrays if (block if isinstance(block, bool) else key in block)}
    frames = {key: frame(x, key in blocks, 1 + i, around) for i, (key, x) in enumerate(arrays)}  # strides differ
    hosts, inner = {key: whole.copy() for key, (whole, _) in frames.items()}, {key: x[1] for key, x in frames.items()}
    numbers = {key: None if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    written = WRITTEN.get(name, "out")
    how: dict[str, Any] = {"written": written, "alias": alias, "frozen": frozen, "interpreted": interpreted}
    how |= {"on_device": list(on_device), "turns": turns}
    kept: dict[str, Any] = {}
    if before is not None:
        first = {key: frame(before[key], key in blocks, 1 + i, around)[0] for i, (key, _) in enumerate(arrays)}
        others = {key: None if key in first else x for key, x in before.items()}
        run(backend, name, first, inner, others, kept=kept, **how)
    returned = run(backend, name, hosts, inner, numbers, kept=kept, **how)
    if alias:
        written = alias.split("=")[1]
    found, touched = np.empty(0), []
    for key, (whole, at) in frames.items():
        after = hosts[key]
        if key == written:
            found = after[at].copy()
            after[at] = whole[at]
        if after.tobytes() != whole.tobytes():
            touched.append(f"around {key}" if key == written else key)
    return Outcome(found, returned, touched)


def run(
    backend: Any,
    name: str,
    hosts: dict[str, np.ndarray],
    inner: dict[str, tuple[slice, ...]],
    arguments: dict[str, Any],
    written: str,
    alias: str = "",
    frozen: bool = False,
    interpreted: bool = False,
    on_device: Collection[str] = (),
    kept: dict[str, Any] | None = None,
    turns: int = 0,
) -> Returned | None:
    """Call a kernel with parts of arrays.

    Parameters
    ----------
    backend : Backend or Remote
    name : str
        A kernel of the contract.
    hosts : dict of str to ndarray
        The whole arrays; updated to their contents after the call.
    inner : dict of str to tuple of slice
        The part of each array that is passed.
    arguments : dict
        The numbers, and None for each array, in the contract's order.
    written : str
        The name of the output.
    alias, frozen, interpreted, on_device, turns
        As `call` takes them.
    kept : dict, optional
        Arrays on the device to use again; updated to those that were used.

    Returns
    -------
    Returned or None
        What the kernel returned, if not None.
    """
    kept = {} if kept is None else kept
    if hasattr(backend, "run"):  # in another process
        how = {
            "alias": alias,
            "frozen": frozen,
            "interpreted": interpreted,
            "on_device": list(on_device),
            "turns": turns,
        }
        again, kept["again"] = "again" in kept, True
        returned: Returned | None = backend.run(name, hosts, inner, arguments, again=again, written=written, **how)
        return returned
    for key, host in hosts.items():
        if key in kept:
            kept[key][...] = backend.asarray(host)
        else:
            kept[key] = backend.asarray(host)
    passed = {key: kept[key][inner[key]] if key in kept else x for key, x in arguments.items()}
    real = next((x.dtype for x in hosts.values() if x.dtype.kind == "f"), np.dtype(np.float64))
    passed |= {key: backend.asarray(np.array([arguments[key]], real))[:1].reshape(()) for key in on_device}
    for key in kept if frozen else ():
        passed[key].flags.writeable = key == written
    if alias:
        out, other = alias.split("=")
        passed[out] = passed[other]
    if interpreted:
        try:
            value = backend.plain[name].py_func(*passed.values())
        except (Exception, SystemExit) as error:  # whatever a learner's code may raise
            raise KernelFailed(name, describe_failure(error, str(backend.path))) from error
    else:
        with checking("random", turns) if turns else contextlib.nullcontext():
            value = getattr(backend, name)(**passed)
    returned = describe_return(value, passed[written])
    for key, host in hosts.items():
        host[...] = backend.to_host(kept[key])
    return returned


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
