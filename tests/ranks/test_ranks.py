"""Several ranks end where one process does, and with shards in the same bits."""

from functools import cache
from pathlib import Path

import golden_files
import numpy as np
import pytest
import rank_trainings
from rank_trainings import Case

from fastae.errors import InputError
from fastae.ranks import Alone, launch, sums

AGREED = [
    Case("numpy"),
    Case("numpy", loss="bce", momentum=0.9),
    Case("numpy", "conv", loss="bce", momentum=0.9),
    Case("numba"),
    Case("numba", loss="bce", momentum=0.9, threads=2),
    Case("numpy", messages=True),
    Case("numpy", batch_size=1, epochs=3),  # of which all but one rank have nothing
    Case("numpy", batch_size=43),
]
GOLDEN = [Case("numpy", name) for name in ("mse-plain", "bce-momentum", "deep")]
GOLDEN += [Case("numba", name) for name in ("mse-momentum", "bce-plain")]
SHARDED = [
    Case("numpy", dtype="float32", momentum=0.9, shards=8),
    Case("numba", loss="bce", shards=8),
    Case("numpy", "conv", shards=8, batch_size=6),
]
CONVOLUTIONS = [Case("numba", "conv"), Case("numba", "conv", loss="bce", momentum=0.9, threads=2)]


@cache
def alone(case: Case) -> dict[str, np.ndarray]:
    return rank_trainings.train(case._replace(messages=False), Alone())


def assert_agree(theirs: dict[str, np.ndarray], case: Case) -> None:
    mine = alone(case)
    assert theirs.keys() == mine.keys()
    for name, array in mine.items():
        bound = 1e-12 * max(1, abs(array).max())
        np.testing.assert_allclose(theirs[name], array, rtol=0, atol=bound, err_msg=f"{case} {name}")


def assert_same(theirs: dict[str, np.ndarray], mine: dict[str, np.ndarray], case: Case) -> None:
    assert theirs.keys() == mine.keys()
    for name, array in mine.items():
        assert theirs[name].tobytes() == array.tobytes(), f"{case} {name}"


@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.thorough), 5])
def test_ranks_end_where_one_process_and_pytorch_do(ranks: int, tmp_path: Path) -> None:
    """Every weight and velocity after a hundred steps and more; PyTorch's autograd is in the golden trajectories."""
    made = rank_trainings.together(ranks, AGREED + GOLDEN, tmp_path)
    for case, theirs in zip(AGREED, made):
        assert_agree(theirs, case)
    for case, theirs in zip(GOLDEN, made[len(AGREED) :]):
        golden = golden_files.load(case.network)
        assert sum(name[0] in "Wb" for name in theirs) == 2 * (len(golden["sizes"]) - 1) * 2
        for name in theirs.keys() - {"loss", "test"}:
            bound = golden_files.WEIGHT_BOUND
            np.testing.assert_allclose(theirs[name], golden[f"final_{name}"], rtol=0, atol=bound, err_msg=str(case))
        np.testing.assert_allclose(theirs["loss"], golden["train_loss"], rtol=golden_files.LOSS_BOUND)


def test_shards_give_the_same_bits_for_any_number_of_ranks(tmp_path: Path) -> None:
    """By shared memory and by messages, and by a process that has no MPI."""
    messages = [case._replace(messages=True) for case in SHARDED]
    for ranks, cases in ((2, SHARDED), (4, messages)):
        for theirs, case in zip(rank_trainings.together(ranks, cases, tmp_path), cases):
            assert_same(theirs, alone(case), case)


@pytest.mark.thorough
def test_eight_ranks_give_the_same_bits_too(tmp_path: Path) -> None:
    for theirs, case in zip(rank_trainings.together(8, SHARDED, tmp_path), SHARDED):
        assert_same(theirs, alone(case), case)


@pytest.mark.thorough
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_end_where_one_process_does_with_convolutions_of_numba(ranks: int, tmp_path: Path) -> None:
    for case, theirs in zip(CONVOLUTIONS, rank_trainings.together(ranks, CONVOLUTIONS, tmp_path)):
        assert_agree(theirs, case)
    sharded = [case._replace(shards=2, threads=1) for case in CONVOLUTIONS]
    if ranks == 2:
        for case, theirs in zip(sharded, rank_trainings.together(2, sharded, tmp_path)):
            assert_same(theirs, alone(case), case)


@pytest.mark.thorough
@pytest.mark.parametrize("messages", [False, True])
def test_so_many_ranks_give_the_same_bits_again(messages: bool, tmp_path: Path) -> None:
    cases = [Case("numpy", dtype="float32", messages=messages), Case("numba", dtype="float32", messages=messages)]
    first, *others = (rank_trainings.together(5, cases, tmp_path) for _ in range(3))
    for other in others:
        for theirs, mine, case in zip(other, first, cases):
            assert_same(theirs, mine, case)


def test_parts_are_added_in_pairs() -> None:
    """The order for each number of parts, written out: what the bits of a training depend on."""
    orders = {
        1: lambda p: p[0],
        2: lambda p: p[0] + p[1],
        3: lambda p: (p[0] + p[1]) + p[2],
        5: lambda p: ((p[0] + p[1]) + (p[2] + p[3])) + p[4],
        6: lambda p: ((p[0] + p[1]) + (p[2] + p[3])) + (p[4] + p[5]),
        8: lambda p: ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7])),
    }
    for count, order in orders.items():
        parts = list(np.random.default_rng(count).normal(size=(count, 100)).astype(np.float32))
        out = np.empty(100, np.float32)
        sums.add_tree(parts, out)
        assert out.tobytes() == order(parts).tobytes()


@pytest.mark.parametrize(("ranks", "shards", "possible"), [(1, 6, "6 or 3"), (1, 12, "12, 6 or 3"), (1, 7, "7")])
def test_ranks_that_cannot_share_the_parts_are_refused(ranks: int, shards: int, possible: str) -> None:
    with pytest.raises(InputError, match=f"^1 rank cannot share {shards} shards: take {possible} ranks$"):
        rank_trainings.train(Case("numpy", shards=shards), Alone())


def test_a_process_without_a_launcher_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in launch.LAUNCHERS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    assert launch.place() is None
    for rank, size, here in launch.LAUNCHERS.values():
        with monkeypatch.context() as patch:
            patch.setenv(rank, "1")
            patch.setenv(size, "4")
            assert launch.place() == (1, 4, 1)
            patch.setenv(here, "2")
            assert launch.place() == (1, 4, 2)
            patch.setenv(size, "1")
            assert launch.place() is None
