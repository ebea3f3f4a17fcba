"""Ranks on GPUs: the same bits by NCCL, through the hosts' memory and by one rank, eager and captured.

On the CPU they run by the stand-ins of fake_cupy.py and fake_nccl.py; what has the fixture ``cupy`` runs on a GPU, too.
"""

import random
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fake_nccl
import numpy as np
import pytest
from device_trainings import Case, together, train
from fake_nccl import Misuse
from registry import forget_backends

import fastae
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.cupy_backend.launcher import record
from fastae.backends.cupy_backend.session import STEPS_A_GRAPH
from fastae.backends.emulator import device, streams
from fastae.errors import BackendUnavailable, InputError
from fastae.ranks import Alone, join, nccl, sums
from fastae.ranks.device import DESCEND

GPUS = ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0", "0000:04:00.0")
CONV = Case(network="conv", loss="bce", dtype="float64")
NARROW = Case(batch_size=2, momentum=0.0)  # of four parts two have nothing


class OneRank(Alone):
    """A single rank, by NCCL."""

    way = "nccl"


@cache
def alone(case: Case) -> dict[str, np.ndarray]:
    return train(case, Alone())


def assert_same(theirs: dict[str, np.ndarray], mine: dict[str, np.ndarray], way: str, what: object = "") -> None:
    assert theirs["way"] == way, what
    assert theirs.keys() == mine.keys()
    for name in mine.keys() - {"way"}:
        assert theirs[name].tobytes() == mine[name].tobytes(), f"{what} {name}"


def assert_agree(theirs: dict[str, np.ndarray], mine: dict[str, np.ndarray], bound: float) -> None:
    assert theirs.keys() == mine.keys()
    for name in mine.keys() - {"way"}:
        np.testing.assert_allclose(theirs[name], mine[name], rtol=bound, atol=bound, err_msg=name)


# The kernel.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])  # by which a product is exact
def test_the_update_is_by_a_tree_of_the_parts(cupy: CupyBackend, dtype: str, momentum: float) -> None:
    """With a rate and a momentum that are powers of two no product is rounded, fused or not."""
    for count, n in [(1, 7), (2, 300), (3, 64), (4, 1), (5, 33), (6, 16), (7, 40), (8, 257), (13, 20)]:
        rng = np.random.default_rng(count)
        parts, (parameters, velocities) = (rng.normal(size=(rows, n)).astype(dtype) for rows in (count, 2))
        velocities = velocities[: n if momentum else 0]
        total = np.empty(n, dtype)
        sums.add_tree(list(parts), total)
        expected = momentum * velocities + total if momentum else total
        arrays = {"parts": parts, "parameters": parameters, "velocities": velocities}
        arrays["rate"] = np.array([-0.25, momentum], dtype)
        arguments = {name: cupy.asarray(array) for name, array in arrays.items()}
        cupy.launcher.launch("ranks.cu", "descend_by_tree", DESCEND, parts.shape, 1, arguments, parts.dtype)
        found = {name: cupy.to_host(array) for name, array in arguments.items()}
        assert found["parameters"].tobytes() == (parameters - np.asarray(0.25, dtype) * expected).tobytes()
        assert found["velocities"].tobytes() == (expected if momentum else velocities).tobytes()
        assert found["parts"].tobytes() == parts.tobytes()


# One rank.


@pytest.mark.parametrize("case", [Case(dtype="float64"), NARROW, pytest.param(CONV, marks=pytest.mark.thorough)])
def test_shards_are_summed_on_the_device(case: Case) -> None:
    """One process's numbers but for rounding, whatever the mode."""
    captured = alone(case._replace(shards=4))
    assert_agree(captured, alone(case), 1e-12 if case.dtype == "float64" else 1e-5)
    assert_same(train(case._replace(shards=4, mode="eager"), Alone()), captured, "alone")


@pytest.fixture
def connected(
    cupy: CupyBackend, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[fake_nccl.Cluster | None]:
    """Let one rank of the cupy backend have NCCL: its stand-in, of which the cluster is given, and on a GPU itself."""
    nccl.communicator.cache_clear()
    if request.node.callspec.params["cupy"] == "gpu":
        if nccl.library() is None:
            pytest.fail("CuPy finds no NCCL: install nvidia-nccl-cu13, or -cu12")
        yield None
    else:
        cluster = fake_nccl.Cluster(None, GPUS[:1])
        for name, module in fake_nccl.module(cluster).items():
            monkeypatch.setitem(sys.modules, name, module)
        forget_backends()
        yield cluster
    nccl.communicator.cache_clear()


def test_one_rank_by_nccl_ends_in_the_bits_of_a_rank_alone(connected: Any, cupy: CupyBackend) -> None:
    """Those of one process but for rounding; with the same communicator for every training."""
    world = OneRank()
    case = Case("cupy")
    found = train(case, world)
    assert_same(found, train(case._replace(shards=1), Alone()), "nccl")
    assert_agree(found, train(case, Alone()), 1e-5)
    assert_same(train(case._replace(mode="eager"), world), found, "nccl")
    sharded = case._replace(shards=4, dtype="float64", loss="bce")
    assert_same(train(sharded, world), train(sharded, Alone()), "nccl")
    assert connected is None or len(connected.made) == 1


def session(world: Alone, n: int, batch_size: int = 3) -> Any:
    images = np.random.default_rng(0).integers(0, 256, (n, 36)).astype(np.uint8)
    model = fastae.Autoencoder((36, 13, 6))
    trainer = fastae.Trainer(model, optimizer=fastae.SGD(0.05, 0.9), backend="cupy", batch_size=batch_size, ranks=world)
    made = trainer.session(images)
    made.start(np.arange(n))
    return made


def test_all_of_a_step_is_in_one_graph(connected: Any, cupy: CupyBackend) -> None:
    """And the rate may change without another capture."""
    s = session(OneRank(), 3 * (STEPS_A_GRAPH + 2))
    s.run(STEPS_A_GRAPH + 2)
    graphs = dict(s.local_session.graphs)
    assert set(graphs) == {("shared step", False, 1), ("shared step", False, STEPS_A_GRAPH)}
    s.set_rate(0.01, 0.5)
    s.start(np.arange(3 * (STEPS_A_GRAPH + 2)))
    s.run(STEPS_A_GRAPH + 2)
    assert s.local_session.graphs == graphs
    if connected is not None:
        for (_, _, steps), graph in graphs.items():
            names = [node.name for node in graph.nodes]
            assert [names.count(name) for name in ("gather", "update", "descend_by_tree")] == [steps, 4 * steps, steps]
            assert [name for name in names if name.startswith("nccl")] == ["nccl send+recv", "nccl allGather"] * steps


def test_the_branches_of_a_shared_step_may_mix_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = alone(Case(shards=2))
    for seed in range(3):
        monkeypatch.setattr(streams.Graph, "shuffle", random.Random(seed))
        assert_same(train(Case(shards=2), Alone()), expected, "alone")


# Several.


def one_rank(case: Case, ranks: int) -> Case:
    """Return what one rank is to do for the bits of several."""
    return case._replace(backend="emulator", way="mpi", gpus=(), mode=None, shards=case.shards or ranks)


def test_ranks_on_gpus_of_their_own_or_on_one_end_in_the_same_bits(tmp_path: Path) -> None:
    """By NCCL, through the hosts, and as one rank with as many shards; what cannot be is refused in one line."""
    cases = {
        "nccl": [Case("cupy", "nccl", GPUS[:2], mode="eager"), Case("cupy", "auto", GPUS[:2], shards=4)],
        "mpi": [Case(), CONV, NARROW._replace(shards=4), Case("cupy", "auto", GPUS[:1]), Case("cupy", "mpi", GPUS[:2])],
        "": [Case("cupy", "nccl", GPUS[:1]), Case(mode="persistent"), Case("numpy", "nccl"), Case(way="nccl")],
    }
    flat = [(way, case) for way, of_way in cases.items() for case in of_way]
    made = together(2, [case for _, case in flat], tmp_path)
    refused = []
    for theirs, (way, case) in zip(made, flat):
        if way:
            assert_same(theirs, alone(one_rank(case, 2)), way, case)
        else:
            refused.append(str(theirs["error"]))
    assert_agree(made[3], alone(CONV), 1e-12)
    assert refused[0].startswith("NCCL wants a GPU for each rank, and rank 0 (")
    assert refused[0].endswith(f") share {GPUS[0]}; --distributed mpi goes through the host's memory")
    assert refused[1].startswith("the mode 'persistent' is for one process without shards")
    assert refused[2] == "NCCL connects GPUs, and the backend 'numpy' has none; take --distributed mpi"
    assert refused[3].startswith("NCCL connects GPUs, and the backend 'emulator' has none; --distributed mpi goes")


@pytest.mark.parametrize("cupy", [pytest.param("gpu", marks=pytest.mark.gpu)], indirect=True)
def test_two_ranks_share_one_gpu(cupy: CupyBackend, tmp_path: Path) -> None:
    """The stand-ins' are among those above; where there are two GPUs, the other way is taken by itself."""
    cases = [Case("cupy", "mpi"), CONV._replace(backend="cupy"), Case("cupy", "auto", mode="eager")]
    for theirs, case in zip(together(2, cases, tmp_path), cases):
        way = "nccl" if case.way == "auto" and cupy.launcher.cupy.cuda.runtime.getDeviceCount() > 1 else "mpi"
        assert_same(theirs, train(case._replace(shards=2), Alone()), way, case)


@pytest.mark.thorough
@pytest.mark.parametrize("ranks", [3, 4])
def test_more_ranks_end_in_the_same_bits(ranks: int, tmp_path: Path) -> None:
    cases = [
        Case("cupy", way, GPUS, network, loss, dtype=dtype)
        for way in ("nccl", "mpi")
        for network, loss, dtype in (
            ("dense", "mse", "float32"),
            ("dense", "bce", "float64"),
            ("conv", "mse", "float64"),
        )
    ]
    cases += [NARROW._replace(backend="cupy", way="nccl", gpus=GPUS, shards=ranks * each) for each in (1, 2)]
    by_either_way: dict[Case, dict[str, np.ndarray]] = {}
    for theirs, case in zip(together(ranks, cases, tmp_path), cases):
        plain = alone(case._replace(backend="emulator", gpus=(), shards=None))
        assert_agree(theirs, plain, 1e-12 if case.dtype == "float64" else 1e-5)
        assert_same(theirs, by_either_way.setdefault(case._replace(way=""), theirs), case.way, case)
        if ranks == 4:  # one rank cannot have three parts
            assert_same(theirs, alone(one_rank(case, ranks)), case.way, case)


# What would go wrong.


def test_what_is_copied_has_the_shape_and_the_type_of_its_place() -> None:
    """A GPU's copy takes the bytes of one array for those of the other."""
    array, host = device.array(np.arange(3.0)), np.zeros(3)
    assert device.asnumpy(array, out=host) is host
    array.set(2 * host)
    assert device.asnumpy(array).tolist() == [0, 2, 4]
    for other in (np.zeros(4), np.zeros(3, np.float32)):
        with pytest.raises(ValueError, match=r"is copied into float64 \(3,\)"):
            array.set(other)
        with pytest.raises(ValueError, match=r"float64 \(3,\) is copied into"):
            device.asnumpy(array, out=other)


FAULTS: dict[str, tuple[str, Callable[..., Any], type[Exception], str]] = {
    "a receive of fewer": ("recv", lambda at, n, *more: (at, n - 1, *more), Misuse, "which receives"),
    "a send beyond the array": ("send", lambda at, n, *more: (at + 64, n, *more), Misuse, "more than the array has"),
    "a receive into what is sent": ("recv", lambda at, *more: (SENT[0], *more), Misuse, "written while it is sent"),
    "another stream": ("allGather", lambda *more: (*more[:-1], 0), Misuse, "not on the stream of all else"),
    "a number of NumPy's": ("send", lambda at, n, *more: (at, np.int64(n), *more), TypeError, "an integer is required"),
    "a peer that is not there": (
        "send",
        lambda at, n, t, peer, s: (at, n, t, 1, s),
        BackendUnavailable,
        "NCCL gives up",
    ),
}
SENT: list[int] = []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("cupy", ["stand-in"], indirect=True)
def test_the_stand_in_keeps_the_rules(fault: str, connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, changed, error, words = FAULTS[fault]
    right, send = getattr(fake_nccl.NcclCommunicator, name), fake_nccl.NcclCommunicator.send

    def noted(self: Any, at: int, *more: Any) -> None:
        SENT[:] = [at]
        send(self, at, *more)

    monkeypatch.setattr(fake_nccl.NcclCommunicator, "send", noted)
    monkeypatch.setattr(fake_nccl.NcclCommunicator, name, lambda self, *given: right(self, *changed(*given)))
    s = session(OneRank(), 6)
    with pytest.raises(error, match=words):
        s.run(1)


@pytest.mark.parametrize("cupy", ["stand-in"], indirect=True)
def test_sends_are_in_groups_and_nothing_is_captured_first(
    connected: Any, cupy: CupyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = session(OneRank(), 6)
    with monkeypatch.context() as patch:
        patch.setattr(nccl.library(), "groupStart", lambda: None)
        with pytest.raises(Misuse, match="a send outside of a group"):
            s.run(1)
    s = session(OneRank(), 6)
    connected.made[0]._used = False
    with s.local_session.stream, pytest.raises(Misuse, match="the first call is captured"):
        record(s.local_session.stream, lambda: s.launch_steps(False, 1))


@pytest.mark.parametrize("cupy", ["stand-in"], indirect=True)
def test_where_there_is_no_nccl_it_says_so(connected: Any, cupy: CupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nccl.library(), "available", False)
    with pytest.raises(InputError, match=r"^CuPy finds no NCCL: python -m pip install nvidia-nccl-cu13; --distributed"):
        session(OneRank(), 6)
    with pytest.raises(InputError, match="unknown way to distribute 'gloo'; there are: auto, mpi, nccl, none"):
        join("gloo")
