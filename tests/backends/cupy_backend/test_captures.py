"""The stand-in catches every wrong capture, and each part of the persistent kernel's barrier is needed."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cuda_sessions import BATCH, IMAGES, LOSSES, epochs, longest_chain, session
from sampling import sample

from fastae.backends.cupy_backend import launcher, operations
from fastae.backends.cupy_backend.plan import PIXELS, SUM, make_plan
from fastae.backends.cupy_backend.session import STEPS_A_GRAPH, CupySession
from fastae.backends.emulator import EmulatorBackend, KernelFault, checking, device, streams
from fastae.backends.emulator.streams import CaptureError, Graph
from fastae.cuda import source

# Wrong captures.


def captured_with(monkeypatch: pytest.MonkeyPatch, **replaced: Callable[..., Any]) -> CupySession:
    """Return a captured session of the emulator with other operations; each is made from the right one."""
    right = operations.make_operations

    def make(k: Any, *arguments: Any) -> dict[str, Any]:
        made = right(k, *arguments)
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

        def update(
            a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, layer: Any = None, own: Any = None
        ) -> None:
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
        (lambda k, array: array.set(np.zeros_like(array)), "an array is copied from the host while a stream is"),
        (lambda k, array: array.__setitem__(slice(None), 0), "an array is assigned to while a stream is captured"),
        (lambda k, array: streams.get_current_stream().synchronize(), "the host waits for the device while"),
        (lambda k, array: Graph([]).launch(), "a graph is launched while a stream is captured"),
    ],
    ids=["allocation", "copy to the host", "copy from the host", "assignment", "synchronisation", "a graph in a graph"],
)
def test_what_may_not_happen_inside_a_capture(
    fault: Callable[[Any, Any], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(right: Any) -> Any:
        def forward(a: Any, W: Any, b: Any, y: Any, layer: Any = None, own: Any = None) -> None:
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


def test_the_first_error_of_a_capture_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong after the branch has left keeps it from being joined; that is not what the user should read."""

    def faulty(right: Any) -> Any:
        def advance(*arguments: Any) -> None:
            if streams.capture() is not None:
                raise RuntimeError("the first error")
            right(*arguments)

        return advance

    s = captured_with(monkeypatch, advance=faulty)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(RuntimeError, match="the first error"):
        s.run(2)
    assert streams.capture() is None


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


@pytest.mark.parametrize("seed", sample(range(3), 3))
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


@LOSSES
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_longest_chain_of_a_step_has_nine_launches_and_eight_where_another_follows(
    loss: str, momentum: float
) -> None:
    """Each costs some 2 µs on a GPU at small batches: four layers forward, three back, an update; once, a batch."""
    s = session(EmulatorBackend(), "captured", loss=loss, momentum=momentum)
    epochs(s, 1)
    ways = ["forward"] * 3 + ["forward_loss"] + ["backward"] * 3 + ["update"]
    assert longest_chain(s.graphs["step", BATCH, 1]) == ["gather", *ways]
    chain = longest_chain(s.graphs["step", BATCH, STEPS_A_GRAPH])
    assert len(chain) == 1 + STEPS_A_GRAPH * 8
    for graph, steps in ((s.graphs["step", BATCH, 1], 1), (s.graphs["step", BATCH, STEPS_A_GRAPH], STEPS_A_GRAPH)):
        assert len(graph.nodes) == 15 * steps


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


@pytest.mark.parametrize("order", sample(["forward", "reverse", "random"], 3))
@LOSSES
def test_persistent_steps_have_no_fault(order: str, loss: str) -> None:
    with checking(order):
        s = session(EmulatorBackend(), "persistent", loss=loss, momentum=0.9)
        found = epochs(s, 1, 3)
    assert found == epochs(session(EmulatorBackend(), "eager", loss=loss, momentum=0.9), 1, 3)


RACE, FOREVER = "a race between two blocks", "it waits for ever for what no other thread will do"
BARRIERS = {  # what is changed, and what is found
    "no release": ("emulated_add_release(arrived, 1u)", "atomicAdd(arrived, 1u)", RACE),
    "no acquire": (
        "return emulated_load_acquire(arrived);",
        "__nanosleep(20); return *(const volatile unsigned*)arrived;",
        RACE,
    ),
    "no atomic": ("emulated_add_release(arrived, 1u)", "*arrived += 1", RACE),
    "no block barrier": (
        "unsigned& goal) {\n  __syncthreads();",
        "unsigned& goal) {",
        "a race between two (blocks|threads)",
    ),
    "too few": ("    goal += gridDim.x;\n", "    goal += gridDim.x - 1;\n", RACE),
    "too many": ("    goal += gridDim.x;\n", "    goal += gridDim.x + 1;\n", FOREVER),
    "update too early": ("update(layer.updated);", "update(layer.updated + 1);", RACE),
}


@pytest.mark.parametrize(("old", "new", "words"), BARRIERS.values(), ids=BARRIERS)
def test_each_part_of_the_barrier_across_blocks_is_needed(
    old: str, new: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = persistent_with(monkeypatch, old, new)
    s.start(np.arange(IMAGES + 3))
    with (
        checking(),
        pytest.raises(KernelFault, match=rf"persistent\.cu|\.cuh:\d+, kernel train.*{words}") as caught,
    ):
        s.run(6)
    assert caught.value.kernel == "train"
    assert any(word in str(caught.value) for word in ("race", "for ever"))


def test_a_barrier_across_blocks_needs_a_cooperative_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a block may wait for one that cannot start before it ends."""
    s = persistent_with(monkeypatch, cooperative=False)
    s.start(np.arange(IMAGES + 3))
    with pytest.raises(KernelFault, match=r"barrier\.cuh:\d+, kernel train, .*waits for ever"):
        s.run(1)


def test_a_cooperative_launch_must_fit_on_the_device() -> None:
    code = 'extern "C" __global__ void nothing(int n) {}'
    kernel = device.RawModule(code, enable_cooperative_groups=True).get_function("nothing")
    kernel((streams.MULTIPROCESSORS * 2,), (1024,), (np.int32(1),))
    with pytest.raises(ValueError, match="nothing: "):
        kernel((streams.MULTIPROCESSORS * 2 + 1,), (1024,), (np.int32(1),))
    with pytest.raises(ValueError, match="a block has 1 to 1024 threads, not 1025"):
        kernel((1,), (1025,), (np.int32(1),))


def test_the_persistent_kernel_keeps_to_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted phase by phase: products, losses, and what the plan has for blocks that would be idle."""
    monkeypatch.setattr(
        launcher,
        "source",
        lambda name: source(name).replace(
            "    before = 0;\n  };",
            "    if (blockIdx.x == 0 && threadIdx.x == 0) arrived[goal / gridDim.x] = before;\n    before = 0;\n  };",
        ),
    )
    k, array = EmulatorBackend(), device.array
    monkeypatch.setattr(
        device, "array", lambda x, **o: array(np.zeros(64, x.dtype) if x.dtype == np.uint32 else x, **o)
    )
    s = session(k, "persistent", n=300, batch_size=100)
    s.start(np.arange(300))
    s.run(2)
    assert s.persistent is not None
    layers, real = [(W.shape[0], W.shape[1]) for W in s.read().W], np.dtype(np.float32)
    shares, _ = make_plan(layers, 100, k.launcher, real)

    def tiles(rows: int, cols: int, depth: int) -> int:
        return launcher.tiles(rows, cols, k.launcher.tile(rows, cols, depth, real))

    batch, updates = -(-100 * 37 // PIXELS), sum(tiles(i, o, 100) + -(-o // 32) for i, o in layers)
    found = k.to_host(s.persistent._arrived)[1:].tolist()
    assert found.pop(0) == batch
    for more in (1, 0):
        gathered = updated = 0
        for (i, o), share in zip(layers, shares):
            assert found.pop(0) == tiles(100, o, i) + more * (share.gathered_forward - gathered)
            gathered = share.gathered_forward
        for (i, o), share in list(zip(layers, shares))[:0:-1]:
            losses = 100 * ((i, o) == layers[-1])
            own = tiles(100, i, o) + losses + share.updated - updated
            assert found.pop(0) == own + more * (share.gathered_backward - gathered)
            updated, gathered = share.updated, share.gathered_backward
        assert found.pop(0) == updates - updated + 1 + more * (batch - gathered)
    assert not any(found)


@pytest.mark.parametrize("m", [1, 16, 128, 1024])
def test_the_plan_should_take_less_time_than_to_leave_all_for_the_last_phase(m: int) -> None:
    """On an H100's 132 multiprocessors; no weights move in a phase that reads them."""
    k, real = EmulatorBackend(), np.dtype(np.float32)
    k.launcher.multiprocessors = 132
    layers = [(784, 256), (256, 128), (128, 256), (256, 784)]
    shares, cycles = make_plan(layers, m, k.launcher, real)

    def product(rows: int, cols: int, depth: int) -> tuple[int, float]:
        tile = k.launcher.tile(rows, cols, depth, real)
        return launcher.tiles(rows, cols, tile), k.launcher.cycles_of_tile(tile, depth, real)

    updates = [product(i, o, m)[0] + -(-o // 32) for i, o in layers]
    assert shares[3].updated == 0  # its phase reads the weights of the only update whose delta is there
    assert (m <= 128) <= shares[2].updated <= updates[3]
    assert shares[2].updated <= shares[1].updated <= updates[3] + updates[2]
    gathered = [*(s.gathered_forward for s in shares), *(s.gathered_backward for s in shares[:0:-1])]
    assert gathered == sorted(gathered)
    assert 0 < gathered[-1] <= -(-m * 784 // PIXELS)
    assert m > 128 or gathered[-1] == -(-m * 784 // PIXELS)
    own = [[product(m, o, i)] for i, o in layers] + [[product(m, i, o)] for i, o in layers[:0:-1]]
    own[4].append((m, SUM))
    rest = [tasks for i, o in layers[::-1] for tasks in (product(i, o, m), (-(-o // 32), SUM))] + [(1, SUM)]
    unplanned = 0.0
    for phase in [*own, [*rest, (-(-m * 784 // PIXELS), SUM)]]:
        blocks, dealt = np.zeros(132), 0
        for tasks, cost in phase:
            for _ in range(tasks):
                blocks[dealt % 132] += cost
                dealt += 1
        unplanned += blocks.max()
    assert cycles < unplanned
