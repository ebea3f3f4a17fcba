"""The step's operations for each kind of layer, composed from the contract's kernels.

A new backend needs no operations of its own; a backend that is faster with its own can replace these.

A convolution is a matrix product between two gathers (Chellapilla, Puri and Simard, High performance convolutional
neural networks for document processing, 2006). ``unfold`` copies each patch of an image into a row, and ``fold`` adds
rows back to where the patches lie; each is the other's transpose. With U(x) the patches of x, W the kernels as columns,
and every pixel a row::

                     forward             backward                  update
    dense            a W                 d Wᵀ                      aᵀ d
    convolution      U(a) W              Uᵀ(d Wᵀ)                  U(a)ᵀ d
    transposed       Uᵀ(a Wᵀ)            U(d) W                    U(d)ᵀ a

A transposed convolution goes forward as a convolution goes backward, with the same W (Dumoulin and Visin, A guide to
convolution arithmetic for deep learning, 2016). Channels are last, so whatever is done by columns, the bias, its
gradient, the activation, is done to a matrix with a row for each pixel.

The functions are made from ``ops``, a namespace of kernels. They are plain enough to be interpreted by Python, compiled
by Numba and captured by CuPy. Those of a layer take two more arguments at the end: ``local``, which is a
`fastae.step.Local`, and ``workspace``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from fastae.activations import ACTIVATIONS


def rows(array, columns):
    """View images of many pixels as a matrix with a row for each pixel."""
    return array.reshape((array.size // columns, columns))


def make_updates(ops: Any) -> tuple[Any, Any]:
    """Make what every update consists of, functions of the factors of a gradient: for weights and for biases."""

    def weights(a, d, W, V, rate):
        if V.shape[0] == 0:  # the gradient goes straight into the weights: W += −lr · aᵀ d
            ops.matmul(a, d, W, True, False, rate[0], 1.0)
        else:  # momentum as PyTorch's: v = μ v + gradient, W += −lr · v
            ops.matmul(a, d, V, True, False, 1.0, rate[1])
            ops.axpy(rate[0], V, W)

    def biases(d, b, c, rate):
        if c.shape[0] == 0:
            ops.column_sum(d, b, rate[0], 1.0)
        else:
            ops.column_sum(d, c, 1.0, rate[1])
            ops.axpy(rate[0], c, b)

    return weights, biases


def dense(ops: Any, activation: str) -> dict[str, Any]:
    """Compose the operations of a dense layer."""
    activate, slope = (getattr(ops, name) for name in ACTIVATIONS[activation][:2])
    weights, biases = ops.weights, ops.biases

    def forward(a, W, b, y, local=None, workspace=None):
        ops.matmul(a, W, y, False, False, 1.0, 0.0)
        activate(y, b, y)

    def backward(d, W, y, out, local=None, workspace=None):
        ops.matmul(d, W, out, False, True, 1.0, 0.0)
        slope(out, y, out)

    def update(a, d, W, b, V, c, rate, local=None, workspace=None):
        weights(a, d, W, V, rate)
        biases(d, b, c, rate)

    return {"forward": forward, "backward": backward, "update": update}


def convolution(ops: Any, activation: str) -> dict[str, Any]:
    """Compose the operations of a convolution."""
    activate, slope = (getattr(ops, name) for name in ACTIVATIONS[activation][:2])
    weights, biases, rows = ops.weights, ops.biases, ops.rows

    def forward(a, W, b, y, local, workspace=None):
        g, pixels = local.geometry, rows(y, W.shape[1])
        ops.unfold(a, g[0], g[1], g[2], g[3], g[4], local.patches)
        ops.matmul(local.patches, W, pixels, False, False, 1.0, 0.0)
        activate(pixels, b, pixels)

    def backward(d, W, y, out, local, workspace=None):
        g = local.geometry
        ops.matmul(rows(d, W.shape[1]), W, local.products, False, True, 1.0, 0.0)
        ops.fold(local.products, g[0], g[1], g[2], g[3], g[4], out)
        slope(out, y, out)

    def update(a, d, W, b, V, c, rate, local, workspace=None):
        pixels = rows(d, W.shape[1])
        weights(local.patches, pixels, W, V, rate)  # a's, since it went forward
        biases(pixels, b, c, rate)

    return {"forward": forward, "backward": backward, "update": update}


def transposed(ops: Any, activation: str) -> dict[str, Any]:
    """Compose the operations of a transposed convolution."""
    activate, slope = (getattr(ops, name) for name in ACTIVATIONS[activation][:2])
    weights, biases, rows = ops.weights, ops.biases, ops.rows

    def forward(a, W, b, y, local, workspace=None):
        g, pixels = local.geometry, rows(y, b.size)
        ops.matmul(rows(a, W.shape[1]), W, local.products, False, True, 1.0, 0.0)
        ops.fold(local.products, g[0], g[1], g[2], g[3], g[4], y)
        activate(pixels, b, pixels)

    def backward(d, W, y, out, local, workspace=None):
        g = local.geometry
        ops.unfold(d, g[0], g[1], g[2], g[3], g[4], local.patches)
        ops.matmul(local.patches, W, rows(out, W.shape[1]), False, False, 1.0, 0.0)
        slope(out, y, out)

    def update(a, d, W, b, V, c, rate, local, workspace=None):
        weights(local.patches, rows(a, W.shape[1]), W, V, rate)  # d's, since it went backward
        biases(rows(d, b.size), b, c, rate)

    return {"forward": forward, "backward": backward, "update": update}


KINDS = {"dense": dense, "conv": convolution, "transposed": transposed}
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}  # as `fastae.step.Local` has it


def by_kind(operations: Sequence[tuple[str, Any]], compiled: Callable[[Any], Any] = lambda function: function) -> Any:
    """Make the operation that does with a layer what its kind asks for; of one kind, that kind's itself."""
    (kind, one), *others = operations
    if not others:
        return one
    number, other = NUMBERS[kind], by_kind(others, compiled)

    def either(*arguments):
        if arguments[-2].kind == number:
            one(*arguments)
        else:
            other(*arguments)

    return compiled(either)


def make_loss_gradient(ops: Any, loss: str) -> Any:
    """Compose the operation that a loss begins the way back with."""
    loss_of_images, gradient = (ops.mse_loss, ops.mse_gradient) if loss == "mse" else (ops.bce_loss, ops.bce_gradient)

    def loss_gradient(z, x, scale, d, losses, workspace=None):
        loss_of_images(z, x, losses)
        gradient(z, x, scale, d)

    return loss_gradient


def make_forward_loss(ops: Any) -> Any:
    """Compose the operation that ends the way forward, for a backend that does not bring one.

    Parameters
    ----------
    ops : namespace
        With ``output`` and ``loss_gradient``.

    Returns
    -------
    callable
        Writes σ(a W + b) into ``y``, the gradient of the loss with respect to its pre-activations into ``d``, and the
        loss of each image into ``losses``.

    Examples
    --------
    >>> from unittest.mock import MagicMock
    >>> ops = MagicMock()
    >>> make_forward_loss(ops)("a", "W", "b", "y", "x", "scale", "d", "losses")
    >>> [call[0] for call in ops.method_calls]
    ['output', 'loss_gradient']
    """

    def forward_loss(a, W, b, y, x, scale, d, losses, local=None, workspace=None):
        ops.output(a, W, b, y, local, workspace)
        ops.loss_gradient(y, x, scale, d, losses, workspace)

    return forward_loss


def barrier(workspace):
    """Wait for the others of a team of one."""


def kernels_of(activation: str, kinds: Sequence[str]) -> list[str]:
    """Return the names of the contract's kernels that the step of such a network calls."""
    activations = [name for a in dict.fromkeys([activation, "sigmoid"]) for name in ACTIVATIONS[a][:2]]
    patches = [] if set(kinds) == {"dense"} else ["unfold", "fold"]
    losses = ["mse_gradient", "bce_gradient", "mse_loss", "bce_loss"]
    return ["matmul", *activations, *losses, "column_sum", "axpy", "gather", "advance", *patches]


def make_operations(
    kernels: Any,
    loss: str,
    activation: str = "sigmoid",
    kinds: Sequence[str] = ("dense",),
    of_kind: Callable[[Any, str, str], dict[str, Any]] | None = None,
    compiled: Callable[..., Any] = lambda function, name: function,
    namespace: Callable[[], Any] = SimpleNamespace,
) -> dict[str, Any]:
    """Make the operations of a step.

    Parameters
    ----------
    kernels : namespace
        The kernels of ``fastae.backends.contract.KERNELS``, as far as they are needed.
    loss : {"mse", "bce"}
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    kinds : sequence of str
        Of the network's layers, in their order.
    of_kind : callable, optional
        Called with kernels, a kind and an activation: that kind's operations, by default composed.
    compiled, namespace : callable, optional
        What to make of each function, given its name; and where to keep those that others call.

    Returns
    -------
    dict
        ``forward``, ``output`` (the last layer's, whose activation is the sigmoid), ``loss_gradient``, ``backward``,
        ``update`` and ``barrier``, functions of arrays as in `fastae.step.Buffers`. An update may leave anything in the
        delta that it has used.

    Examples
    --------
    >>> import numpy as np
    >>> import fastae
    >>> operations = make_operations(fastae.backends.get("numpy"), "mse")
    >>> a, W, b, y = np.ones((1, 2)), np.zeros((2, 3)), np.zeros(3), np.empty((1, 3))
    >>> operations["forward"](a, W, b, y)
    >>> y
    array([[0.5, 0.5, 0.5]])
    """
    ops = namespace()
    for name in kernels_of(activation, kinds):
        setattr(ops, name, getattr(kernels, name))
    ops.rows = compiled(rows, "rows")
    ops.weights, ops.biases = (compiled(f, f.__name__) for f in make_updates(ops))
    of_kind = of_kind or (lambda ops, kind, activation: KINDS[kind](ops, activation))
    made: dict[str, Any] = {}
    for name in ("forward", "backward", "update"):
        of_kinds = []
        for kind in dict.fromkeys(kinds):
            of_kinds.append((kind, compiled(of_kind(ops, kind, activation)[name], f"{kind}_{name}")))
        made[name] = by_kind(of_kinds, partial(compiled, name=name))
    last = kinds[-1]
    alike = activation == "sigmoid" and len(set(kinds)) == 1
    made["output"] = made["forward"] if alike else compiled(of_kind(ops, last, "sigmoid")["forward"], "output")
    made["loss_gradient"] = compiled(make_loss_gradient(ops, loss), "loss_gradient")
    return made | {"barrier": compiled(barrier, "barrier")}
