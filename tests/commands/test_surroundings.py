"""The command line in other surroundings: locales, pipes, closed streams, full disks, matplotlib's settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import posix, shell


@posix
@pytest.mark.parametrize("arguments", [("check", "--gallery"), ("train", "--help")], ids=" ".join)
def test_what_a_pipe_cannot_hold_is_replaced(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = shell(*arguments, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


@posix
@pytest.mark.parametrize(
    "arguments",
    [("exercise", "list"), ("check", "--gallery"), ("--help",), ("check", "wrong.py", "--seed", "1"), ("nonsense",),
     pytest.param(("doctor",), marks=pytest.mark.thorough)],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...], unbuffered: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def axpy(alpha, x, y): y[:] = alpha * x\n")
    for reader in ("| head -1", "2>&1 | true"):
        done = shell(*arguments, cwd=tmp_path, redirected=reader, PYTHONUNBUFFERED=unbuffered)
        assert b"pipe" not in done.stdout.lower() + done.stderr.lower()
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr
        assert done.returncode in (0, 1, 2, 141)  # the reader may have gone only after the end


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_closed_streams_hinder_no_command(closed: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def axpy(alpha, x, y): y[:] = alpha * x\n")
    options = ["--backend", "numpy", "--limit", 32, "--epochs", 1, "--out", "out"]
    trained = shell("train", "--data", data, *options, cwd=tmp_path, redirected=closed)
    assert (trained.returncode, trained.stderr) == (0, b"")
    assert {"model.npz", "history.json", "loss.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    for arguments, status in ((("check", "wrong.py"), 1), (("exercise", "list"), 0), (("nonsense",), 2)):
        done = shell(*arguments, cwd=tmp_path, redirected=closed)
        assert done.returncode == status, (arguments, done.stderr)
        assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
@pytest.mark.parametrize("arguments", [("exercise", "list"), ("bench", "--help")], ids=" ".join)
def test_a_full_disk_is_told_once(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = shell(*arguments, cwd=tmp_path, redirected="> /dev/full")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"fastae: the system refuses: " in done.stderr


@posix
@pytest.mark.parametrize("environment", [{"MPLBACKEND": "nonsense"}, {"HOME": "/dev/null"}], ids=str)
def test_pictures_are_drawn_whatever_matplotlib_finds(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    options = ["--backend", "numpy", "--limit", 32, "--epochs", 1, "--no-progress", "--out", "out"]
    done = shell("train", "--data", data, *options, cwd=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "reconstructions.png").exists()


@posix
def test_our_pictures_leave_the_backend_to_others(tmp_path: Path) -> None:
    code = "import os, fastae.figures, matplotlib as m; print(os.environ['MPLBACKEND'], m.rcParams['backend'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "svg"}
    )
    assert done.stdout.split() == ["svg", "svg"], done.stderr
