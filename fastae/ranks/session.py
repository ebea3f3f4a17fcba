"""A session that trains on this rank's parts of each batch, and makes the update that all ranks make.

It contains a session of the backend with momentum, whose learning rate and momentum are 0. After a step, the velocities
of that session are the gradients of the batch, and its weights are unchanged. The gradients of all parts are then
summed, and every rank makes the same update (`fastae.step.make_shared_step`).
"""

import itertools
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae import __version__
from fastae.backends.base import Backend, Parameters, Session
from fastae.backends.session import TEST_BATCH
from fastae.errors import InputError
from fastae.ranks.sums import LINE, sum_over
from fastae.ranks.world import Alone, check_parts
from fastae.step import make_shared_step


class Layout:
    """The position of each parameter of a session in a flat array, so that one operation sums or adds all of them.

    Parameters
    ----------
    shares : list of tuple
        `fastae.backends.base.Session.shares`: each worker's weights and biases by layer. An array that several workers
        share has one position.

    Attributes
    ----------
    size : int
        The length of the flat array. Each parameter begins at a cache line.
    """

    def __init__(self, shares: Sequence[Sequence[Sequence[Any]]]) -> None:
        self._places: dict[int, tuple[int, int, tuple[int, ...]]] = {}
        self._shares = [[[id(p) for p in group] for group in share[:2]] for share in shares]
        self.size = 0
        for share in shares:
            for group in share[:2]:
                for p in group:
                    if id(p) not in self._places:
                        row = p.strides[0] // p.itemsize if p.ndim == 2 else p.shape[-1]
                        self._places[id(p)] = self.size, row, p.shape
                        length = row * (p.shape[0] if p.ndim == 2 else 1) * p.itemsize
                        self.size += -(-length // LINE) * LINE // p.itemsize

    def views(self, flat: Any) -> list[list[tuple[Any, ...]]]:
        """Return views of a flat array with the shapes of each worker's weights and biases, by layer."""
        return [[tuple(self._view(flat, p) for p in group) for group in share] for share in self._shares]

    def _view(self, flat: Any, which: int) -> Any:
        start, row, shape = self._places[which]
        if len(shape) == 1:
            return flat[start : start + row]
        return flat[start : start + row * shape[0]].reshape(shape[0], row)[:, : shape[1]]


class Part:
    """A part of each batch, with its own order of images, cursors and sums of losses.

    Parameters
    ----------
    session : Session
        The session whose buffers are used.
    number, parts : int
        Which part this is, from 0, and into how many each batch is divided.
    batch_size : int
        Of all parts together.

    Attributes
    ----------
    cuts : list of slice
        The images of this part, in a whole batch and in the smaller batch that ends an epoch.
    teams : list of list of Buffers
        The buffers of each worker for both; an empty list if the part has no image in such a batch.
    """

    def __init__(self, session: Session, number: int, parts: int, batch_size: int) -> None:
        whole, rest = divmod(len(session.team[0].images), batch_size)
        self.cuts = [slice(m * number // parts, m * (number + 1) // parts) for m in (batch_size, rest)]
        sizes = [cut.stop - cut.start for cut in self.cuts]
        order = session.backend.asarray(np.zeros(whole * sizes[0] + sizes[1], np.int64))
        self.cursors = [session.array(np.zeros(1, np.int64)) for _ in range(session.workers)]
        self.totals = [session.array(np.zeros(1)) for _ in range(session.workers)]
        own = list(zip(self.cursors, self.totals))  # by worker; a GPU has one worker with two sets of buffers
        self.teams = [
            [
                w._replace(order=order, cursor=cursor, total=total, scale=1 / m)
                for w, (cursor, total) in zip(session.first_rows(session.team, size), itertools.cycle(own))
            ]
            for size, m in zip(sizes, (batch_size, rest))
        ]
        self.order, self.batch_size = order, batch_size

    def start(self, order: np.ndarray, asarray: Any) -> None:
        """Begin an epoch with the images in this order, from which those of this part are selected."""
        whole = len(order) - len(order) % self.batch_size
        mine = order[:whole].reshape(-1, self.batch_size)[:, self.cuts[0]].ravel()
        self.order[:] = asarray(np.concatenate([mine, order[whole:][self.cuts[1]]]))
        for array in (*self.cursors, *self.totals):
            array[:] = 0

    def total(self, to_host: Any) -> float:
        """Return the sum of the losses of this part's images so far."""
        return sum(float(to_host(total)[0]) for total in self.totals)


class SharedSession:
    """The session of a rank that trains on some parts of each batch; it has the methods that a trainer calls.

    Parameters
    ----------
    world : Alone or World
        The ranks.
    parts : int
        The number of parts into which each batch is divided: the number of ranks times a power of two.
    backend : Backend
    parameters : Parameters
    images : ndarray
    test_images : ndarray, optional
    batch_size : int
    lr, momentum : float
        As in `fastae.backends.base.Session`. They must be the same on all ranks; the batch size is that of all parts
        together.
    facts : dict, optional
        Further settings that must be the same on all ranks.
    **options
        The other options of `fastae.backends.base.Session`.

    Attributes
    ----------
    way : {"alone", "mpi", "nccl"}
        How the gradients are summed; "nccl" only in ``fastae.ranks.device_session.DeviceSession``.
    local_session : Session
        The backend's session on this rank.
    layout : Layout
        The positions of its parameters in the flat arrays.
    sum : fastae.ranks.sums.Sum
        The sum of the gradients over the ranks, and the memory of this rank's gradients.
    own_parts : list of Part
        The parts of each batch that this rank trains on.

    Raises
    ------
    InputError
        The ranks have different data, parameters or settings, or the parts cannot be divided evenly.
    """

    def __init__(
        self,
        world: Alone,
        parts: int,
        backend: Backend,
        parameters: Parameters,
        images: np.ndarray,
        test_images: np.ndarray | None = None,
        batch_size: int = 16,
        lr: float = 0.25,
        momentum: float = 0.0,
        facts: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        each = check_parts(parts, world.size)
        self.world, self.parts, self.batch_size = world, parts, batch_size
        self.way = "mpi" if world.size > 1 else "alone"
        self.backend, self.has_test = backend, test_images is not None
        facts = _facts(backend, parameters, batch_size, momentum, parts, facts or {}, options)
        for name, data in (("training images", images), ("test images", test_images)):
            facts[name] = "none" if data is None else f"{len(data)} with checksum {world.checksum(data):08x}"
        world.agree(facts)
        first = world.rank * each
        self._ragged = len(images) % batch_size > 0
        if test_images is not None:
            self._test_pixels = test_images.size
            count = -(-len(test_images) // TEST_BATCH)  # whole batches each: they are summed as one rank would
            blocks = count * world.rank // world.size, count * (world.rank + 1) // world.size
            test_images = test_images[blocks[0] * TEST_BATCH : blocks[1] * TEST_BATCH]
        weights = [np.zeros_like(W) for W in parameters.W], [np.zeros_like(b) for b in parameters.b]
        with world.one_first():
            self.local_session = backend.session(
                Parameters(parameters.W, parameters.b, *weights),
                images,
                test_images=test_images if test_images is not None and len(test_images) else None,
                batch_size=-(-batch_size // parts),
                lr=0.0,
                momentum=0.0,
                **options,
            )
        self.workers = self.local_session.workers
        world.agree({"number of threads": self.workers})
        self.dtype = parameters.W[0].dtype
        self.layout = Layout(self.local_session.shares)
        self._rate, self._mu = lr, momentum
        self._shapes = [[p.shape for p in group] for group in (parameters.V, parameters.c)]
        self._lay_out(parameters, range(first, first + each))

    def _lay_out(self, parameters: Parameters, mine: range) -> None:
        """Allocate the flat arrays, and make this rank's parts and the step."""
        self._parameters = self.local_session.array(np.zeros(self.layout.size, self.dtype))
        self.sum = sum_over(self.world, self.layout.size, len(mine).bit_length(), self.dtype)
        self._velocity = np.zeros(self.sum.slots[0][self.sum.chunk].shape if self._mu else 0, self.dtype)
        self._step = make_shared_step(self.gradient, lambda: self.sum.all_reduce(self._update), self.add_update)
        self._take_parts(self.sum.slots, mine)
        if self._mu:
            self._set_velocity(parameters)

    def _take_parts(self, slots: list[Any], mine: range) -> None:
        """Move the session's parameters and gradients into the flat arrays, and make this rank's parts."""
        self._gradients = [self.layout.views(slot) for slot in slots]
        self.local_session.adopt(self.layout.views(self._parameters), self._gradients[0])
        self.own_parts = [Part(self.local_session, number, self.parts, self.batch_size) for number in mine]

    # The step.

    def gradient(self, part: Part, ragged: bool, slot: int) -> None:
        """Compute the gradient of a part of the next batch.

        Parameters
        ----------
        part : Part
        ragged : bool
            Whether the batch is the smaller one that ends an epoch.
        slot : int
            The index in ``sum.slots`` of the array for the gradient.
        """
        team = part.teams[ragged]
        if team:
            placed = [w._replace(V=V, c=c) for w, (V, c) in zip(team, self._gradients[slot])] if slot else team
            self.local_session.execute("step", placed, 1)
        else:
            self.sum.slots[slot][:] = 0

    def _update(self, gradient: np.ndarray) -> None:
        """Replace a chunk of the gradient by the same chunk of the update."""
        if self._mu:
            self._velocity *= self.dtype.type(self._mu)
            self._velocity += gradient
            gradient[:] = self._velocity
        gradient *= self.dtype.type(-self._rate)

    def add_update(self, update: np.ndarray) -> None:
        """Add an update of all parameters to them."""
        self._parameters += update

    # What a trainer calls.

    def start(self, order: np.ndarray) -> None:
        """Begin an epoch with the images in this order, int64 (N,)."""
        for part in self.own_parts:
            part.start(order, self.backend.asarray)

    def run(self, batches: int) -> None:
        """Train on the next whole batches."""
        for _ in range(batches):
            self._step(self.own_parts, False, self.sum.slots)

    def finish(self) -> None:
        """Train on the last, smaller batch, if the batch size does not divide the number of images."""
        if self._ragged:
            self._step(self.own_parts, True, self.sum.slots)

    def set_rate(self, lr: float, momentum: float = 0.0) -> None:
        """Set the learning rate and the momentum; raises ``InputError`` for a momentum if there are no velocities."""
        if momentum and not len(self._velocity):
            raise InputError("a training that began without momentum keeps no velocities; begin a new one with it")
        self._rate, self._mu = lr, momentum

    def total(self) -> float:
        """Return the sum of the training losses of the epoch's images so far, of all ranks."""
        mine = [part.total(self.backend.to_host) for part in self.own_parts]
        return sum(total for theirs in self.world.all_gather(mine) for total in theirs)

    def agreed(self, seconds: float) -> float:
        """Return the largest of the times of all ranks, on every rank."""
        return max(self.world.all_gather(seconds))

    def read(self) -> Parameters:
        """Copy the parameters to the host, on every rank."""
        if self._mu:
            self._show_velocities()
        W, b, V, c = self.local_session.read()
        if not self._mu:
            V, c = ([np.zeros(shape, self.dtype) for shape in shapes] for shapes in self._shapes)
        return Parameters(W, b, V, c)

    def write(self, parameters: Parameters) -> None:
        """Overwrite the parameters."""
        self._set_velocity(parameters)

    def _set_velocity(self, parameters: Parameters) -> None:
        W, b, V, c = parameters
        if not self._mu:
            V, c = [np.zeros_like(w) for w in W], [np.zeros_like(one) for one in b]
        for slot in self.sum.slots:
            slot[:] = 0  # a training that diverged has left NaN, and 0 · NaN is NaN
        self.local_session.write(Parameters(W, b, V, c))
        self._keep_velocities()

    def _show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot, where the local session reads its velocities."""
        self.sum.slots[0][:] = self.sum.all_gather(self._velocity)

    def _keep_velocities(self) -> None:
        """Copy this rank's velocities from the first slot, where the local session has written them."""
        self._velocity[:] = self.sum.slots[0][self.sum.chunk][: len(self._velocity)]

    def test_error(self) -> float:
        """Return the squared error of the test images' reconstructions: the mean over images and pixels."""
        sums = self.local_session.test_sums() if self.local_session.has_test else []
        return sum(error for theirs in self.world.all_gather(sums) for error in theirs) / self._test_pixels


def _facts(
    backend: Backend,
    parameters: Parameters,
    batch_size: int,
    momentum: float,
    parts: int,
    more: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the settings that must be the same on all ranks, in addition to the data."""
    checksum = 0
    for p in itertools.chain(*parameters):
        checksum = zlib.crc32(np.ascontiguousarray(p).data, checksum)
    return {
        "version of fastae": __version__,
        "backend": backend.name,
        "dtype": parameters.W[0].dtype.name,
        "batch size": batch_size,
        "momentum": momentum,
        "number of parts": parts,
        "loss": options.get("loss"),
        "layers": [W.shape for W in parameters.W],
        "parameters": f"checksum {checksum:08x}",
        **more,
    }
