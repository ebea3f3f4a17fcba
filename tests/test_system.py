"""What differs on Windows and macOS, run here with those systems' facts in place of Linux's."""

import ast
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from registry import forget_backends

import fastae
from fastae import backends, cli, doctor, storage, system
from fastae.check.sandbox import process
from fastae.errors import BackendUnavailable
from fastae.interrupts import Stop

PACKAGE = Path(fastae.__file__).parent

# A process that has of POSIX no more than Windows has, and a pipe in the encoding of Western Europe.
WINDOWS = """
import os, signal, subprocess, sys
import matplotlib.figure, numba, numpy
for name in ("sched_getaffinity", "fchmod", "fork", "geteuid", "getuid", "killpg", "setsid", "getloadavg"):
    delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGBUS", "SIGQUIT", "SIGUSR1", "SIGPIPE", "SIGSTOP", "SIGCONT"):
    delattr(signal, name)
for name in ("fcntl", "resource", "termios", "grp"):
    sys.modules[name] = None
chmod, opened = os.chmod, os.open
def chmod_by_name(path, *arguments, **options):
    if isinstance(path, int):
        raise TypeError("chmod: path should be string, bytes or os.PathLike, not int")
    chmod(path, *arguments, **options)
def open_no_folder(path, *arguments, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return opened(path, *arguments, **options)
os.chmod, os.open = chmod_by_name, open_no_folder
from fastae import cli, system
system.WINDOWS, system.LINUX = True, False
sys.argv = ["fastae", *sys.argv[1:]]
subprocess.CREATE_NEW_PROCESS_GROUP, os.set_handle_inheritable = 0, os.set_inheritable  # of the worker, a Linux again
subprocess.Popen.kill = lambda process: os.kill(process.pid, 9)
if sys.argv[1] == "check":
    system.make_output_safe()
    sys.exit(cli.main(sys.argv[1:]))
sys.exit(cli.main())
"""


def on_windows(*arguments: object, cwd: Path) -> str:
    """Run a command so; return what it printed, in an encoding without σ."""
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode("cp1252")


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_training_runs_and_resumes_on_windows(backend: str, tmp_path: Path) -> None:
    options = ["train", "--backend", backend, "--limit", 64, "--schedule", "constant", "--out", tmp_path / "out"]
    assert "1 epoch of 64 images" in on_windows(*options, "--epochs", 1, cwd=tmp_path)
    assert "2 epochs of 64 images" in on_windows(*options, "--epochs", 2, "--resume", cwd=tmp_path)


def test_an_exercise_and_a_check_run_on_windows(tmp_path: Path) -> None:
    """Also a rung whose text has characters that the pipe cannot encode."""
    assert "wrote" in on_windows("exercise", "start", "sigmoid-numpy-2", "--solution", cwd=tmp_path)
    (written,) = tmp_path.glob("*.py")
    assert "bias_sigmoid: right" in on_windows("check", written, "--no-speed", cwd=tmp_path)
    assert "?" in on_windows("ladder", "sigmoid", "--backend", "numba", "--show", 3, cwd=tmp_path)


def test_the_doctor_says_where_the_emulator_runs(tmp_path: Path) -> None:
    told = on_windows("doctor", cwd=tmp_path).splitlines()
    assert any(line.startswith("numba     works") for line in told)
    assert [line for line in told if line.startswith("emulator")] == ["emulator  does not work: it runs on Linux only"]
    assert told[-1] == "          fix: on Windows, run fastae in WSL; or --backend numba"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(system, "LINUX", False)
    forget_backends()
    yield
    monkeypatch.undo()
    forget_backends()


@pytest.mark.usefixtures("elsewhere")
def test_the_emulator_says_in_one_line_that_it_runs_on_linux_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BackendUnavailable, match=r"'emulator' cannot run here: it runs on Linux only"):
        backends.get("emulator")
    assert cli.main(["train", "--backend", "emulator"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fastae: the backend 'emulator' cannot run here: it runs on Linux only")
    assert error.count("\n") == 1
    finding = doctor._examine("emulator", 1.0)
    assert (finding.works, finding.details) == (False, "")


@pytest.mark.parametrize(("windows", "line"), [(False, "fastae train --out 'a b'"), (True, 'fastae train --out "a b"')])
def test_a_command_is_told_as_the_shell_takes_it(windows: bool, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", windows)
    assert system.command_line(["fastae", "train", "--out", "a b"]) == line


def test_a_child_is_kept_from_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.new_process_group() == {"process_group": 0}
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    assert system.new_process_group() == {"creationflags": 0x200}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_needs_no_escape_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stderr", seen := Terminal())
    system.progress("the first of many messages")
    system.progress("2")
    blank = "\r" + " " * 19 + "\r"
    assert seen.getvalue() == f"{blank}the first of many m{blank}2"
    monkeypatch.setattr(sys, "stderr", seen := io.StringIO())
    system.progress("to a file")
    assert seen.getvalue() == ""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_cannot_be_said_is_a_question_mark(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert system.ascii_only() == (encoding != "utf-8")
    system.make_output_safe()
    print("σ", end="", flush=True)
    assert raw.getvalue().decode(encoding) == ("σ" if encoding == "utf-8" else "?")


@pytest.mark.parametrize(
    ("status", "lost", "cause"),
    [
        (0xC0000005, "it ends the process: exception 0xc0000005", "out of bounds"),
        (0xC0000094, "it ends the process: exception 0xc0000094", "divided by 0"),
        (0xC0000374, "it ends the process: exception 0xc0000374", "beyond an array"),
        (0xE06D7363, "it ends the process: exception 0xe06d7363", ""),
        (3, "it ends the process, with status 3", ""),
    ],
)
def test_how_a_process_ends_on_windows(status: int, lost: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with process.Rungs("sigmoid", "numpy") as rungs:
        monkeypatch.setattr(rungs._workers[False]._child, "wait", lambda *patience: status)
        ending = rungs._workers[False]._lost()
        monkeypatch.undo()
    assert str(ending) == lost
    assert cause in " ".join(ending.causes)
    assert bool(cause) == bool(ending.causes)


def test_without_pipes_to_select_from_an_interrupt_is_python_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda *arguments, **options: pytest.fail("it listens"))
    with Stop(lambda: 0) as stop:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    assert stop.number == signal.SIGINT


def test_where_folders_cannot_be_opened_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no lock on a folder there, so files in it may belong to a running training, and are kept."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    leftover = tmp_path / ".results.abcdefgh"
    leftover.mkdir()
    with storage.owned(tmp_path), storage.results(tmp_path) as new:
        storage.write(new / "a.npz", "model", {"n": 1}, {"W": np.ones(3)})
    assert leftover.is_dir()
    assert storage.read(tmp_path / "a.npz", "model")[0] == {"n": 1}


def opened_as_text(path: Path) -> Iterator[str]:
    """The calls that read or write text without saying in which encoding."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        called = ast.unparse(node.func)
        binary = any(isinstance(a, ast.Constant) and "b" in str(a.value) for a in node.args)
        decoded = any(keyword.arg in ("text", "universal_newlines") for keyword in node.keywords)  # of a child
        text = decoded or called.endswith((".read_text", ".write_text", "fdopen")) or called in ("open", "path.open")
        if text and not binary and ast.unparse(node) != "open(os.devnull, 'w')":
            yield f"{path.name}:{node.lineno}: {textwrap.shorten(ast.unparse(node), 80)}"


def test_every_text_file_is_read_and_written_in_an_encoding_that_is_named(tmp_path: Path) -> None:
    """Without one Windows takes the encoding of the country, in which the sources' σ is another character."""
    files = [path for path in PACKAGE.rglob("*.py") if "gallery" not in path.parts]
    assert [call for path in files for call in opened_as_text(path)] == []
    (tmp_path / "careless.py").write_text("text = path.read_text()\n", encoding="utf-8")
    assert list(opened_as_text(tmp_path / "careless.py")) == ["careless.py:1: path.read_text()"]
