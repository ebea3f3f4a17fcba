"""The training step, written once: forward, loss gradient, backward, update.

A network of L layers computes a[l+1] = σ(a[l] W[l] + b[l]) from the batch a[0] (images in rows). With δ[l] the gradient
of the loss with respect to layer l's pre-activation, the chain rule gives::

    δ[L-1] = ∂loss/∂z · σ′          the loss gradient,           σ′ = z (1 − z) for z = σ(·)
    δ[l-1] = δ[l] W[l]ᵀ · σ′        backward through layer l
    ∂loss/∂W[l] = a[l]ᵀ δ[l]        what each weight is updated by; a bias by the column sum of δ[l]

(Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 323, 1986.) These are the
formulas of a dense layer. `fastae.operations` has those of a convolution; the step is the same for both.

The step is run by a team of workers, each of which owns a block of the units of every layer: the columns of W[l] and
the entries of b[l] that lead to those units, which no other worker reads or writes. A worker reads the whole input of a
layer, computes the outputs of its own units, and waits at a barrier until the others have computed theirs. NumPy and a
GPU are teams of one worker, whose barrier does nothing.

The functions here are made from ``ops``, a namespace of kernels and operations. They are plain enough to be interpreted
by Python, compiled by Numba and captured by CuPy.
"""

from typing import Any, NamedTuple


class Local(NamedTuple):
    """What an operation that is composed of kernels needs for a layer, besides parameters; a dense layer's is empty.

    Examples
    --------
    A network of dense layers has no patches.

    >>> import fastae
    >>> local = fastae.backends.get("numpy").local(fastae.Autoencoder((20, 9)).layers, 8, "float32")
    >>> local[0].patches.shape
    (0, 0)
    """

    kind: int  # its place in fastae.operations.KINDS
    geometry: Any  # fastae.layers.Geometry: where the patches lie
    patches: Any  # (m · patches, numbers of a patch): those that the update needs
    products: Any  # the same shape: of patches and weights, needed by nobody else


class Buffers(NamedTuple):
    """The arrays of one worker: views of those that the team shares, and arrays that nobody else has.

    ``m`` is the number of images in a batch, ``own`` the number of a layer's units that the worker owns. Tuples have an
    entry for each layer.

    Examples
    --------
    >>> Buffers._fields[:4]
    ('images', 'order', 'cursor', 'rate')
    """

    images: Any  # uint8, or floats in [0, 1], (N, pixels): the data set
    order: Any  # int64 (N,): the epoch's order
    cursor: Any  # int64 (1,): where in the order this batch begins
    rate: Any  # float (2,): minus the learning rate, and the momentum
    scale: Any  # 1 / m: the loss of a batch is the mean over its images
    W: tuple[Any, ...]  # (inputs, own): weights
    b: tuple[Any, ...]  # (own,): biases
    V: tuple[Any, ...]  # as W: their velocities; with no rows when there is no momentum
    c: tuple[Any, ...]  # as b
    a: tuple[Any, ...]  # (m, inputs): the whole input of each layer; a[0] is the batch
    y: tuple[Any, ...]  # (m, own): own columns of each layer's output
    d: tuple[Any, ...]  # (m, own): the deltas
    x: Any  # (m, own): own columns of the batch, which the last layer should reproduce
    loss: Any  # float64 (m,): a sum over the own pixels of each image
    losses: Any  # float64 (m, 1): the same memory, as a column
    total: Any  # float64 (1,): the sum of all losses so far
    local: tuple[Any, ...]  # what else the backend's operations need for a layer: a `Local`, or a class of its own
    workspace: Any  # what they need besides, for all layers: scratch memory, the barrier's counters


def make_step(ops: Any) -> Any:
    """Make one step of stochastic gradient descent on one batch, as one worker runs it.

    Parameters
    ----------
    ops : namespace
        The kernels ``gather``, ``column_sum`` and ``advance``, and the operations of `fastae.operations`.

    Returns
    -------
    callable
        Takes one worker's `Buffers`, and changes the parameters in them.

    Examples
    --------
    What the step calls, of a network of two layers:

    >>> from unittest.mock import MagicMock
    >>> ops = MagicMock()
    >>> w = MagicMock(W=[None, None])
    >>> make_step(ops)(w)
    >>> [call[0] for call in ops.method_calls][:6]
    ['gather', 'barrier', 'forward', 'barrier', 'forward_loss', 'backward']
    """

    def step(w):
        last = len(w.W) - 1
        ops.gather(w.images, w.order, w.cursor, 0, w.a[0])
        for l in range(last):
            ops.barrier(w.workspace)  # the layer below is complete, and nobody needs the last step's activations
            ops.forward(w.a[l], w.W[l], w.b[l], w.y[l], w.local[l], w.workspace)
        ops.barrier(w.workspace)
        z, d = w.y[last], w.d[last]
        ops.forward_loss(w.a[last], w.W[last], w.b[last], z, w.x, w.scale, d, w.loss, w.local[last], w.workspace)
        for l in range(last, 0, -1):  # backward before the update: it needs the old weights
            ops.backward(w.d[l], w.W[l], w.y[l - 1], w.d[l - 1], w.local[l], w.workspace)
            ops.update(w.a[l], w.d[l], w.W[l], w.b[l], w.V[l], w.c[l], w.rate, w.local[l], w.workspace)
        ops.update(w.a[0], w.d[0], w.W[0], w.b[0], w.V[0], w.c[0], w.rate, w.local[0], w.workspace)
        ops.column_sum(w.losses, w.total, 1.0, 1.0)
        ops.advance(w.cursor, w.a[0].shape[0])

    return step


def make_shared_step(gradient: Any, all_reduce: Any, descend: Any) -> Any:
    """Make one step in which several ranks share the batch: each computes the gradients of some parts of it.

    The gradient is what `make_step` gives with momentum where the momentum and the learning rate are 0: the velocity
    v = 0 · v + ∂loss/∂W. A process that trains alone needs no such array, for its update takes the factors.
    """

    def step(parts, ragged, slots):
        top = -1
        for count, part in enumerate(parts, 1):  # summed as a counter counts: two parts, two such pairs, and so on
            top += 1
            gradient(part, ragged, top)
            while count % 2 == 0:
                slots[top - 1] += slots[top]
                top, count = top - 1, count // 2
        update = all_reduce()  # over the ranks
        descend(update)  # every rank the same

    return step


def make_evaluation(ops: Any) -> Any:
    """Make the evaluation of one batch of test images, which adds their squared errors to ``total``.

    Parameters and result are those of `make_step`; no parameters of the network change.

    Examples
    --------
    >>> from unittest.mock import MagicMock
    >>> ops = MagicMock()
    >>> make_evaluation(ops)(MagicMock(W=[None, None]))
    >>> [call[0] for call in ops.method_calls]
    ['gather', 'barrier', 'forward', 'barrier', 'output', 'mse_loss', 'column_sum', 'advance']
    """

    def evaluation(w):
        last = len(w.W) - 1
        ops.gather(w.images, w.order, w.cursor, 0, w.a[0])
        for l in range(last):
            ops.barrier(w.workspace)
            ops.forward(w.a[l], w.W[l], w.b[l], w.y[l], w.local[l], w.workspace)
        ops.barrier(w.workspace)
        ops.output(w.a[last], w.W[last], w.b[last], w.y[last], w.local[last], w.workspace)
        ops.mse_loss(w.y[last], w.x, w.loss)
        ops.column_sum(w.losses, w.total, 1.0, 1.0)
        ops.advance(w.cursor, w.a[0].shape[0])

    return evaluation
