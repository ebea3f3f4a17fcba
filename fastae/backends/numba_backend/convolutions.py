"""The step's operations for a team of workers: convolutions and transposed convolutions, without patches.

A worker owns whole pixels of a layer's output, for all images, as it owns units of a dense layer. All pixels share the
weights, so no worker owns weights: each worker sums the gradient over its own pixels. After a barrier, each worker adds
up these sums, in the order of the workers, for some rows of the weights, and updates those rows.

There are two products, as there are two kinds of layers. A convolution maps an image to the results of all filters for
each of its patches: the forward pass of a convolution and the backward pass of a transposed one. A transposed
convolution maps these results back to the image: the backward pass of a convolution and the forward pass of a
transposed one. It needs the weights transposed, so that the channels of a pixel, which are contiguous, are columns. If
there are fewer channels than half a vector, vectors run along the summation instead.

The channels of the image are called channels here, and those on the other side of the weights filters.
"""

from typing import Any, NamedTuple

from fastae.backends.numba_backend import kernels
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.link import linked
from fastae.backends.numba_backend.operations import barrier
from fastae.backends.numba_backend.tables import GROUP
from fastae.backends.numba_backend.tiles import WINDOW
from fastae.backends.numba_backend.windows import channel_tile, gradient_tile, window_tile

IMAGE_BLOCK = 16  # images in a block: their rows stay in the second-level cache during the loop over pixels
DOT_IMAGES = 8  # images in a tile whose vectors run along the summation
NEAR_BYTES = 24 * 1024  # bytes of images in a block of the gradient: most of a small first-level cache
TILE_IMAGES = 4  # images in a tile


class Local(NamedTuple):
    """A worker's data of one layer, besides parameters; a dense layer uses only the first two fields.

    Each further array would add seconds to the compilation, so several buffers and lists share one array.
    """

    kind: Any  # index in fastae.operations.KINDS
    below: Any  # the first unit of the layer below that the worker owns
    whole: Any  # (m, outputs): the deltas of all workers
    shared: Any  # (workers, rows · columns + channels): each worker's gradient of the weights, then of the biases
    floats: Any  # buffers: a bias for each own unit, a sum of deltas for each own unit, the transposed weights
    lists: Any  # int64: the start of each list, then the lists one after another; read with `span`


# The indices of the lists, which are made in tables.py.
NUMBERS, CONV, CONV_STARTS, TRANSPOSED, TRANSPOSED_STARTS, OFFSETS, GROUPS, PAIRS = range(8)
CHANNELS, UNITS = range(2)


@jit
def span(local, which):
    """Return the slice of ``local.lists`` that holds one of the lists."""
    return slice(local.lists[which], local.lists[which + 1])


@jit
def number(local, which):
    """Return one of two numbers: the channels of the layer's image, or how many units the worker owns."""
    return local.lists[local.lists[NUMBERS] + which]


def panel_of(vectors: int, masked: bool = False) -> Any:
    """Make the function that computes ``vectors`` adjacent vectors of columns, for every pixel."""
    tile, row = (window_tile(rows, vectors, masked) for rows in (TILE_IMAGES, 1))

    @jit(name=f"panel_{vectors}_{masked}")
    def panel(a, W, out, entries, starts, top, bottom, j, count):
        """Compute the columns from j on, for the images from top to bottom."""
        n, many = W.shape[1], top + (bottom - top) // TILE_IMAGES * TILE_IMAGES
        for pixel in range(starts.size - 1):
            first, last, col = starts[pixel], starts[pixel + 1], pixel * n + j
            for i in range(top, many, TILE_IMAGES):
                tile(a, W, out, entries, first, last, i, j, col, count)
            for i in range(many, bottom):
                row(a, W, out, entries, first, last, i, j, col, count)

    return panel


WIDE, MIDDLE, NARROW, EDGE = (
    *(panel_of(vectors) for vectors in (WINDOW, WINDOW // 2, 1)),
    panel_of(1, True),
)
ACROSS = WINDOW


@linked("mmMll")
def multiply(a, W, out, entries, starts):
    """Write, for every pixel, the product of the column ranges of a and the rows of W that are on its list."""
    L, n = kernels.lanes(out), W.shape[1]
    for top in range(0, out.shape[0], IMAGE_BLOCK):
        bottom = min(top + IMAGE_BLOCK, out.shape[0])
        j = 0
        while j + ACROSS * L <= n:
            WIDE(a, W, out, entries, starts, top, bottom, j, 0)
            j += ACROSS * L
        if j + ACROSS // 2 * L <= n:
            MIDDLE(a, W, out, entries, starts, top, bottom, j, 0)
            j += ACROSS // 2 * L
        while j + L <= n:
            NARROW(a, W, out, entries, starts, top, bottom, j, 0)
            j += L
        if j < n:
            EDGE(a, W, out, entries, starts, top, bottom, j, n - j)


DOT_TILE, DOT_ROW_TILE = channel_tile(DOT_IMAGES), channel_tile(1)


@linked("mmMlli")
def multiply_by_transposed(a, W, out, entries, starts, channels):
    """Write, for every pixel and channel, the product of the column ranges of a and the rows of W on its list."""
    many = out.shape[0] // DOT_IMAGES * DOT_IMAGES
    for i in range(0, many, DOT_IMAGES):
        for pixel in range(starts.size - 1):
            first, last = starts[pixel], starts[pixel + 1]
            for c in range(channels):
                DOT_TILE(a, W, out, entries, first, last, i, c, pixel * channels + c)
    for i in range(many, out.shape[0]):
        for pixel in range(starts.size - 1):
            for c in range(channels):
                DOT_ROW_TILE(a, W, out, entries, starts[pixel], starts[pixel + 1], i, c, pixel * channels + c)


@jit
def transposed_product(a, W, out, local):
    """Write the worker's own pixels of a transposed convolution: the sum of all patches, whose filters are in ``a``."""
    channels, filters = number(local, CHANNELS), W.shape[1]
    entries, starts = local.lists[span(local, TRANSPOSED)], local.lists[span(local, TRANSPOSED_STARTS)]
    W_transposed = local.floats[2 * number(local, UNITS) :]
    if W_transposed.size == 0:
        multiply_by_transposed(a, W, out, entries, starts, channels)
        return
    W_transposed = W_transposed.reshape((W_transposed.size // channels, channels))
    for tap in range(W.shape[0] // channels):
        for c in range(channels):
            for o in range(filters):
                W_transposed[tap * filters + o, c] = W[tap * channels + c, o]
    multiply(a, W_transposed, out, entries, starts)


def panels_of_gradient(vectors: int, masked: bool = False) -> Any:
    """Make the function that computes some columns of the gradient."""
    tile, row = (gradient_tile(rows, vectors, masked) for rows in (GROUP, 1))

    @jit(name=f"gradient_{vectors}_{masked}")
    def panel(x, d, out, offsets, groups, pairs, top, bottom, j, count):
        """Add to the columns from j on the products of the images from top to bottom."""
        for g in range(0, groups.size, 4):
            k, rows, first, last = groups[g], groups[g + 1], groups[g + 2], groups[g + 3]
            if rows == GROUP:
                tile(x, d, out, pairs, first, last, offsets, k, top, bottom, j, count)
            else:
                row(x, d, out, pairs, first, last, offsets, k, top, bottom, j, count)

    return panel


G_WIDE, G_MIDDLE, G_NARROW, G_EDGE = (
    *(panels_of_gradient(vectors) for vectors in (WINDOW, WINDOW // 2, 1)),
    panels_of_gradient(1, True),
)


@linked("mmMlll")
def add_gradient(x, d, out, offsets, groups, pairs):
    """Write the gradient of the weights over the worker's own pixels.

    ``x`` are the images that the patches are in, ``d`` the filters' results or their deltas.
    """
    L, n, m = kernels.lanes(out), out.shape[1], x.shape[0]
    for k in range(out.shape[0]):
        for j in range(n):
            out[k, j] = 0.0
    images = max(1, NEAR_BYTES // ((x.shape[1] + d.shape[1]) * x.itemsize))
    for top in range(0, m, images):
        bottom = min(top + images, m)
        j = 0
        while j + ACROSS * L <= n:
            G_WIDE(x, d, out, offsets, groups, pairs, top, bottom, j, 0)
            j += ACROSS * L
        if j + ACROSS // 2 * L <= n:
            G_MIDDLE(x, d, out, offsets, groups, pairs, top, bottom, j, 0)
            j += ACROSS // 2 * L
        while j + L <= n:
            G_NARROW(x, d, out, offsets, groups, pairs, top, bottom, j, 0)
            j += L
        if j < n:
            G_EDGE(x, d, out, offsets, groups, pairs, top, bottom, j, n - j)


@jit
def apply_gradient(gradients, W, V, rate):
    """Update some parameters by the sum of all workers' gradients, added in the order of the workers.

    ``gradients`` is (workers, n). W and V are one-dimensional; V is empty without momentum.
    """
    for j in range(W.size):
        total = gradients[0, j]
        for worker in range(1, gradients.shape[0]):
            total += gradients[worker, j]
        if V.size:
            V[j] = total = rate[1] * V[j] + total
        W[j] += rate[0] * total


@jit
def update_parameters(x, filtered, d, W, b, V, c, rate, local, workspace):
    """Update weights and biases: sum the own pixels' gradient, wait for all workers, then update some rows.

    ``x`` are the images that the patches are in, ``filtered`` the other side of the weights, ``d`` the own deltas.
    """
    worker, workers = workspace.place
    (rows, columns), size = W.shape, W.size
    mine = local.shared[worker]
    add_gradient(
        x,
        filtered,
        mine[:size].reshape(W.shape),
        local.lists[span(local, OFFSETS)],
        local.lists[span(local, GROUPS)],
        local.lists[span(local, PAIRS)],
    )
    units = number(local, UNITS)
    sums = local.floats[units : 2 * units]
    kernels.column_sum(d, sums, 1.0, 0.0)
    for j in range(b.size):
        mine[size + j] = 0.0
    for i in range(0, units, b.size):
        for j in range(b.size):
            mine[size + j] += sums[i + j]
    barrier(workspace)
    for k in range(rows * worker // workers, rows * (worker + 1) // workers):
        apply_gradient(local.shared[:, k * columns : (k + 1) * columns], W[k], V[k] if V.shape[0] else c[:0], rate)
    if worker == 0:
        apply_gradient(local.shared[:, size : size + b.size], b, c, rate)


@jit
def repeat(b, out):
    """Write the biases of the channels once for every pixel."""
    for i in range(0, out.size, b.size):
        for c in range(b.size):
            out[i + c] = b[c]


def make_convolution(activate: Any, slope: Any, name: str) -> dict[str, Any]:
    """Make the operations of a convolution, from an activation's two kernels."""

    @jit(name=f"convolution_forward_{name}")
    def forward(a, W, b, y, local, workspace):
        multiply(a, W, y, local.lists[span(local, CONV)], local.lists[span(local, CONV_STARTS)])
        bias = local.floats[: y.shape[1]]
        repeat(b, bias)
        activate(y, bias, y)

    @jit(name=f"convolution_backward_{name}")
    def backward(d, W, y, out, local, workspace):
        barrier(workspace)  # wait until all workers have written their deltas
        transposed_product(local.whole, W, out, local)
        slope(out, y, out)

    @jit(name=f"convolution_update_{name}")
    def update(a, d, W, b, V, c, rate, local, workspace):
        update_parameters(a, local.whole, d, W, b, V, c, rate, local, workspace)

    return {"forward": forward, "backward": backward, "update": update}


def make_transposed(activate: Any, slope: Any, name: str) -> dict[str, Any]:
    """Make the operations of a transposed convolution, from an activation's two kernels."""

    @jit(name=f"transposed_forward_{name}")
    def forward(a, W, b, y, local, workspace):
        transposed_product(a, W, y, local)
        bias = local.floats[: y.shape[1]]
        repeat(b, bias)
        activate(y, bias, y)

    @jit(name=f"transposed_backward_{name}")
    def backward(d, W, y, out, local, workspace):
        barrier(workspace)  # wait until all workers have written their deltas
        multiply(local.whole, W, out, local.lists[span(local, CONV)], local.lists[span(local, CONV_STARTS)])
        slope(out, y, out)

    @jit(name=f"transposed_update_{name}")
    def update(a, d, W, b, V, c, rate, local, workspace):
        update_parameters(local.whole, a, d, W, b, V, c, rate, local, workspace)

    return {"forward": forward, "backward": backward, "update": update}
