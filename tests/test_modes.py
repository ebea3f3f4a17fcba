"""Eager, captured and persistent steps: the same bits, and every way to capture wrongly is caught.

What needs no stand-in runs twice, as in test_cupy.py: on the CPU, and, where there is one, on a GPU.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae
from fastae import cli
from fastae.backends.base import Parameters
from fastae.backends.cupy_backend import CupyBackend, launcher, operations
from fastae.backends.cupy_backend.session import MODES, STEPS_A_GRAPH, CupySession
from fastae.backends.emulator import EmulatorBackend, KernelFault, checking, device, streams
from fastae.backends.emulator.streams import CaptureError, Graph
from fastae.cuda import source
from fastae.errors import InputError

SIZES, PIXELS, IMAGES, BATCH = (37, 20, 9, 20, 37), 37, 140, 4  # 35 batches: two graphs of 16 steps and three more
LOSSES = pytest.mark.parametrize("loss", ["mse", "bce"])


def parameters(momentum: float = 0.0, dtype: str = "float32") -> Parameters:
    rng = np.random.default_rng(0)
    W = [rng.normal(0, 0.5, shape).astype(dtype) for shape in zip(SIZES, SIZES[1:])]
    b = [rng.normal(0, 0.1, n).astype(dtype) for n in SIZES[1:]]
    none = slice(None) if momentum else slice(0)
    return Parameters(W, b, [np.zeros_like(w)[none] for w in W], [np.zeros_like(x)[none] for x in b])


def images(n: int = IMAGES) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, PIXELS), dtype=np.uint8)


def session(
    backend: CupyBackend, mode: str | None, n: int = IMAGES + 3, momentum: float = 0.0, **more: Any
) -> CupySession:
    options = {"batch_size": BATCH, "lr": 0.05, "momentum": momentum, "mode": mode, **more}
    dtype = options.pop("dtype", "float32")
    return backend.session(parameters(momentum, dtype), images(n), test_images=images(41), **options)


def epochs(s: CupySession, count: int = 2, batches: int = IMAGES // BATCH) -> list[float]:
    """Train, in pieces as a trainer does, and return every number that can be read on the way."""
    numbers = []
    for epoch in range(count):
        n = len(s._train[0].order)
        s.start(np.random.default_rng([1, 0, epoch]).permutation(n))
        s.run(1)
        numbers.append(s.total())
        s.run(batches - 1)
        s.finish()
        numbers += [s.total(), s.test_error()]
    return numbers


def bits(s: CupySession) -> bytes:
    return b"".join(p.tobytes() for group in s.read() for p in group)


# The same bits.


@LOSSES
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_modes_end_in_the_same_bits(cupy: CupyBackend, loss: str, momentum: float, dtype: str) -> None:
    found = []
    for mode in MODES:
        s = session(cupy, mode, loss=loss, momentum=momentum, dtype=dtype)
        found.append((epochs(s), bits(s)))
    assert found[0] == found[1] == found[2]
    assert np.isfinite(found[0][0]).all()
    assert found[0][0][4] < found[0][0][1]  # it learns


@pytest.mark.parametrize("mode", MODES)
def test_tf32_gives_the_same_bits_in_all_modes_and_others_than_float32(cupy: CupyBackend, mode: str) -> None:
    eager, other, float32 = (session(cupy, m, tf32=t) for m, t in (("eager", True), (mode, True), (mode, False)))
    assert epochs(eager) == epochs(other)
    numbers = epochs(float32)
    assert bits(eager) == bits(other) != bits(float32)
    np.testing.assert_allclose(epochs(session(cupy, mode, tf32=True)), numbers, rtol=1e-2)


@pytest.mark.parametrize("mode", ["captured", "persistent"])
def test_the_learning_rate_changes_without_another_capture(cupy: CupyBackend, mode: str) -> None:
    found = []
    for m in ("eager", mode):
        s = session(cupy, m, momentum=0.9)
        epochs(s, 1)
        graphs = dict(s._graphs)
        s.set_rate(0.01, 0.5)
        epochs(s, 1)
        assert s._graphs == graphs  # the very same
        found.append(bits(s))
    assert found[0] == found[1]
    unchanged = session(cupy, mode, momentum=0.9)
    epochs(unchanged)
    assert bits(unchanged) != found[0]


def test_velocities_cannot_be_had_later(cupy: CupyBackend) -> None:
    s = session(cupy, None)
    s.set_rate(0.01)
    with pytest.raises(InputError, match="began without momentum keeps no velocities"):
        s.set_rate(0.01, 0.9)


def test_captured_is_the_default_and_captures_each_batch_size_once(cupy: CupyBackend) -> None:
    s = session(cupy, None)
    assert s.mode == "captured"
    epochs(s, 3)
    tail, test = (IMAGES + 3) % BATCH, 41
    assert tail == 3
    assert set(s._graphs) == {
        ("step", BATCH, 1),
        ("step", BATCH, STEPS_A_GRAPH),
        ("step", tail, 1),
        ("evaluation", test, 1),
    }


def test_numpy_has_no_modes_and_no_tf32(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["train", "--backend", "numpy", "--limit", "20", "--epochs", "1", "--out", str(tmp_path)]
    for extra, words in (
        (["--mode", "captured"], "the backend 'numpy' has no modes; cupy and emulator do"),
        (["--tf32"], "the backend 'numpy' has no TF32; cupy and emulator do"),
    ):
        assert cli.main([*options, *extra]) == 2
        assert words in capsys.readouterr().err


def test_bad_modes_and_tf32_of_another_dtype_are_refused(cupy: CupyBackend) -> None:
    with pytest.raises(InputError, match="unknown mode 'quick'; the modes are: captured, eager, persistent"):
        session(cupy, "quick")
    with pytest.raises(InputError, match="TF32 is a way to multiply float32; the model is float64"):
        session(cupy, None, tf32=True, dtype="float64")


def test_tf32_needs_tensor_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.Device, "compute_capability", "75")
    with pytest.raises(InputError, match=r"TF32 needs compute capability 8\.0; this GPU has 7\.5"):
        session(EmulatorBackend(), None, tf32=True)


@pytest.mark.parametrize("mode", MODES)
def test_the_command_line_has_modes(mode: str, tmp_path: Path) -> None:
    histories = []
    for name, more in (("numpy", []), ("emulator", ["--mode", mode]), ("emulator", ["--mode", mode, "--tf32"])):
        options = ["--backend", name, "--limit", "48", "--epochs", "1", "--no-progress", "--out", str(tmp_path), *more]
        assert cli.main(["train", *options]) == 0
        histories.append(json.loads((tmp_path / "history.json").read_text()))
    numpys, float32, tf32 = (h["epochs"][0]["train_loss"] for h in histories)
    assert float32 == pytest.approx(numpys, rel=1e-5)
    assert tf32 == pytest.approx(numpys, rel=1e-2)
    assert tf32 != float32
    assert [h["config"]["tf32"] for h in histories] == [False, False, True]


# The tiles.


@pytest.mark.parametrize("tile", launcher.TILES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@LOSSES
def test_a_step_is_numpys_with_tiles_of_any_size(
    cupy: CupyBackend, tile: int, momentum: float, loss: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(cupy.launcher, "tile", lambda rows, cols: tile)
    data, model, rng = images(50), parameters(momentum), np.random.default_rng(3)
    for velocity in (*model.V, *model.c):
        velocity[:] = rng.normal(0, 0.1, velocity.shape)
    found = []
    for k in (cupy, fastae.backends.get("numpy")):
        s = k.session(model, data, loss=loss, batch_size=50, lr=0.1, momentum=momentum)
        s.start(np.arange(50))
        s.run(1)
        found.append(s.read())
    for ours, numpys in zip(*([array for group in p for array in group] for p in found)):
        np.testing.assert_allclose(ours, numpys, rtol=0, atol=2e-6)


@pytest.mark.parametrize("tile", [tile for tile in launcher.TILES if tile >= 16])
def test_tf32_rounds_the_inputs_and_only_them(cupy: CupyBackend, tile: int, monkeypatch: Any) -> None:
    """Inputs of few bits give float32's bits; 1 + 2⁻¹¹ is rounded up to 1 + 2⁻¹⁰, and 1 + 2⁻¹² down to 1."""
    tf32 = cupy.launcher_for(True, np.dtype(np.float32))
    monkeypatch.setattr(tf32, "tile", lambda rows, cols: tile)
    forward = operations.make_operations(cupy, tf32, "mse")["forward"]
    rng = np.random.default_rng(2)

    def product(a: np.ndarray, W: np.ndarray) -> np.ndarray:
        y = cupy.asarray(np.full((len(a), W.shape[1]), np.nan, np.float32))
        forward(cupy.asarray(a), cupy.asarray(W), cupy.asarray(np.zeros(W.shape[1], np.float32)), y)
        z = cupy.to_host(y).astype(np.float64)
        return np.log(z / (1 - z))

    a, W = (rng.integers(-3, 4, shape).astype(np.float32) / 16 for shape in ((33, 70), (70, 41)))
    np.testing.assert_allclose(product(a, W), a.astype(np.float64) @ W, atol=1e-5)
    ones, small = np.ones((17, 8), np.float32), np.full((8, 9), 2.0**-6, np.float32)
    for value, rounded in ((1 + 2**-11, 1 + 2**-10), (1 + 2**-12, 1.0), (-1 - 2**-11, -1 - 2**-10)):
        np.testing.assert_allclose(product(ones * np.float32(value), small), rounded / 8, atol=3e-7)


# Wrong captures, on the stand-in.


def captured_with(monkeypatch: pytest.MonkeyPatch, **replaced: Callable[..., Any]) -> CupySession:
    """Return a captured session of the emulator with other operations; each is made from the right one."""
    right = operations.make_operations

    def make(k: Any, launcher: Any, loss: str) -> dict[str, Any]:
        made = right(k, launcher, loss)
        return made | {name: replace(made.get(name, getattr(k, name, None))) for name, replace in replaced.items()}

    monkeypatch.setattr("fastae.backends.cupy_backend.session.make_operations", make)
    return session(EmulatorBackend(), "captured")


def expected_numbers() -> list[float]:
    return epochs(session(EmulatorBackend(), "eager"))


def test_a_scalar_is_frozen_when_it_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A learning rate that is a number, not a place on the device, does not follow when it is changed."""
    rates = [0.05]

    def by_number(_: Any) -> Any:
        k = EmulatorBackend()

        def update(a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, own: Any = None) -> None:
            k.matmul(a, d, W, True, False, -rates[0], 1.0)
            k.column_sum(d, b, -rates[0], 1.0)

        return update

    s = captured_with(monkeypatch, update=by_number)
    np.testing.assert_allclose(epochs(s, 1), expected_numbers()[:3], rtol=1e-5)
    eager = session(EmulatorBackend(), "eager")
    epochs(eager, 1)
    rates[0] = 0.5
    for other in (s, eager):
        other.set_rate(0.5)
    assert epochs(s, 1)[-1] != pytest.approx(epochs(eager, 1)[-1], rel=1e-3)


def test_a_host_side_counter_is_frozen_when_it_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replay would take the batch that was captured."""
    totals, zero = [], device.array(np.zeros(1, np.int64))
    for mode in ("eager", "captured"):
        done = [0]

        def by_counter(right: Any, done: list[int] = done) -> Any:
            def gather(images: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
                right(images, order, zero, done[0], out)
                done[0] += len(out)

            return gather

        s = captured_with(monkeypatch, gather=by_counter)
        s.mode = mode
        s.start(np.arange(IMAGES + 3))
        s.run(5)
        totals.append(s.total())
        monkeypatch.undo()
    right = session(EmulatorBackend(), "captured")
    right.start(np.arange(IMAGES + 3))
    right.run(5)
    assert totals[0] == right.total() != totals[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda k, array: k.asarray(np.zeros(3)), "memory is allocated while a stream is captured"),
        (lambda k, array: k.to_host(array), "an array is copied to the host while a stream is captured"),
        (lambda k, array: array.__setitem__(slice(None), 0), "an array is assigned to while a stream is captured"),
        (lambda k, array: streams.get_current_stream().synchronize(), "the host waits for the device while"),
        (lambda k, array: Graph([]).launch(), "a graph is launched while a stream is captured"),
    ],
    ids=["allocation", "copy to the host", "assignment", "synchronisation", "a graph in a graph"],
)
def test_what_may_not_happen_inside_a_capture(
    fault: Callable[[Any, Any], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(right: Any) -> Any:
        def forward(a: Any, W: Any, b: Any, y: Any, own: Any = None) -> None:
            if streams.capture() is not None:
                fault(EmulatorBackend(), y)
            right(a, W, b, y)

        return forward

    s = captured_with(monkeypatch, forward=faulty)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(CaptureError, match=words):
        s.run(3)
    assert streams.capture() is None  # and the next one can begin


def test_a_branch_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    k = EmulatorBackend()
    s = captured_with(monkeypatch, advance=lambda right: k.advance)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(CaptureError, match=r"the captured stream never waits for .*update.* on another stream"):
        s.run(3)


def test_a_launch_on_a_stream_that_is_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(right: Any) -> Any:
        def forward(*arguments: Any) -> None:
            with streams.Stream(non_blocking=True):
                right(*arguments)

        return forward

    s = captured_with(monkeypatch, forward=elsewhere)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(CaptureError, match="forward is launched on a stream that is not captured while another is"):
        s.run(3)


def test_a_graph_does_not_keep_its_arrays_alive() -> None:
    k, stream = EmulatorBackend(), streams.Stream(non_blocking=True)
    cursor = k.asarray(np.zeros(1, np.int64))
    with stream:
        k.advance(cursor, 1)
        stream.begin_capture()
        k.advance(cursor, 1)
        graph = stream.end_capture()
    graph.launch()
    assert k.to_host(cursor) == 2
    del cursor
    with pytest.raises(CaptureError, match="an array that the captured advance uses is gone: keep it alive"):
        graph.launch()


@pytest.mark.parametrize("seed", range(3))
def test_the_branches_of_a_graph_may_mix_in_any_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right waits the bits do not depend on it; a branch that begins too early spoils them."""
    expected = expected_numbers()
    monkeypatch.setattr(Graph, "shuffle", random.Random(seed))
    assert epochs(session(EmulatorBackend(), "captured")) == expected

    class Careless(streams.Stream):
        def wait_event(self, event: streams.Event) -> None:
            now = streams.capture()
            before = now.last.get(self, frozenset()) if now else frozenset()
            super().wait_event(event)
            if now is not None and self is not now.origin:
                now.last[self] = before  # it has joined the capture, and waits for nothing

    monkeypatch.setattr(streams, "Stream", Careless)
    assert epochs(session(EmulatorBackend(), "captured")) != expected


# The persistent kernel's barrier, on the emulator.


def persistent_with(
    monkeypatch: pytest.MonkeyPatch, old: str = "", new: str = "", cooperative: bool = True
) -> CupySession:
    """Return a persistent session whose kernels have been changed at one place."""

    def changed(name: str) -> str:
        text = source(name)
        if name == "persistent.cu" and old:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    monkeypatch.setattr(launcher, "source", changed)
    if not cooperative:
        module = device.RawModule
        monkeypatch.setattr(device, "RawModule", lambda enable_cooperative_groups, **more: module(**more))
    return session(EmulatorBackend(), "persistent")


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@LOSSES
def test_persistent_steps_have_no_fault(order: str, loss: str) -> None:
    with checking(order):
        s = session(EmulatorBackend(), "persistent", loss=loss, momentum=0.9)
        found = epochs(s, 1, 3)
    assert found == epochs(session(EmulatorBackend(), "eager", loss=loss, momentum=0.9), 1, 3)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "    __threadfence();  // whoever sees this block arrive sees what it wrote\n",
            "",
            "a race between two blocks",
        ),
        ("    __threadfence();  // and reads afresh what the others wrote\n", "", "a race between two blocks"),
        (
            "unsigned& goal) {\n  __syncthreads();",
            "unsigned& goal) {",
            "a race between two (blocks|threads)",
        ),
        ("    goal += gridDim.x;\n", "    goal += gridDim.x - 1;\n", "a race between two blocks"),
        (
            "    goal += gridDim.x;\n",
            "    goal += gridDim.x + 1;\n",
            "it waits for ever for what no other thread will do",
        ),
        ("    atomicAdd(arrived, 1u);\n", "    *arrived += 1;\n", "a race between two blocks"),
        (
            "u = min(l + 1, last); u > l ||",
            "u = l; u > l - 1 ||",
            "a race between two blocks",
        ),
    ],
    ids=[
        "no fence before",
        "no fence after",
        "no block barrier",
        "too few",
        "too many",
        "no atomic",
        "update too early",
    ],
)
def test_each_part_of_the_barrier_across_blocks_is_needed(
    old: str, new: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = persistent_with(monkeypatch, old, new)
    s.start(np.arange(IMAGES + 3))
    with (
        checking(),
        pytest.raises(KernelFault, match=rf"persistent\.cu|\.cuh:\d+, kernel train_mse.*{words}") as caught,
    ):
        s.run(6)
    assert caught.value.kernel == "train_mse"
    assert any(word in str(caught.value) for word in ("race", "for ever"))


def test_a_barrier_across_blocks_needs_a_cooperative_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a block may wait for one that cannot begin before it ends."""
    s = persistent_with(monkeypatch, cooperative=False)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(KernelFault, match=r"persistent\.cu:\d+, kernel train_mse, .*waits for ever"):
        s.run(1)


def test_a_cooperative_launch_must_fit_on_the_device() -> None:
    code = 'extern "C" __global__ void nothing(int n) {}'
    kernel = device.RawModule(code, enable_cooperative_groups=True).get_function("nothing")
    kernel((streams.MULTIPROCESSORS * 2,), (1024,), (np.int32(1),))
    with pytest.raises(ValueError, match="nothing: "):
        kernel((streams.MULTIPROCESSORS * 2 + 1,), (1024,), (np.int32(1),))
    with pytest.raises(ValueError, match="a block has 1 to 1024 threads, not 1025"):
        kernel((1,), (1025,), (np.int32(1),))
