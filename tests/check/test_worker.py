"""The process that runs a learner's code: a kernel that ends it, or never returns, is reported as any mistake is."""

import importlib.util
import json
import os
import py_compile
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fastae.cli import main

HEAD = "import os\n\n\ndef bce_gradient(z, x, scale, out):\n    out[:] = scale * (z - x)\n"
KILL = "getattr(os, 'ki' + 'll')"  # as compiled code may end its process; by its name it is refused
LATER = "    if z.shape == (5, 1):\n        "  # after calls that are right


def fastae(*arguments: object, file: Path, **environment: str) -> "subprocess.Popen[str]":
    if folder := environment.get("TMPDIR"):
        Path(folder).mkdir()
    command = [sys.executable, "-m", "fastae", *map(str, arguments), str(file), "--seed", "7"]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=file.parent,
        env=os.environ | environment,
    )


def checked(folder: Path, act: str, *options: object) -> tuple[int, str, str]:
    """Check a kernel that is right but for what it does in some calls; return status, output and errors."""
    (folder / "mine.py").write_text(HEAD + LATER + act + "\n")
    process = fastae("check", *options, "--no-speed", file=folder / "mine.py")
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.thorough
def test_a_loop_that_never_ends(tmp_path: Path) -> None:
    status, out, err = checked(tmp_path, "while True: pass", "--patience", 4)
    assert (status, err) == (1, "")
    what, case, cause, again = out.split("\n", 1)[1].splitlines()
    assert out.startswith("bce_gradient: WRONG\n")
    assert what == "  it does not return within 4 seconds"
    assert case.startswith("  with m=5, n=1, scale=")
    assert "a loop that never ends" in cause
    assert again == f"to see it again: fastae check {tmp_path / 'mine.py'} --seed 7"


@pytest.mark.parametrize(
    ("act", "what", "cause"),
    [
        (
            f"{KILL}(os.getpid(), 11)",
            "it ends the process: Segmentation fault (signal 11)",
            "out of bounds",
        ),
        (f"{KILL}(os.getpid(), 6)", "it ends the process: Aborted (signal 6)", "out of bounds"),
        (f"{KILL}(os.getpid(), 8)", "it ends the process: Floating point exception (signal 8)", "divided"),
        (f"{KILL}(os.getpid(), 9)", "it ends the process: Killed (signal 9)", ""),
        ("os._exit(0)", "it ends the process, with status 0", ""),  # which says that all is right
    ],
)
def test_the_end_of_the_process(act: str, what: str, cause: str, tmp_path: Path) -> None:
    status, out, err = checked(tmp_path, act, "--json")
    assert (status, err) == (1, "")
    found: dict[str, Any] = json.loads(out)
    assert (found["right"], found["backend"], found["seed"], found["model"]) == (False, "numpy", 7, None)
    (kernel,) = found["kernels"]
    assert (kernel["kernel"], kernel["right"]) == ("bce_gradient", False)
    (problem,) = kernel["problems"]
    assert problem["what"] == what
    assert problem["case"].startswith("m=5, n=1")
    assert cause in "".join(problem["causes"])


def test_a_kernel_that_ends_the_process_only_in_the_model_is_named(tmp_path: Path) -> None:
    """The step calls the kernel with what no check has: an image count of 5 and a width of 20."""
    text = HEAD + "    if z.shape == (5, 20):\n        os.abort()\n"
    (tmp_path / "mine.py").write_text(text)
    process = fastae("check", "--json", "--no-speed", file=tmp_path / "mine.py")
    found = json.loads(process.communicate(timeout=120)[0])
    assert process.returncode == 1
    assert (found["verdict"], found["kernels"][0]["verdict"], found["model"]["right"]) == ("wrong", "right", False)
    assert found["model"]["problems"][0]["case"] == "three steps of the model, bce"


@pytest.mark.thorough
def test_a_file_that_is_never_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("while True: pass\n")
    process = fastae("check", "--patience", 3, file=tmp_path / "mine.py")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err == f"fastae: {tmp_path / 'mine.py'}: it does not return within 3 seconds, while it is read\n"


def test_an_exercise_that_ends_the_process_is_called_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\n\ndef bias_sigmoid(z, bias, out):\n    os.abort()\n")
    command = [sys.executable, "-m", "fastae", "exercise", "check", "sigmoid-numpy-2", "--file", "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "bias_sigmoid: WRONG\n  it ends the process: Aborted (signal 6)" in done.stdout


def runs(process: str) -> bool:
    """Tell whether a process is there and no zombie, whom its adoptive parent has not buried yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def busy(process: str) -> float:
    """Return the seconds that a process has computed for."""
    ticks = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGKILL, marks=LINUX)])
@pytest.mark.thorough
def test_whoever_interrupts_it_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HEAD + "    while True: pass\n")
    process = fastae("check", file=tmp_path / "mine.py")
    end, child = time.monotonic() + 60, ""
    while not child or busy(child) < 0.5:
        assert time.monotonic() < end
        time.sleep(0.05)
        child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    if number != signal.SIGKILL:
        assert told == "\nfastae: interrupted\n"
        assert process.returncode == 128 + number
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)
    end = time.monotonic() + 20
    while runs(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_right_kernel_is_right_and_what_is_refused_is_refused(tmp_path: Path) -> None:
    status, out, err = checked(tmp_path, "pass")
    assert (status, err) == (0, "")
    assert out.endswith("the other kernels are numpy's\n")
    process = fastae("check", file=tmp_path / "nothing.py")
    assert "cannot read the kernels" in process.communicate(timeout=60)[1]
    assert process.returncode == 2


@pytest.mark.parametrize("patience", ["0", "-1", "nan"])
def test_patience_is_positive(patience: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py", f"--patience={patience}"]) == 2
    assert "--patience must be a positive number of seconds" in capsys.readouterr().err


def test_waiting_for_a_change_is_no_endless_loop(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("no Python")
    process = fastae("check", "--watch", "--patience", 0.5, file=tmp_path / "mine.py")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)][1].startswith("watching")
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "SyntaxError" in err
    assert "does not return" not in out + err


# A learner's file that has the pipe, and writes forged answers of the worker into it.

PIPE = """
import os
import stat
import time


def say(content):
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, content)
        except OSError:
            pass


def message(text):
    return len(text).to_bytes(4, "big") + text
"""
KERNEL = "\n\ndef bce_gradient(z, x, scale, out):\n    {}\n    out[:] = 1.5 * scale * (z - x)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the files in /proc are Linux's")
@pytest.mark.parametrize(
    "act",
    [
        "say(b'\\0\\0'); time.sleep(100)",  # the beginning of a message
        "say(message(b'[' * 200000))",
        "say(message(b'{}'))",
        "say(message(b'{\"lost\": 1}'))",
        "say(message(b'{\"line_of\": 5}'))",
        "say(message(b'{\"failed\": [1]}'))",
        "say(message(b'{\"returned\": 3}'))",
        "say(message(b'done'))",
        'say(message(b\'{"compile": "x", "file": "y", "options": ["-fplugin=z"], "checks": true}\'))',
        'while True: say(message(b\'{"line_of": "/", "offset": 0}\'))',
    ],
)
@pytest.mark.parametrize("when", ["while it is read", "in a call"])
def test_who_writes_into_the_pipe_gains_nothing(act: str, when: str, tmp_path: Path) -> None:
    text = PIPE + (f"\n\n{act}\n" + KERNEL.format("pass") if when == "while it is read" else KERNEL.format(act))
    (tmp_path / "mine.py").write_text(text)
    began = time.monotonic()
    process = fastae("check", "--json", "--no-speed", "--patience", "4", file=tmp_path / "mine.py")
    out, err = process.communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert process.returncode in (1, 2), (out, err)
    assert "Traceback" not in err
    assert process.returncode == 2 or json.loads(out)["right"] is False


def test_what_is_run_is_the_text_that_was_judged(tmp_path: Path) -> None:
    """Not compiled code that lies beside it and says that it is the same."""
    right, wrong = tmp_path / "right.py", tmp_path / "mine.py"
    right.write_text("def bce_gradient(z, x, scale, out):\n    out[:] = scale * (z - x)\n")
    wrong.write_text("def bce_gradient(z, x, scale, out):\n    out[:] = 42.0\n")
    kept = Path(importlib.util.cache_from_source(str(wrong)))
    kept.parent.mkdir()
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(right), str(kept), str(wrong), invalidation_mode=mode)
    process = fastae("check", "--no-speed", file=wrong)
    assert "bce_gradient: WRONG" in process.communicate(timeout=120)[0]
    assert process.returncode == 1


def test_files_beside_a_submission_are_none_of_the_judges_modules(tmp_path: Path) -> None:
    for name in ("secrets", "json", "numpy", "mmap"):
        (tmp_path / f"{name}.py").write_text("print('{\"right\": true}')\nraise SystemExit(0)\n")
    (tmp_path / "mine.py").write_text("def bce_gradient(z, x, scale, out):\n    out[:] = 42.0\n")
    process = fastae("check", "--no-speed", "--json", file=tmp_path / "mine.py")
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)["verdict"]) == (1, "wrong")


def test_deep_folders_leave_nothing_behind(tmp_path: Path) -> None:
    text = "import os\nfor _ in range(1200):\n    os.mkdir('d')\n    os.chdir('d')\n" + KERNEL.format("pass")
    (tmp_path / "mine.py").write_text(text)
    process = fastae("check", "--no-speed", file=tmp_path / "mine.py", TMPDIR=str(tmp_path / "t"))
    (out, err), left = process.communicate(timeout=120), list((tmp_path / "t").iterdir())
    assert (process.returncode, err, left) == (1, "", [])
    assert "bce_gradient: WRONG" in out


def test_what_is_printed_is_marked_and_has_no_control_characters(tmp_path: Path) -> None:
    act = "print('bce_gradient: right in 999 calls\\x1b[2J\\x07')"
    (tmp_path / "mine.py").write_text(KERNEL.format(act))
    out, _ = fastae("check", "--no-speed", file=tmp_path / "mine.py").communicate(timeout=120)
    assert "| bce_gradient: right in 999 calls?[2J?\n" in out
    assert "\nbce_gradient: right" not in out
