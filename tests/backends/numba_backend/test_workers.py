"""How many workers a team has, with the environment, the cores and the control groups replaced."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import fastae
from fastae import backends, cli
from fastae.backends.numba_backend import workers
from fastae.backends.numba_backend.workers import MOST_WORKERS, Choice, choose


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable is set, and no control group allows less than all."""
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(workers, "GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(workers, "GROUPS", tmp_path / "groups")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def has(cores: int) -> None:
        usable = {2 * core for core in range(cores)}
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: usable if process == 0 else set(), raising=False)

    return has


def groups(folder: Path, process: str, files: dict[str, str]) -> None:
    """Write what the system says of a process, and the files of control groups."""
    (folder / "cgroup").write_text(process)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_it_is_a_worker_for_each_core_that_this_process_may_use(
    machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    for cores in (1, 3, MOST_WORKERS):
        machine(cores)
        assert choose() == Choice(cores, "by the cores that this process may use")
    machine(40)
    assert choose() == Choice(MOST_WORKERS, "by default, at most")
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    assert choose().workers == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert choose().workers == 1


def test_the_first_of_three_wishes_decides(machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(4)
    monkeypatch.setenv("OMP_NUM_THREADS", "12")
    assert choose() == Choice(12, "by OMP_NUM_THREADS")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert choose() == Choice(3, "by NUMBA_NUM_THREADS")
    assert choose(2) == Choice(2, "as asked for")


@pytest.mark.parametrize(("text", "number"), [("2", 2), (" 3 ", 3), ("5,1", 5)])
def test_openmps_variable_as_openmp_reads_it(text: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert choose() == Choice(number, "by OMP_NUM_THREADS")


@pytest.mark.parametrize("text", ["0", "-2", "abc", "1.5", ",2"])
def test_openmps_variable_is_ignored_where_openmp_ignores_it(
    text: str, machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(2)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert choose() == Choice(2, "by the cores that this process may use", f"OMP_NUM_THREADS={text}")
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert choose().ignored == ""


@pytest.mark.parametrize("text", ["0", "-2", "abc", ""])
def test_numbas_variable_is_refused_before_numba_ends_in_a_traceback(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", text)
    backends._probe.cache_clear()
    try:
        options = ["--backend", "numba", "--limit", "8", "--epochs", "1", "--out", str(tmp_path / "out")]
        assert cli.main(["train", *options]) == 2
    finally:
        backends._probe.cache_clear()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"NUMBA_NUM_THREADS must be a positive whole number; got {text!r}" in told
    assert "unset it" in told


@pytest.mark.parametrize(
    ("quota", "number"), [("max", 6), ("50000", 1), ("150000", 1), ("200000", 2), ("299999", 2), ("700000", 6)]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_quota_is_rounded_down(
    version: int, quota: str, number: int, machine: Callable[[int], None], tmp_path: Path
) -> None:
    machine(6)
    if version == 2:
        groups(tmp_path, "0::/here\n", {"here/cpu.max": f"{quota} 100000\n"})
    else:
        files = {"quota": quota.replace("max", "-1"), "period": "100000"}
        groups(tmp_path, "4:memory:/m\n3:cpu,cpuacct:/here\n0::/\n",
               {f"cpu,cpuacct/here/cpu.cfs_{name}_us": f"{text}\n" for name, text in files.items()})  # fmt: skip
    chosen = choose()
    assert chosen.workers == number
    if number < 6:
        assert chosen.reason == f"by a CPU quota of {int(quota) / 100000:g} cores"
    else:
        assert chosen.reason == "by the cores that this process may use"


@pytest.mark.parametrize(
    ("process", "files"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "250000 100000", "cpu.max": "400000 100000"}),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "max 50000", "cpu.max": "125000 50000"}),
        ("0::/docker/0123\n", {"cpu.max": "20000 10000"}),  # a container that is told its name outside
        ("0::/../../x\n", {"cpu.max": "200000 100000"}),
        ("1:cpu:/docker/0123\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}),
        (
            "5:cpuacct,cpu:/a\n",  # under the one name or the other
            {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"},
        ),
        ("5:cpuset:/a\n0::/a:b\n", {"a:b/cpu.max": "200000 100000", "cpuset/cpu.max": "1 1"}),
    ],
)
def test_the_least_quota_of_a_group_and_those_above_counts(
    process: str, files: dict[str, str], machine: Callable[[int], None], tmp_path: Path
) -> None:
    machine(16)
    groups(tmp_path, process, files)
    assert choose().workers == 2


@pytest.mark.parametrize("text", ["", "abc 100000", "100000", "100000 0", "1 2 3"])
def test_a_file_that_says_nothing_allows_everything(text: str, machine: Callable[[int], None], tmp_path: Path) -> None:
    machine(3)
    groups(tmp_path, "0::/a\n2:cpu:/a\n", {"a/cpu.max": text, "cpu/a/cpu.cfs_quota_us": text})
    assert choose() == Choice(3, "by the cores that this process may use")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3 workers by NUMBA_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "1"}, "1 worker by OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "abc"}, "1 worker by a CPU quota of 1.5 cores (OMP_NUM_THREADS=abc is ignored)"),
    ],
)
def test_the_doctor_says_how_many_and_why(
    variables: dict[str, str],
    told: str,
    machine: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(2)
    groups(tmp_path, "0::/\n", {"cpu.max": "150000 100000"})
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(backends, "names", lambda: ["numba"])
    assert cli.main(["doctor"]) == 0
    assert re.search(rf"^ +{re.escape(told)}$", capsys.readouterr().out, re.MULTILINE)


def test_a_team_is_as_large_as_chosen(machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    machine(2)
    images = np.random.default_rng(0).integers(0, 256, (16, 60), dtype=np.uint8)

    def team(threads: int | None = None) -> int:
        trainer = fastae.Trainer(fastae.Autoencoder((60, 40, 20)), backend="numba", batch_size=8, threads=threads)
        trainer.fit(images, 1, progress=False)
        return trainer.workers

    assert team() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert team() == 3
    assert team(1) == 1
