"""A training on a backend: parameters and data on the device, all buffers, and the step that uses them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastae.errors import InputError
from fastae.layers import Layer, dense_layers
from fastae.operations import kernels_of, make_forward_loss
from fastae.step import Buffers, make_evaluation, make_step

if TYPE_CHECKING:
    from fastae.backends.base import Backend

TEST_BATCH = 256  # images at a time when nothing is learned: enough to be fast, few enough to stay in a cache


@dataclass
class Parameters:
    """Everything that training changes, as host arrays of one dtype, a list entry for each layer.

    Attributes
    ----------
    W, b : list of ndarray
        Weights (inputs, outputs) and biases (outputs,); of other layers than dense ones as `fastae.layers.Layer` says.
    V, c : list of ndarray
        Their velocities, of the same shapes; with no rows where there is no momentum.

    Examples
    --------
    >>> W, b = [np.ones((3, 2)), np.ones((2, 3))], [np.ones(2), np.ones(3)]
    >>> parameters = Parameters(W, b, [np.zeros((0, 2)), np.zeros((0, 3))], [np.zeros(0), np.zeros(0)])
    >>> [len(group) for group in parameters]
    [2, 2, 2, 2]
    """

    W: list[np.ndarray]
    b: list[np.ndarray]
    V: list[np.ndarray]
    c: list[np.ndarray]

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return iter((self.W, self.b, self.V, self.c))


class Session:
    """A model on its device, with the step bound to it and all buffers allocated.

    Parameters
    ----------
    backend : Backend
    parameters : Parameters
        Where to start from; copied.
    images : ndarray, uint8 or the parameters' dtype, (N, pixels)
        C-contiguous; a backend on the host does not copy them.
    test_images : ndarray of the same dtype, (M, pixels), optional
    loss : {"mse", "bce"}
    batch_size : int
        At most N.
    lr, momentum : float
    layers : sequence of Layer, optional
        By default dense ones, as the weights are.
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    threads : int, optional
        How many workers there are: for numba, whose team has a thread for each.
    mode : {"captured", "eager", "persistent"}, optional
        How steps are launched: for cupy and emulator; see `fastae.backends.cupy_backend.session.CupySession`.
    tf32 : bool
        Round the inputs of products to TF32 (8 bits of exponent, 10 of mantissa), for the tensor cores: for cupy and
        emulator.

    Attributes
    ----------
    workers : int
    shares : list of tuple
        For each worker W, b, V and c of its own units: a tuple of arrays each, by layer.
    team, tail : list of Buffers
        Of each worker, for a whole batch, and for the smaller batch that ends an epoch; ``tail`` is empty if there is
        none.
    test_team, test_tail : list of Buffers
        The same for the test images, if there are any.
    totals : list of array, float64, (1,)
        Of each worker, the sum of the losses since the buffers were rewound.
    functions : dict of callable
        The "step" and the "evaluation" of a batch, functions of a worker's buffers; not in sessions that compile them.

    Raises
    ------
    InputError
        An argument that this backend does not take.

    Examples
    --------
    >>> import fastae
    >>> images = np.random.default_rng(0).integers(0, 256, (40, 20), dtype=np.uint8)
    >>> trainer = fastae.Trainer(fastae.Autoencoder((20, 9, 4)), backend="numpy", batch_size=8)
    >>> session = trainer.session(images)
    >>> session.start(np.arange(40))
    >>> session.run(5)
    >>> session.total() > 0
    True
    >>> session.read().W[0].shape
    (20, 9)
    """

    workers = 1

    def __init__(
        self,
        backend: "Backend",
        parameters: Parameters,
        images: np.ndarray,
        test_images: np.ndarray | None = None,
        loss: str = "mse",
        batch_size: int = 16,
        lr: float = 0.25,
        momentum: float = 0.0,
        layers: Sequence[Layer] | None = None,
        activation: str = "sigmoid",
        threads: int | None = None,
        mode: str | None = None,
        tf32: bool = False,
    ) -> None:
        if mode is not None:
            raise InputError(f"the backend {backend.name!r} has no modes; cupy and emulator do")
        if tf32:
            raise InputError(f"the backend {backend.name!r} has no TF32; cupy and emulator do")
        self.backend, self.loss, self.batch_size, self.threads = backend, loss, batch_size, threads
        self.dtype, self.activation = parameters.W[0].dtype, activation
        self.layers = list(layers or dense_layers([W.shape for W in parameters.W]))
        self.widths = [self.layers[0].inputs, *(layer.outputs for layer in self.layers)]
        self.has_test, self.floats = test_images is not None, images.dtype != np.uint8
        self.prepare()
        self._rate = self.array(np.array([-lr, momentum], self.dtype))
        self._has_momentum = bool(momentum)
        self.totals = [self.array(np.zeros(1)) for _ in range(self.workers)]
        self.shares = self._share(parameters)
        self.team = self._make_team(images, batch_size)
        self.tail = self.first_rows(self.team, len(images) % batch_size)
        if test_images is not None:
            self.test_team = self._make_team(test_images, min(len(test_images), TEST_BATCH))
            self.test_tail = self.first_rows(self.test_team, len(test_images) % len(self.test_team[0].loss))

    # What a backend may override.

    def prepare(self) -> None:
        """Bind the step, and decide on the number of workers."""
        if self.threads is not None:
            raise InputError(f"the backend {self.backend.name!r} does not take a number of threads; numba does")
        named = {name: getattr(self.backend, name) for name in kernels_of(self.activation, self.kinds)}
        named |= {"gather": self.backend.take} if self.floats else {}
        kernels = SimpleNamespace(**named | self.operations())
        if not hasattr(kernels, "output"):
            kernels.output = kernels.forward
        if not hasattr(kernels, "forward_loss"):
            kernels.forward_loss = make_forward_loss(kernels)
        self.functions = {"step": make_step(kernels), "evaluation": make_evaluation(kernels)}

    def operations(self) -> dict[str, Any]:
        """Return the step's operations."""
        if self.activation == "sigmoid" and set(self.kinds) == {"dense"}:
            return self.backend.operations(self.loss)
        return self.backend.operations(self.loss, self.activation, self.kinds)

    @property
    def kinds(self) -> list[str]:
        """The layers' kinds."""
        return [layer.kind for layer in self.layers]

    def array(self, host: np.ndarray) -> Any:
        """Copy an array to the device, with the alignment that the kernels need."""
        return self.backend.asarray(host)

    def owned(self, width: int, channels: int = 1) -> list[slice]:
        """Return the units of a layer that each worker owns: whole pixels of ``channels`` units each."""
        return [slice(0, width)]

    def local(self, m: int, deltas: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return ``Buffers.local`` of each worker, for batches of m images; all workers share the deltas."""
        return [self.backend.local(self.layers, m, self.dtype)]

    def shrink_local(self, local: Any, m: int) -> Any:
        """Return an entry of ``Buffers.local`` for smaller batches, of m images."""
        rows = m * local.geometry.rows * local.geometry.columns if len(local.patches) else 0
        return local._replace(patches=local.patches[:rows], products=local.products[:rows])

    def workspaces(self, m: int) -> list[Any]:
        """Return ``Buffers.workspace`` of each worker, for batches of m images."""
        size = max(m * max(self.widths), *(math.prod(layer.shape) for layer in self.layers))
        return [self.backend.workspace(size, self.dtype)]

    def execute(self, part: str, team: list[Buffers], batches: int) -> None:
        """Run ``part``, "step" or "evaluation", on the next batches, with all workers of the team."""
        for _ in range(batches):
            self.functions[part](team[0])

    # What a trainer calls.

    def start(self, order: np.ndarray) -> None:
        """Begin an epoch with the images in this order, int64 (N,)."""
        self.team[0].order[:] = self.backend.asarray(order)  # one array, which the whole team reads
        self.rewind(self.team)

    def run(self, batches: int) -> None:
        """Train on the next whole batches."""
        self.execute("step", self.team, batches)

    def finish(self) -> None:
        """Train on the last, smaller batch, if the batch size does not divide the number of images."""
        if self.tail:
            self.execute("step", self.tail, 1)

    def set_rate(self, lr: float, momentum: float = 0.0) -> None:
        """Set the learning rate and the momentum; raises ``InputError`` for a momentum if there are no velocities."""
        if momentum and not self._has_momentum:
            raise InputError("a training that began without momentum keeps no velocities; begin a new one with it")
        self._rate[:] = self.backend.asarray(np.array([-lr, momentum], self.dtype))

    def total(self) -> float:
        """Return the sum of the training losses of the epoch's images so far."""
        return sum(float(self.backend.to_host(total)[0]) for total in self.totals)

    def read(self) -> Parameters:
        """Copy the parameters to the host."""
        shares = [[[self.backend.to_host(p) for p in group] for group in share] for share in self.shares]
        return Parameters(
            *(
                [
                    parts[0] if layer.shared else np.concatenate(parts, axis=-1)
                    for layer, *parts in zip(self.layers, *group)
                ]
                for group in zip(*shares)
            )
        )

    def write(self, parameters: Parameters) -> None:
        """Overwrite the parameters."""
        for w, share in enumerate(self.shares):
            for group, new in zip(share, parameters):
                for p, q, layer, c in zip(group, new, self.layers, self._cuts()[1:]):
                    p[:] = self.backend.asarray(q if layer.shared else q[..., c[w]])

    def agreed(self, seconds: float) -> float:
        """Return ``seconds``; where several processes train together, the largest of theirs."""
        return seconds

    def adopt(self, parameters: Sequence[Sequence[Any]], velocities: Sequence[Sequence[Any]]) -> None:
        """Copy parameters and velocities to other arrays and use these: for each worker (W, b) and (V, c), by layer."""
        places = [(*mine, *theirs) for mine, theirs in zip(parameters, velocities)]
        for old, new in zip(self.shares, places):
            for group, places_ in zip(old, new):
                for p, q in zip(group, places_):
                    q[:] = p
        self.shares = [list(new) for new in places]

        def moved(team: list[Buffers]) -> list[Buffers]:
            return [w._replace(**dict(zip("WbVc", new))) for w, new in zip(team, itertools.cycle(places))]

        self.team, self.tail = moved(self.team), moved(self.tail)
        if self.has_test:
            self.test_team, self.test_tail = moved(self.test_team), moved(self.test_tail)

    def test_error(self) -> float:
        """Return the squared error of the test images' reconstructions: the mean over images and pixels."""
        self.rewind(self.test_team)
        images, pixels = self.test_team[0].images.shape
        self.execute("evaluation", self.test_team, images // len(self.test_team[0].loss))
        if self.test_tail:
            self.execute("evaluation", self.test_tail, 1)
        return self.total() / (images * pixels)

    def test_sums(self) -> list[float]:
        """Return the sum of squared errors of each batch of test images, which ranks add up in the batches' order."""
        self.rewind(self.test_team)
        images, m, sums = len(self.test_team[0].images), len(self.test_team[0].loss), []
        for first in range(0, images, m):
            for total in self.totals:
                total[:] = 0
            self.execute("evaluation", self.test_team if first + m <= images else self.test_tail, 1)
            sums.append(self.total())
        return sums

    def rewind(self, team: list[Buffers]) -> None:
        """Begin again with the first image, and with a loss of 0."""
        for w in team:
            w.cursor[:] = 0
            w.total[:] = 0

    def _cuts(self) -> list[list[slice]]:
        """Return the units that each worker owns of the input and of each layer's output, cut at whole pixels."""
        cuts = []
        for layer, above in zip(self.layers, [*self.layers[1:], None]):
            pixels = [layer.channels] if layer.shared else []
            pixels += [above.inputs // above.pixels] if above is not None and above.shared else []
            cuts.append(self.owned(layer.outputs, math.lcm(*pixels)))
        return [cuts[-1], *cuts]  # the last layer reproduces the images

    def _share(self, parameters: Parameters) -> list[list[tuple[Any, ...]]]:
        """Return the parameters of each worker: of its own units, or the same arrays where all units share them."""
        shares = [[() for _ in parameters] for _ in range(self.workers)]
        for g, group in enumerate(parameters):
            for p, layer, cuts in zip(group, self.layers, self._cuts()[1:]):
                common = [self.array(p)] if layer.shared else []
                for w, share in enumerate(shares):
                    share[g] = (*share[g], *(common or [self.array(p[..., cuts[w]])]))
        return shares

    def _zeros(self, *shape: int) -> Any:
        return self.array(np.zeros(shape, self.dtype))

    def _make_team(self, images: np.ndarray, m: int) -> list[Buffers]:
        """Make each worker's buffers for batches of m images: shared arrays, and views of the columns that it owns."""
        data = self.backend.data(images)
        order = self.backend.asarray(np.arange(len(images), dtype=np.int64))
        hidden = [self._zeros(m, width) for width in self.widths[1:]]
        deltas = [self._zeros(m, layer.outputs) if layer.shared else None for layer in self.layers]
        cuts, workspaces, local, team = self._cuts(), self.workspaces(m), self.local(m, deltas), []
        for i, (W, b, V, c) in enumerate(self.shares):
            batch, loss = self._zeros(m, self.widths[0]), self.array(np.zeros(m))
            mine = [cut[i] for cut in cuts[1:]]
            team.append(
                Buffers(
                    images=data,
                    order=order,
                    cursor=self.array(np.zeros(1, np.int64)),
                    rate=self._rate,
                    scale=1 / m,
                    W=W,
                    b=b,
                    V=V,
                    c=c,
                    a=(batch, *hidden[:-1]),
                    y=tuple(y[:, cut] for y, cut in zip(hidden, mine)),
                    d=tuple(
                        self._zeros(m, cut.stop - cut.start) if whole is None else whole[:, cut]
                        for whole, cut in zip(deltas, mine)
                    ),
                    x=batch[:, cuts[0][i]],
                    loss=loss,
                    losses=loss[:, None],
                    total=self.totals[i],
                    local=local[i],
                    workspace=workspaces[i],
                )
            )
        return team

    def first_rows(self, team: list[Buffers], m: int) -> list[Buffers]:
        """Return a team for a smaller batch, of m images, in the same buffers; an empty one if m is 0."""

        def rows(w: Buffers) -> Buffers:
            a, y, d = (tuple(array[:m] for array in group) for group in (w.a, w.y, w.d))
            local = tuple(self.shrink_local(one, m) for one in w.local)
            return w._replace(scale=1 / m, a=a, y=y, d=d, x=w.x[:m], loss=w.loss[:m], losses=w.losses[:m], local=local)

        return [rows(w) for w in team] if m else []
