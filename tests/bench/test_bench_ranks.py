"""``fastae bench --ranks``: processes that share every batch are started and timed."""

import argparse
import json
import shutil
from pathlib import Path

import pytest

from fastae import cli
from fastae.bench import contenders, ranks
from fastae.bench.harness import Race


def made(times: dict[str, list[float]]) -> Race:
    """Make a race of steps that took so many microseconds; ranks were communicating 30% of it, and a third of that
    waiting, messages 60% and a third."""
    shares = {"ranks 2x1": 0.3, "messages 2x1": 0.6}
    segments = {
        name: [
            {"seconds": t * 1e-6, "communicating": part * t * 1e-6, "waiting": part / 3 * t * 1e-6}
            for t in of
            for part in [shares.get(name, 0)]
        ]
        for name, of in times.items()
    }
    return Race(100, {name: {"steps": 1, "threads": 1} for name in times}, segments)


TIMES = {
    "fastae-numba 1x1": [1000.0, 4000.0, 1000.0],
    "fastae-numba 1x2": [500.0, 2000.0, 500.0],
    "ranks 2x1": [625.0, 2500.0, 625.0],
    "messages 2x1": [2000.0, 8000.0, 2000.0],
}


def test_rows_say_what_ranks_gain_and_what_they_spend() -> None:
    torch = {"torch-ddp 2x1": [2500.0, 10000.0, 2500.0]}
    (cells,) = ranks.rows(made(TIMES | torch), [2], None)
    found = dict(zip(ranks.HEADING, cells, strict=True))
    assert found == {
        "batch": "100",
        "ranks": "2",
        "one worker": "100,000 (25,000 to 100,000)",
        "as many workers": "200,000 (50,000 to 200,000)",
        "ranks of one": "160,000 (40,000 to 160,000)",
        "by messages": "50,000 (12,500 to 50,000)",
        "PyTorch DDP": "40,000 (10,000 to 40,000)",
        "× one worker": "1.60",
        "time / workers": "1.25",
        "time / DDP": "0.25",
        "communicating": "30%",
        "of it waiting": "33%",
        "by messages: communicating": "60%",
    }


def test_a_row_without_pytorch_says_what_it_needs() -> None:
    (cells,) = ranks.rows(made(TIMES), [2], "torch")
    found = dict(zip(ranks.HEADING, cells, strict=True))
    assert found["PyTorch DDP"] == "needs torch"
    assert found["time / DDP"] == ""


def options(**others: object) -> argparse.Namespace:
    return argparse.Namespace(model="dense", loss="mse", rounds=2, seconds=0.01, **others)


def test_two_ranks_train_as_one_process_does_and_say_what_they_spend() -> None:
    """`ranks.race` itself refuses them if their losses differ."""
    alone, ours = ranks.Way("fastae-numba", 1, 1), ranks.Way("ranks", 2, 1)
    found = ranks.race(options(), [alone, ours], 64)
    assert [len(found.segments[way.key]) for way in (alone, ours)] == [2, 2]
    assert 0 < ranks.share(found, ours, "communicating") < 1
    assert 0 < ranks.share(found, ours, "waiting") < 1


@pytest.mark.thorough
def test_a_small_benchmark_of_ranks_from_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small = ["--batches", "512", "--rounds", "2", "--seconds", "0.01", "--out", str(tmp_path)]
    assert cli.main(["bench", "--ranks", "1", "2", "3", *small]) == 0
    out = capfd.readouterr().out
    assert out == (tmp_path / "bench.md").read_text(encoding="utf-8")
    table = [line.split(" | ") for line in out.splitlines() if line.startswith("| 512")]
    assert [(cells[0], cells[1]) for cells in table] == [("| 512", "2"), ("| 512", "3")]
    raw = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    (raced,) = (Race(**race) for race in raw["ranks"])
    assert {"fastae-numba 1x1", "fastae-numba 1x3", "ranks 3x1", "messages 3x1"} <= set(raced.segments)
    assert raw["machine"]["versions"]["mpi4py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["1"], "one of them larger"),
        (["0", "2"], "at least 1"),
        (["2", "--batches", "1"], "2 ranks cannot share 1 image"),
        (["2", "--check"], "--check"),
        (["2", "--contenders", "fastae-numba"], "--contenders"),
    ],
)
def test_bad_numbers_of_ranks_end_with_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "--out", str(tmp_path / "out"), "--ranks", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bench = ["bench", "--out", str(tmp_path / "out"), "--ranks", "2"]
    monkeypatch.setattr(shutil, "which", lambda *arguments, **others: None)
    assert cli.main(bench) == 2
    assert "need mpiexec, which is not installed: pip install 'fastae[mpi]'" in capsys.readouterr().err
    monkeypatch.setattr(contenders, "find_spec", lambda library: None if library == "mpi4py" else object())
    assert cli.main(bench) == 2
    assert "need mpi4py, which is not installed" in capsys.readouterr().err


def test_a_rank_does_not_start_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    assert cli.main(["bench", "--ranks", "2"]) == 2
    assert "run it without mpiexec" in capsys.readouterr().err
