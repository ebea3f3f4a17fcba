"""The training step: its gradients against finite differences, its bits, its batches, its memory.

The real architecture follows PyTorch's autograd in `tests/golden/test_golden.py`.
"""

import itertools
import os
import subprocess
import sys
import threading
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from step_by_hand import (
    REAL,
    Arrays,
    close,
    digest,
    gradient_by_hand,
    images,
    loss_of,
    outputs,
    same_bits,
    session,
    start,
    step,
    train,
)

import fastae
from fastae.check import bounds
from fastae.errors import InputError

TEAMS = [("numpy", None), *[("numba", threads) for threads in (1, 2, 3, 5)]]

losses = pytest.mark.parametrize("loss", ["mse", "bce"])
teams = pytest.mark.parametrize(("backend", "threads"), TEAMS)

# The same network in float64, written independently of fastae.


@cache
def gradient_by_differences(sizes: tuple[int, ...], loss: str, m: int) -> list[np.ndarray]:
    """(f(p + h) − f(p − h)) / 2h for each weight and bias p of `start`, and the first m images."""
    p = start(sizes)
    x = images(sizes[0], m) / 255
    gradients = []
    for parameter in (*p.W, *p.b):
        gradient = np.empty_like(parameter)
        for index in np.ndindex(*parameter.shape):
            value = parameter[index]
            sides = []
            for h in (STEP, -STEP):
                parameter[index] = value + h
                sides.append(loss_of(p.W, p.b, x, loss))
            parameter[index] = value
            gradient[index] = (sides[0] - sides[1]) / (2 * STEP)
        gradients.append(gradient)
    return gradients


# A difference errs by h²/6 times a third derivative, here of order 1 an output, and by the loss's rounding over h.
STEP = 1e-5
DIFFERENCE = 1e-8

# Gradients.


NUMPY_ONLY = [(9, 5), (1, 1), (7, 1), (3, 1, 2), (1, 4), (6, 5, 4, 3, 2)]
# The widest have three vectors of 8 lanes, so that some of five workers own nothing; the narrowest one unit.
EVERYWHERE = [("mse", (20, 17, 9)), ("bce", (18, 7, 1)), ("bce", (7, 6, 5, 3)), ("mse", (1, 3, 1))]


@pytest.mark.parametrize(
    ("loss", "sizes", "backend", "threads"),
    [(loss, sizes, "numpy", None) for loss, sizes in itertools.product(["mse", "bce"], NUMPY_ONLY)]
    + [(*case, *team) for case, team in itertools.product(EVERYWHERE, TEAMS)],
    ids=str,
)
def test_the_gradient_of_every_parameter(loss: str, sizes: tuple[int, ...], backend: str, threads: int | None) -> None:
    """The gradient is what one step at a learning rate of 1 takes away."""
    p = start(sizes)
    after = step(backend, p, images(sizes[0], 5), loss=loss, lr=1.0, threads=threads)
    expected = gradient_by_differences(sizes, loss, 5)
    for before, now, gradient in zip((*p.W, *p.b), (*after.W, *after.b), expected, strict=True):
        assert bounds.accepts(before - now, gradient, DIFFERENCE)


@pytest.mark.parametrize("sizes", [(9, 5), (7, 6, 5, 3)], ids=str)
@losses
def test_the_gradients_that_the_tests_below_rely_on(sizes: tuple[int, ...], loss: str) -> None:
    p = start(sizes)
    G, g = gradient_by_hand(p.W, p.b, images(sizes[0], 5) / 255, loss)
    for found, expected in zip((*G, *g), gradient_by_differences(sizes, loss, 5), strict=True):
        assert bounds.accepts(found, expected, DIFFERENCE)


def test_differences_tell_a_wrong_gradient() -> None:
    """The smallest gradients are far above the bound, and so are the two losses from each other."""
    for loss, sizes in EVERYWHERE:
        smallest = min(abs(gradient).max() for gradient in gradient_by_differences(sizes, loss, 5))
        assert smallest > 1e4 * DIFFERENCE
    mse, bce = (gradient_by_differences((7, 1), loss, 5) for loss in ("mse", "bce"))
    assert all(abs(p - q).max() > 1e4 * DIFFERENCE for p, q in zip(mse, bce))


# Batches.


@losses
@teams
def test_each_step_trains_on_the_images_that_the_order_names(loss: str, backend: str, threads: int | None) -> None:
    """Two epochs of 3 + 3 + 1 images; the last one's gradient is a mean over itself. No other order comes close."""
    sizes, data = (20, 17, 9), images(20, 7)
    p = start(sizes)
    orders = [np.array([4, 0, 6, 1, 5, 3, 2]), np.array([2, 3, 0, 6, 4, 5, 1])]
    s = session(backend, p, data, loss=loss, lr=0.5, batch_size=3, threads=threads)
    for order in orders:
        s.start(order)
        s.run(1)
        s.run(1)
        s.finish()
    batches = [data[order[i : i + 3]] / 255 for order in orders for i in (0, 3, 6)]
    assert close(s.read(), train(p, batches, loss, 0.5), 1e-13)
    for i, j in [(0, 1), (1, 2), (2, 3), (4, 5)]:
        swapped = list(batches)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        assert not close(s.read(), train(p, swapped, loss, 0.5), 1e-6)


@teams
def test_several_steps_in_one_run_are_the_steps_one_by_one(backend: str, threads: int | None) -> None:
    results = []
    for runs in ([5], [1, 1, 3], [1] * 5):
        s = session(backend, start((20, 17, 9)), images(20, 17), batch_size=3, threads=threads)
        s.start(np.arange(17)[::-1].copy())
        for n in runs:
            s.run(n)
        s.finish()
        results.append(s)
    assert same_bits(results[0].read(), results[1].read())
    assert same_bits(results[0].read(), results[2].read())
    assert results[0].total() == results[1].total() == results[2].total()


@losses
@teams
def test_the_total_is_the_loss_of_each_batch_as_it_was_trained_on(loss: str, backend: str, threads: int | None) -> None:
    """It starts at 0 with each epoch, and the test error leaves the parameters unchanged."""
    data, test = images(20, 7), images(20, 600)
    p = start((20, 17, 9))
    s = session(backend, p, data, test_images=test, loss=loss, lr=0.5, batch_size=3, threads=threads)
    for _ in range(2):
        p = s.read()
        s.start(np.arange(7))
        expected = 0.0
        for i in (0, 3, 6):
            x = data[i : i + 3] / 255
            expected += len(x) * loss_of(p.W, p.b, x, loss)
            p = train(p, [x], loss, 0.5)
            s.run(1) if len(x) == 3 else s.finish()
        assert s.total() == pytest.approx(expected, rel=1e-12)
        before = s.read()
        error = np.mean((outputs(p.W, p.b, test / 255)[-1] - test / 255) ** 2)
        assert s.test_error() == pytest.approx(error, rel=1e-12)
        assert same_bits(s.read(), before)


@teams
def test_saturated_outputs_have_the_floored_loss_and_learn_on(backend: str, threads: int | None) -> None:
    """Outputs that are exactly 0 and 1 cost at most 100 a pixel, and neither loss nor gradient is infinite or NaN."""
    data = images(20, 6)
    p = start((20, 17, 9))
    p.b[3][:] = np.where(np.arange(20) % 2, 700, -700)
    s = session(backend, p, data, loss="bce", lr=0.5, batch_size=6, threads=threads)
    s.start(np.arange(6))
    s.run(1)
    x = data / 255
    z = outputs(p.W, p.b, x)[-1]
    log_z, log_1z = bounds.floored_logs(z)
    assert s.total() == pytest.approx(-np.sum(x * log_z + (1 - x) * log_1z), rel=1e-12)
    assert close(s.read(), train(p, [x], "bce", 0.5), 1e-12)


@losses
@teams
def test_momentum_is_pytorchs(loss: str, backend: str, threads: int | None) -> None:
    """From velocities that are not 0, over a ragged batch, velocities and parameters both."""
    data = images(20, 8)
    p = start((20, 17, 9), momentum=True)
    s = session(backend, p, data, loss=loss, lr=0.05, momentum=0.9, batch_size=3, threads=threads)
    s.start(np.arange(8))
    s.run(2)
    s.finish()
    batches = [data[i : i + 3] / 255 for i in (0, 3, 6)]
    assert close(s.read(), train(p, batches, loss, 0.05, 0.9), 1e-13)
    assert not close(s.read(), train(p, batches, loss, 0.05, 0.89), 1e-4)


@teams
def test_written_parameters_are_trained_on(backend: str, threads: int | None) -> None:
    """A trainer does this to go back to the last good epoch."""
    data = images(20, 6)
    s = session(backend, start((20, 17, 9)), data, batch_size=6, lr=0.5, threads=threads)
    s.start(np.arange(6))
    s.run(1)
    other = start((20, 17, 9), seed=8)
    s.write(other)
    assert same_bits(s.read(), other)
    s.start(np.arange(6))
    s.run(1)
    assert close(s.read(), train(other, [data / 255], "mse", 0.5), 1e-13)


@teams
def test_a_session_leaves_its_arguments_alone(backend: str, threads: int | None) -> None:
    p, data = start((20, 17, 9), momentum=True), images(20, 6)
    before, data_before = start((20, 17, 9), momentum=True), data.copy()
    after = step(backend, p, data, momentum=0.5, threads=threads)
    assert same_bits(p, before)
    assert data.tobytes() == data_before.tobytes()
    assert not any(np.array_equal(q, r) for group, others in zip(after, before) for q, r in zip(group, others))


# Rounding.


def exact_step(sizes: tuple[int, ...], dtype: str, loss: str) -> tuple[Arrays, Arrays]:
    """Return the weights and biases after one step from those of that dtype, and how far from them they may be."""
    p, x = start(sizes, dtype), images(sizes[0], 16) / 255
    exact = train(p, [x], loss, 0.25)
    bound = bounds.step(*([q.astype(np.float64) for q in group] for group in (p.W, p.b)), x, loss, 0.25, dtype)
    return [*exact.W, *exact.b], [*bound[0], *bound[1]]


SMALL = (20, 17, 9)  # seven layers of hundreds of units could, in the worst case, lose all digits; they never do


@losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("backend", "threads"), [*TEAMS, ("pure-python", None)])
def test_one_step_is_as_exact_as_its_kernels(loss: str, dtype: str, backend: str, threads: int | None) -> None:
    """Within a bound that is derived from the sizes and the unit roundoff alone."""
    found = step(backend, start(SMALL, dtype), images(20, 16), loss=loss, lr=0.25, threads=threads)
    for q, exact, bound in zip((*found.W, *found.b), *exact_step(SMALL, dtype, loss), strict=True):
        assert q.dtype == dtype
        assert bounds.accepts(q.astype(np.float64), exact, bound)


@losses
def test_the_bound_of_one_step_rejects_what_is_slightly_wrong(loss: str) -> None:
    """Neither a result in half precision nor a learning rate that is off by a thousandth is within it."""
    rest = start(SMALL, "float32")
    for exact, bound, before in zip(*exact_step(SMALL, "float32", loss), (*rest.W, *rest.b), strict=True):
        assert not bounds.accepts(exact.astype(np.float16).astype(np.float64), exact, bound)
        assert not bounds.accepts(exact + 1e-2 * (exact - before), exact, bound)


def relative_errors(found: Arrays, exact: Arrays) -> Arrays:
    return [np.array(np.linalg.norm(p - q) / np.linalg.norm(q)) for p, q in zip(found, exact, strict=True)]


FLOAT32_GRADIENT = 2e-6  # relative, in the norm of each array; measured: up to 3.3e-7, and 1.3e-4 as TF32 has it


@losses
@pytest.mark.parametrize(("backend", "threads"), [("numpy", None), ("numba", 1), ("numba", 2)])
def test_float32_gradients_of_the_real_architecture(loss: str, backend: str, threads: int | None) -> None:
    """With a learning rate so large that the old weights are negligible."""
    p, data = start(REAL, "float32"), fastae.load_dataset()[0][:16]
    after = step(backend, p, data, loss=loss, lr=2.0**20, threads=threads)
    found = [(q.astype(np.float64) - r) / 2**20 for q, r in zip((*p.W, *p.b), (*after.W, *after.b))]
    G, g = gradient_by_hand(*([q.astype(np.float64) for q in group] for group in (p.W, p.b)), data / 255, loss)
    assert np.all(np.array(relative_errors(found, [*G, *g])) <= FLOAT32_GRADIENT)
    # With the weights as TF32 has them, every gradient is far off.
    low = gradient_by_hand([bounds.rounded(q, 10) for q in p.W], p.b, data / 255, loss)
    assert np.all(np.array(relative_errors([*low[0], *low[1]], [*G, *g])) > 10 * FLOAT32_GRADIENT)


@losses
@pytest.mark.parametrize("sizes", [(20, 17, 9), (20, 20, 20), (1, 3, 1)], ids=str)
def test_any_number_of_workers_agrees_to_rounding(loss: str, sizes: tuple[int, ...]) -> None:
    """More than there are cores, and more than there are vectors in a layer."""
    data = images(sizes[0], 23)
    results = []
    for threads in (1, 2, 3, 4, 7):
        s = session("numba", start(sizes), data, loss=loss, batch_size=4, threads=threads)
        for _ in range(3):
            s.start(np.arange(23))
            s.run(5)
            s.finish()
        results.append((s.read(), s.total()))
    for p, total in results[1:]:
        assert close(p, results[0][0], 1e-13)
        assert total == pytest.approx(results[0][1], rel=1e-13)


# The same bits.

PROGRAM = """
import hashlib, sys
sys.path[:0] = {path!r}
from step_by_hand import digest
print(*(digest(backend, threads) for backend, threads in [("numpy", None), ("numba", 1), ("numba", 2)]))
"""


def test_the_same_seed_gives_the_same_bits_twice_and_in_another_process() -> None:
    program = [sys.executable, "-c", PROGRAM.format(path=sys.path)]
    paths = [str(Path(fastae.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    elsewhere = subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout.split()
    here = [digest("numpy", None), digest("numba", 1), digest("numba", 2)]
    assert here == elsewhere
    assert here == [digest("numpy", None), digest("numba", 1), digest("numba", 2)]


# Memory and threads.


@losses
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_training_allocates_nothing(loss: str, momentum: float, backend: str) -> None:
    """Any temporary of a batch or of a weight matrix would be larger, and so would 50 small leaks.

    NumPy's own buffer for casting, up to 2.2, is of 8,192 doubles.
    """
    p = start(REAL, "float32", momentum=bool(momentum))
    s = session(backend, p, images(784, 128 * 3), loss=loss, momentum=momentum, lr=0.01, batch_size=128)
    s.start(np.arange(128 * 3))
    s.run(2)
    tracemalloc.start()
    try:
        for _ in range(50):
            s.rewind(s.team)
            s.run(3 if backend == "numba" else 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 72 * 1024


def test_no_worker_outlives_a_run() -> None:
    s = session("numba", start((20, 17, 9)), images(20, 8), batch_size=4, threads=5)
    before = set(threading.enumerate())
    s.start(np.arange(8))
    s.run(2)
    assert set(threading.enumerate()) <= before


def test_only_numba_takes_threads() -> None:
    for backend in ("numpy", "pure-python"):
        with pytest.raises(InputError, match="threads"):
            session(backend, start((20, 17, 9)), images(20, 8), batch_size=4, threads=2)
