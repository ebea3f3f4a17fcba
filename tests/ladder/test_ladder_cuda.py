"""The ladders for CUDA: every rung is right, few lines from the one before, and has the counts that its text gives."""

import difflib
import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import nvrtc
import pytest
from sampling import seconds

from fastae import backends
from fastae.backends.emulator import checking
from fastae.check import learner, verdict
from fastae.check.calls import cases
from fastae.ladder import exercises
from fastae.ladder.counts import Counts, count
from fastae.ladder.rungs import KERNELS, Rung, ladder, split
from fastae.layers import Geometry

RUNGS = [rung for name in KERNELS for rung in ladder(name, "cuda")[:-1]]
MOST_NEW_LINES = 20
MULTIPROCESSOR = 65536, 48 << 10  # registers, and bytes of shared memory that a block may have
ODD = {  # lengths that no tile divides
    "matmul": {"m": 70, "n": 65, "k": 33},
    "conv": {"m": 3, "c": 35, "channels": 3, **Geometry(9, 8, kernel=3, stride=2, padding=2)._asdict()},
}


def problems(k: Any, kernel: str, seed: int) -> list[verdict.Problem]:
    return verdict.examine(k, kernel, seed).problems


@pytest.mark.parametrize("rung", seconds(RUNGS))
def test_every_rung_is_right_in_any_order_of_its_threads(rung: Rung) -> None:
    k = rung.load("emulator")
    assert k.kernels == (rung.kernel,)
    assert problems(k, rung.kernel, 0) == []
    assert verdict.model_gradient(k, 0) is None
    arguments = cases.make(rung.kernel, "float32", **ODD.get(rung.ladder, {"m": 70, "n": 65}))
    exact, bound = cases.expected(rung.kernel, arguments, "float32")
    for order in ("reverse", "random"):
        with checking(order):
            found = cases.call(k, rung.kernel, arguments).found
        assert (np.abs(found - exact) <= bound).all()


@pytest.mark.parametrize("rung", seconds(RUNGS))
def test_without_its_idea_a_rung_compiles_and_is_wrong(rung: Rung, tmp_path: Path) -> None:
    path = exercises.start(rung, tmp_path / "starter.cu")
    assert problems(learner.load(path, "emulator"), rung.kernel, 1)


@pytest.mark.parametrize("rung", [rung for rung in RUNGS if rung.number > 1], ids=lambda rung: rung.exercise)
def test_a_rung_is_a_few_lines_from_the_one_before(rung: Rung) -> None:
    below = ladder(rung.ladder, "cuda")[rung.number - 2]
    before, after = (split(exercises.solution(r))[1].splitlines() for r in (below, rung))
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-" and line[2:].strip()]
    assert all(0 < sum(line[0] == sign for line in changes) <= MOST_NEW_LINES for sign in "+-")


def test_the_code_stands_alone_in_lines_that_can_be_read() -> None:
    for rung in RUNGS:
        assert "#include" not in rung.source
        assert max(map(len, rung.source.splitlines())) <= 120, rung.exercise


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("rung", seconds(RUNGS))
def test_nvidias_compiler_takes_a_rung_and_keeps_it_in_registers(rung: Rung, real: str) -> None:
    for architecture in ("sm_75", "sm_90"):
        compiled, log = nvrtc.compile_for(rung.source, architecture, real)
        assert compiled, log
        (use,) = nvrtc.uses(log)
        assert "0 bytes stack frame" in log
        threads = 1024 if rung.exercise in ("matmul-cuda-3", "conv-cuda-3") else 256
        assert use.spilled == 0
        assert use.registers * threads <= MULTIPROCESSOR[0]
        assert use.shared <= MULTIPROCESSOR[1]


# What is counted.


@cache
def counted(name: str) -> tuple[Counts, ...]:
    return tuple(count(rung.load("emulator"), rung.kernel) for rung in ladder(name, "cuda"))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.thorough
def test_each_rung_gains_what_was_predicted(name: str) -> None:
    rungs, counts = ladder(name, "cuda")[:-1], counted(name)
    for rung, below, c in zip(rungs[1:], counts, counts[1:]):
        assert below.cycles / c.cycles == pytest.approx(rung.gain, rel=0.04), rung.exercise
        assert c.share > below.share or c.requests <= below.requests / 4, rung.exercise
        assert c.coalesced >= below.coalesced
    assert counts[0].coalesced < 0.3
    assert counts[-2].coalesced == 1


@pytest.mark.thorough
def test_what_the_ideas_of_matmul_say_is_counted() -> None:
    rows, columns, tiles, four, square, padded, quads, own = counted("matmul")
    assert rows.work == 64**3 == 128 * rows.least
    assert (rows.coalesced < 0.2, columns.coalesced, columns.rounds) == (True, 1, 0)
    assert columns.of_a_thread(columns.loads) == 2 * 64
    assert tiles.loads == columns.loads / 32
    assert [c.of_a_thread(c.barriers) for c in (columns, tiles, four, square, padded, quads)] == [0, 4, 4, 4, 4, 4]
    assert [c.of_the_work(c.shared_loads) for c in (tiles, four, square, padded, quads)] == [
        2,
        5 / 4,
        1 / 2,
        1 / 2,
        1 / 8,
    ]
    assert [c.conflicts for c in (tiles, four, padded, quads)] == [1, 1, 1, 1]
    assert square.conflicts == pytest.approx(12 / 8, abs=0.05)
    assert [c.bound for c in (rows, columns, square, quads)] == ["sectors", "sectors", "shared memory", "instructions"]
    assert own.cycles < quads.cycles
    assert own.threads == 256  # one tile of 64 x 64, as for a device of one multiprocessor


@pytest.mark.thorough
def test_what_the_ideas_of_conv_say_is_counted() -> None:
    patches, kernels, unfold, square, quads, own = counted("conv")
    assert patches.work == 64 * 144 * 32 == 128 * patches.least
    inside = (1 - 1 / 24) ** 2  # of the patches' numbers, which alone are read
    products = patches.work / 32  # of a warp
    assert (patches.sectors - patches.stores) / products == pytest.approx(1 + 32 * inside, rel=0.02)
    assert (kernels.sectors - kernels.stores / 8) / products == pytest.approx(4 + inside, rel=0.01)
    assert kernels.loads == pytest.approx(patches.work * (1 + inside), rel=0.001)
    assert 15 < kernels.sectors / unfold.sectors < 20
    assert [c.of_a_thread(c.barriers) for c in (patches, kernels, unfold, square, quads)] == [0, 0, 18, 18, 18]
    assert [c.of_the_work(c.shared_loads) for c in (unfold, square, quads)] == [2, 1 / 2, 1 / 8]
    assert [c.coalesced for c in (kernels, unfold, square, quads)] == [1, 1, 1, 1]
    assert [c.bound for c in (patches, kernels, square, quads)] == [
        "sectors",
        "sectors",
        "loads and stores",
        "instructions",
    ]
    assert unfold.requests / products == pytest.approx(2.13, abs=0.02)
    assert square.requests / products == pytest.approx(0.59, abs=0.02)
    assert quads.shared_loads + quads.shared_stores + quads.loads < 14.5 / 64 * quads.work
    assert own.cycles < 1.02 * quads.cycles


@pytest.mark.thorough
def test_what_the_ideas_of_the_elementwise_ladders_say_is_counted() -> None:
    rows, columns, once, quads, _ = counted("sigmoid")
    assert [c.of_the_work(c.loads) for c in (rows, columns, once)] == [2, 2, 1 + 1 / 8]
    assert (quads.loads, quads.stores, quads.sectors) == (once.loads / 4, once.stores / 4, once.sectors)
    passes, single, quads, _ = counted("loss_gradient")
    assert [c.of_the_work(c.loads + c.stores) for c in (passes, single, quads)] == [11, 3, 3 / 4]
    assert single.coalesced == 1 / 4
    assert quads.share == 1


def test_counting_leaves_the_backend_as_it_was() -> None:
    k = backends.get("emulator")
    before = k.launcher.multiprocessors
    few, many = (count(k, "bias_sigmoid", m=m, n=40) for m in (1, 3))
    assert (few.shape, many.shape) == ("1 x 40", "3 x 40")
    assert (few.work, many.stores) == (40, 120)
    assert k.launcher.multiprocessors == before


def test_more_work_takes_longer() -> None:
    k = ladder("matmul", "cuda")[2].load("emulator")
    small, large = (count(k, "matmul", m=32, n=32, k=depth) for depth in (32, 64))
    for x, y in itertools.pairwise((small, large)):
        assert x.cycles < y.cycles < 2 * x.cycles
        assert y.barriers == 2 * x.barriers
