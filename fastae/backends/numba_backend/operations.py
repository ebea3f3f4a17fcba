"""The step's operations for dense layers, by a team of workers; each worker owns a block of every layer's units."""

from typing import Any, NamedTuple

from fastae.backends.numba_backend import elementwise as ew
from fastae.backends.numba_backend import kernels, sparse
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import ROW_BLOCK
from fastae.backends.numba_backend.waiting import barrier


class Workspace(NamedTuple):
    """A worker's data besides its share of the model."""

    place: Any  # int64 (2,): the worker's number, and the number of workers
    arrivals: Any  # int64 (8,): shared; [0] counts arrivals at barriers since the run began, [1] = 1 ends all waiting
    waiters: Any  # int64 (workers, 8): shared; the flag and the lock of each worker's sleep (`waiting.make_waiters`)
    passed: Any  # int64 (8,): [0] counts the barriers passed, [1] the latest ones in a row at which the worker slept
    partial: Any  # float (2, workers, m, widest): shared; input gradients of each worker's own units, for two layers
    nonzeros: Any  # int32 (sparse.buffer_size(widest),): a buffer for the indices of elements that are not 0


class Local(NamedTuple):
    """A worker's data of one layer of a dense network, besides parameters."""

    below: Any  # the first unit of the layer below that the worker owns


def first_unit(width: int, worker: int, workers: int, granularity: int) -> int:
    """Return the first unit of a layer that a worker owns; units are divided evenly, in groups of ``granularity``.

    For ``worker`` equal to ``workers`` it is ``width``.
    """
    return min(width, -(-width // granularity) * worker // workers * granularity)


def make_forward(activate: Any, name: str) -> Any:
    """Make the forward operation of a dense layer."""

    @jit(name=f"forward_{name}")
    def forward(a, W, b, y, local, workspace):
        """Write the activation of a W + b."""
        skip = sparse.has_zeros(a)
        for top in range(0, y.shape[0], ROW_BLOCK):  # apply the activation while the sums are still in the cache
            a_block, y_block = a[top : top + ROW_BLOCK], y[top : top + ROW_BLOCK]
            if skip:
                sparse.multiply(a_block, W, y_block, workspace.nonzeros)
            else:
                kernels.multiply(a_block, W, y_block, 1.0, 0.0)
            activate(y_block, b, y_block)

    return forward


@jit
def mse(z, x, scale, d, losses, workspace):
    """Write the gradient and the sums of the squared error in one pass."""
    ew.MSE_BOTH(d, z, x, x, losses, scale)


@jit
def bce(z, x, scale, d, losses, workspace):
    """Write the gradient and the sums of the cross-entropy in one pass."""
    ew.BCE_BOTH(d, z, x, x, losses, scale)


def make_backward(slope: Any, name: str) -> Any:
    """Make the backward operation of a dense layer."""

    @jit(name=f"backward_{name}")
    def backward(d, W, y, out, local, workspace):
        """Write the own columns of (d Wᵀ) · f′, the sum over all workers of the products with their own units."""
        worker, workers = workspace.place
        if workers == 1:
            kernels.multiply_by_transposed(d, W, out, 1.0, 0.0)
        else:
            m, n = d.shape[0], W.shape[0]
            partial = workspace.partial[workspace.passed[0] % 2]  # the other half may still be read by a slower worker
            kernels.multiply_by_transposed(d, W, partial[worker, :m, :n], 1.0, 0.0)
            barrier(workspace)
            first = local.below
            last = first + out.shape[1]
            ew.ADD_SCALED(out, partial[0, :m, first:last], partial[1, :m, first:last], y, workspace.place, 1.0)
            for other in range(2, workers):
                kernels.axpy(1.0, partial[other, :m, first:last], out)
        slope(out, y, out)

    return backward


def make_dense(activate: Any, slope: Any, name: str) -> dict[str, Any]:
    """Make the operations of a dense layer, from an activation's two kernels."""
    return {"forward": make_forward(activate, name), "backward": make_backward(slope, name), "update": update}


@jit
def add_products(a, d, out, alpha, beta, skip, ks):
    """Write alpha · aᵀ d + beta · out."""
    if d.shape[0] == 1 and beta == 1:  # no sum: a sweep of each row is faster than tiles
        for i in range(out.shape[0]):
            if a[0, i] != 0 or not skip:
                kernels.axpy(alpha * a[0, i], d, out[i : i + 1])
    elif skip:
        sparse.multiply_transposed(a, d, out, alpha, beta, ks)
    else:
        kernels.multiply_transposed(a, d, out, alpha, beta)


@jit
def update(a, d, W, b, V, c, rate, local, workspace):
    """Update the own weights and biases, and with momentum their velocities; the gradient needs no buffer."""
    skip = sparse.has_zeros(a)
    if V.shape[0] == 0:
        add_products(a, d, W, rate[0], 1.0, skip, workspace.nonzeros)
        kernels.column_sum(d, b, rate[0], 1.0)
    else:
        add_products(a, d, V, 1.0, rate[1], skip, workspace.nonzeros)
        if rate[0] != 0:  # with a rate of 0 the caller only wants the gradient, in V
            kernels.axpy(rate[0], V, W)
        kernels.column_sum(d, c, 1.0, rate[1])
        for j in range(b.size):
            b[j] += rate[0] * c[j]
