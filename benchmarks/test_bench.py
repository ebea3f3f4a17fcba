"""The comparison is fair only if all contenders do the same job: run with every library of ``fastae[bench]``."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastae
from fastae import cli
from fastae.bench import contenders, ranks, report
from fastae.bench.contenders import Disagreement, first_epoch_loss, make, of_model, require_agreement
from fastae.bench.contenders.job import NETWORKS, RATES, SEED, epoch_order, network, rate
from fastae.bench.harness import Race, WorkerFailed, race
from fastae.bench.worker import choose_parts, segments

IMAGES = 2048

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what the peers deprecate is not our affair


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return fastae.load_dataset()[0][:IMAGES]


@pytest.fixture(scope="module")
def expected(images: np.ndarray) -> Callable[[str, str, int], list[float]]:
    """Mean training losses of two epochs by model, loss and batch size, from `fastae.Trainer` in float64."""

    @cache
    def fit(model: str, loss: str, batch_size: int) -> list[float]:
        made, optimizer = network(model, "float64"), fastae.SGD(lr=rate(loss, model))
        trainer = fastae.Trainer(made, loss, optimizer, backend="numpy", batch_size=batch_size, seed=SEED)
        return [epoch.train_loss for epoch in trainer.fit(images, epochs=2, progress=False).epochs]

    return fit


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in NETWORKS for name in of_model(model)])
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("batch_size", [16, 128])
def test_trains_as_the_trainer_does_and_goes_on_from_there(
    name: str,
    loss: str,
    batch_size: int,
    model: str,
    images: np.ndarray,
    expected: Callable[[str, str, int], list[float]],
) -> None:
    contender = make(name, images, batch_size, loss, model=model)
    for epoch, loss_expected in enumerate(expected(model, loss, batch_size)):
        found = contender.epoch(epoch_order(epoch, IMAGES)) / IMAGES
        assert found == pytest.approx(loss_expected, rel=contenders.TOLERANCE)
    assert contender.threads >= 1


@pytest.mark.parametrize("model", NETWORKS)
def test_ranks_of_every_kind_train_as_one_process_does(model: str) -> None:
    """`ranks.race` refuses them otherwise; 100 images are 33, 33 and 34."""
    options = SimpleNamespace(model=model, loss="mse", rounds=1, seconds=0.01)
    raced = ranks.race(options, [*ranks.ways(1), *ranks.ways(3)], 100)
    assert len(raced.segments) == 5


@pytest.mark.parametrize("name", of_model("dense"))
def test_trains_image_by_image_and_leaves_out_what_fills_no_batch(name: str, images: np.ndarray) -> None:
    order = epoch_order(0, IMAGES)
    alone = make(name, images, 1, "mse").epoch(order[:50]) / 50
    assert alone == pytest.approx(make("textbook-numpy", images, 1, "mse").epoch(order[:50]) / 50, rel=1e-4)
    assert make(name, images, 32, "mse").epoch(order[:100]) == make(name, images, 32, "mse").epoch(order[:96])


@pytest.mark.parametrize("name", of_model("conv"))
def test_trains_the_convolutional_network_image_by_image(name: str, images: np.ndarray) -> None:
    order = epoch_order(0, IMAGES)[:50]
    alone = make(name, images, 1, "mse", model="conv").epoch(order) / 50
    assert alone == pytest.approx(make("fastae-numpy", images, 1, "mse", model="conv").epoch(order) / 50, rel=1e-4)


def test_disagreement_is_found() -> None:
    require_agreement({"a": 1.0, "b": 1.00005, "c": 1.00009})
    for wrong in (1.0003, np.nan, np.inf):
        with pytest.raises(Disagreement, match="c "):
            require_agreement({"a": 1.0, "b": 1.0, "c": wrong})


def test_a_contender_with_another_learning_rate_disagrees(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    right = first_epoch_loss("fastae-numpy", images, 16, "mse")
    monkeypatch.setitem(RATES, "mse", RATES["mse"] * 1.01)
    with pytest.raises(Disagreement):
        require_agreement({"right": right, "other": first_epoch_loss("textbook-numpy", images, 16, "mse")})


def test_segments_are_equal_parts_of_shuffled_epochs() -> None:
    stream = segments(100, 8, 3)
    parts = [next(stream) for _ in range(6)]
    assert [len(part) for part in parts] == [32] * 6  # 12 batches of 8 in an epoch, 4 in a part
    np.testing.assert_array_equal(np.concatenate(parts[:3]), epoch_order(0, 100)[:96])
    np.testing.assert_array_equal(np.concatenate(parts[3:]), epoch_order(1, 100)[:96])


def test_an_epoch_is_cut_into_parts_of_the_time_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("fastae.bench.worker.time", SimpleNamespace(perf_counter=lambda: clock.now))

    class Contender:
        def epoch(self, order: np.ndarray) -> float:
            clock.now += 0.001 * (len(order) // 10)  # a millisecond a batch
            return 0.0

    def parts(seconds: float) -> int:
        return choose_parts(Contender(), np.arange(40_000), 10, seconds)

    assert [parts(1.0), parts(0.001), parts(100.0)] == [4, 200, 1]  # at least 20 steps, at most the epoch


def result(times: dict[str, Sequence[float]]) -> Race:
    """Make a race whose steps took so many microseconds."""
    segments = {name: [{"seconds": t * 1e-6, "idle_cores": 0.0} for t in of] for name, of in times.items()}
    return Race(16, {name: {"steps": 1, "threads": 1} for name in times}, segments)


def test_ratios_are_of_the_same_round() -> None:
    # The machine was busy in the second round: the ratio does not see it.
    found = result({"fastae-numba": [10, 40, 11], "torch-manual": [20, 80, 22], "jax-scan": [30, 30, 30]})
    assert found.fastest_peer() == "torch-manual"
    assert found.ratio("fastae-numba", "torch-manual") == pytest.approx(0.5)
    assert report.line(found) == "| 16 | 11 (10 to 40) | 22 (20 to 80) | 30 (30 to 30) | 0.50 × torch-manual |"


def test_without_a_peer_there_is_no_ratio() -> None:
    assert report.line(result({"fastae-numpy": [10]})) == "| 16 | 10 (10 to 10) |"


def test_a_race_from_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ["fastae-numpy", "textbook-numpy"]
    options = ["--batches", "64", "512", "--rounds", "2", "--seconds", "0.02", "--out", str(tmp_path), "--contenders"]
    assert cli.main(["bench", "--only", "race", *options, *names]) == 0
    table = [line for line in capfd.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table] == ["batch", "---:", "64", "512"]
    raw = json.loads((tmp_path / "bench.json").read_text())
    assert [race["batch_size"] for race in raw["races"]] == [64, 512]
    assert all(len(race["segments"][name]) == 2 for race in raw["races"] for name in names)
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(WorkerFailed, match="unknown contender 'nobody'"):
        race(["nobody"], 16, "mse", rounds=1, seconds=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--contenders", "nobody"], "unknown contender 'nobody'; the contenders are: fastae-numba,"),
        (["--batches", "0"], "from 1 to 3000"),
        (["--batches", "3001"], "from 1 to 3000"),
        (["--rounds", "0"], "--rounds must be positive"),
        (["--seconds", "-1"], "--seconds must be positive"),
        (["--contenders", "fastae-numpy", "--out", __file__], "cannot make the folder"),
    ],
)
def test_bad_input_ends_with_one_line(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *options]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_missing_library_ends_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contenders, "find_spec", lambda library: None if library == "jax" else object())
    assert cli.main(["bench", "--contenders", "jax-jit"]) == 2
    err = capsys.readouterr().err
    assert "jax-jit needs jax, which is not installed: pip install 'fastae[bench]'" in err
    assert err.count("\n") == 1
