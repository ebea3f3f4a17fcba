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
from learner_files import Write
from processes import LINUX, runs, until

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


def checked(file: Path, *options: object, **environment: str) -> tuple[int, str, str]:
    """Check a file; return status, output and errors."""
    process = fastae("check", *options, "--no-speed", file=file, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.thorough
def test_a_loop_that_never_ends(write: Write) -> None:
    path = write(f"{HEAD}{LATER}while True: pass\n")
    status, out, err = checked(path, "--patience", 4)
    assert (status, err) == (1, "")
    what, case, cause, again = out.split("\n", 1)[1].splitlines()
    assert out.startswith("bce_gradient: WRONG\n")
    assert what == "  it does not return within 4 seconds"
    assert case.startswith("  with m=5, n=1, scale=")
    assert "a loop that never ends" in cause
    assert again == f"to see it again: fastae check {path} --seed 7"


@pytest.mark.parametrize(
    ("act", "what", "cause"),
    [
        (f"{KILL}(os.getpid(), 11)", "it ends the process: Segmentation fault (signal 11)", "out of bounds"),
        (f"{KILL}(os.getpid(), 6)", "it ends the process: Aborted (signal 6)", "out of bounds"),
        (f"{KILL}(os.getpid(), 8)", "it ends the process: Floating point exception (signal 8)", "divided"),
        (f"{KILL}(os.getpid(), 9)", "it ends the process: Killed (signal 9)", ""),
        ("os._exit(0)", "it ends the process, with status 0", ""),  # which says that all is right
    ],
)
def test_the_end_of_the_process(act: str, what: str, cause: str, write: Write) -> None:
    status, out, err = checked(write(f"{HEAD}{LATER}{act}\n"), "--json")
    assert (status, err) == (1, "")
    found: dict[str, Any] = json.loads(out)
    assert (found["right"], found["backend"], found["seed"], found["model"]) == (False, "numpy", 7, None)
    (kernel,) = found["kernels"]
    assert (kernel["kernel"], kernel["right"]) == ("bce_gradient", False)
    (problem,) = kernel["problems"]
    assert problem["what"] == what
    assert problem["case"].startswith("m=5, n=1")
    assert cause in "".join(problem["causes"])


def test_a_kernel_that_ends_the_process_only_in_the_model_is_named(write: Write) -> None:
    """The step calls the kernel with what no check has: an image count of 5 and a width of 20."""
    status, out, _ = checked(write(HEAD + "    if z.shape == (5, 20):\n        os.abort()\n"), "--json")
    found = json.loads(out)
    assert status == 1
    assert (found["verdict"], found["kernels"][0]["verdict"], found["model"]["right"]) == ("wrong", "right", False)
    assert found["model"]["problems"][0]["case"] == "three steps of the model, bce"


@pytest.mark.thorough
def test_a_file_that_is_never_read_to_its_end(write: Write) -> None:
    path = write("while True: pass\n")
    told = f"fastae: {path}: it does not return within 3 seconds, while it is read\n"
    assert checked(path, "--patience", 3) == (2, "", told)


def test_an_exercise_that_ends_the_process_is_called_wrong(write: Write, tmp_path: Path) -> None:
    write("import os\n\ndef bias_sigmoid(z, bias, out):\n    os.abort()\n")
    command = [sys.executable, "-m", "fastae", "exercise", "check", "sigmoid-numpy-2", "--file", "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "bias_sigmoid: WRONG\n  it ends the process: Aborted (signal 6)" in done.stdout


def busy(process: str) -> float:
    """Return the seconds that a process has computed for."""
    ticks = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGKILL, marks=LINUX)])
@pytest.mark.thorough
def test_whoever_interrupts_it_leaves_nothing_behind(number: int, write: Write) -> None:
    process = fastae("check", file=write(HEAD + "    while True: pass\n"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: (child := children.read_text().strip()) != "" and busy(child) >= 0.5)
    child = children.read_text().strip()
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    if number != signal.SIGKILL:
        assert told == "\nfastae: interrupted\n"
        assert process.returncode == 128 + number
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)
    until(lambda: not runs(child), 20)


def test_a_right_kernel_is_right_and_what_is_refused_is_refused(write: Write, tmp_path: Path) -> None:
    status, out, err = checked(write(HEAD))
    assert (status, err) == (0, "")
    assert out.endswith("the other kernels are numpy's\n")
    status, _, err = checked(tmp_path / "nothing.py")
    assert "cannot read the kernels" in err
    assert status == 2


@pytest.mark.parametrize("patience", ["0", "-1", "nan"])
def test_patience_is_positive(patience: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py", f"--patience={patience}"]) == 2
    assert "--patience must be a positive number of seconds" in capsys.readouterr().err


def test_waiting_for_a_change_is_no_endless_loop(write: Write) -> None:
    process = fastae("check", "--watch", "--patience", 0.5, file=write("no Python"))
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
def test_who_writes_into_the_pipe_gains_nothing(act: str, when: str, write: Write) -> None:
    text = PIPE + (f"\n\n{act}\n" + KERNEL.format("pass") if when == "while it is read" else KERNEL.format(act))
    began = time.monotonic()
    status, out, err = checked(write(text), "--json", "--patience", "4")
    assert time.monotonic() - began < 60
    assert status in (1, 2), (out, err)
    assert "Traceback" not in err
    assert status == 2 or json.loads(out)["right"] is False


def test_what_is_run_is_the_text_that_was_judged(write: Write) -> None:
    """Not compiled code that lies beside it and says that it is the same."""
    right, wrong = write(HEAD, "right.py"), write(HEAD.replace("scale * (z - x)", "42.0"))
    kept = Path(importlib.util.cache_from_source(str(wrong)))
    kept.parent.mkdir()
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(right), str(kept), str(wrong), invalidation_mode=mode)
    status, out, _ = checked(wrong)
    assert "bce_gradient: WRONG" in out
    assert status == 1


def test_files_beside_a_submission_are_none_of_the_judges_modules(write: Write) -> None:
    for name in ("secrets", "json", "numpy", "mmap"):
        write("print('{\"right\": true}')\nraise SystemExit(0)\n", f"{name}.py")
    status, out, _ = checked(write(HEAD.replace("scale * (z - x)", "42.0")), "--json")
    assert (status, json.loads(out)["verdict"]) == (1, "wrong")


def test_deep_folders_leave_nothing_behind(write: Write, tmp_path: Path) -> None:
    text = "import os\nfor _ in range(1200):\n    os.mkdir('d')\n    os.chdir('d')\n" + KERNEL.format("pass")
    status, out, err = checked(write(text), TMPDIR=str(tmp_path / "t"))
    assert (status, err, list((tmp_path / "t").iterdir())) == (1, "", [])
    assert "bce_gradient: WRONG" in out


def test_what_is_printed_is_marked_and_has_no_control_characters(write: Write) -> None:
    act = "print('bce_gradient: right in 999 calls\\x1b[2J\\x07')"
    _, out, _ = checked(write(KERNEL.format(act)))
    assert "| bce_gradient: right in 999 calls?[2J?\n" in out
    assert "\nbce_gradient: right" not in out
