"""The step's operations for a team of workers, each of which owns a block of every layer's units: dense layers."""

from typing import Any, NamedTuple

from fastae.backends.numba_backend import elementwise as ew
from fastae.backends.numba_backend import kernels, sparse
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import ROW_BLOCK
from fastae.backends.numba_backend.waiting import barrier


class Workspace(NamedTuple):
    """What a worker has besides its share of the model."""

    place: Any  # int64 (2,): its number, and how many they are
    arrivals: Any  # int64 (8,): shared; [0] counts arrivals at barriers since the run began, [1] ends all waiting
    beds: Any  # int64 (workers, 8): shared; where each sleeps while it waits (`waiting.make_beds`)
    passed: Any  # int64 (8,): [0] counts the barriers that it has passed, [1] those at which it slept, in a row
    partial: Any  # float (2, workers, m, widest): shared; input gradients of each worker's own units, for two layers
    lit: Any  # int32 (sparse.room(widest),): room for lists of what is not 0


class Local(NamedTuple):
    """What a worker has of a layer of a dense network, besides parameters."""

    below: Any  # the first unit of the layer below that it owns


def first_unit(width: int, worker: int, workers: int, together: int) -> int:
    """Return the first unit of a layer that a worker owns: so many together, as evenly as they go."""
    return min(width, -(-width // together) * worker // workers * together)


def make_forward(activate: Any, name: str) -> Any:
    """Make the operation of a dense layer that goes forward."""

    @jit(name=f"forward_{name}")
    def forward(a, W, b, y, local, workspace):
        """Write the activation of a W + b."""
        skip = sparse.has_zeros(a)
        for top in range(0, y.shape[0], ROW_BLOCK):  # the activation while the sums are still in the cache
            a_block, y_block = a[top : top + ROW_BLOCK], y[top : top + ROW_BLOCK]
            if skip:
                sparse.multiply(a_block, W, y_block, workspace.lit)
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
    """Make the operation of a dense layer that goes backward."""

    @jit(name=f"backward_{name}")
    def backward(d, W, y, out, local, workspace):
        """Write own columns of (d Wᵀ) times the derivative: each worker adds what its own units say of all below."""
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
    """Make the operations of a dense layer, of an activation and the gradient through it."""
    return {"forward": make_forward(activate, name), "backward": make_backward(slope, name), "update": update}


@jit
def add_products(a, d, out, alpha, beta, skip, ks):
    """Write alpha · aᵀ d + beta · out."""
    if d.shape[0] == 1 and beta == 1:  # nothing to sum: row by row, with no tile between memory and arithmetic
        for i in range(out.shape[0]):
            if a[0, i] != 0 or not skip:
                kernels.axpy(alpha * a[0, i], d, out[i : i + 1])
    elif skip:
        sparse.multiply_transposed(a, d, out, alpha, beta, ks)
    else:
        kernels.multiply_transposed(a, d, out, alpha, beta)


@jit
def update(a, d, W, b, V, c, rate, local, workspace):
    """Move the own weights and biases against their gradient, which needs no buffer; with momentum, their velocity."""
    skip = sparse.has_zeros(a)
    if V.shape[0] == 0:
        add_products(a, d, W, rate[0], 1.0, skip, workspace.lit)
        kernels.column_sum(d, b, rate[0], 1.0)
    else:
        add_products(a, d, V, 1.0, rate[1], skip, workspace.lit)
        if rate[0] != 0:  # else the gradient alone is wanted
            kernels.axpy(rate[0], V, W)
        kernels.column_sum(d, c, 1.0, rate[1])
        for j in range(b.size):
            b[j] += rate[0] * c[j]
