"""``benchmarks/gpu.py``: both commands rehearsed on the emulator: in full, with faults in a part, and killed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fastae.backends.contract import KERNELS

pytestmark = pytest.mark.thorough

COMMAND = Path(__file__).parents[2] / "benchmarks" / "gpu.py"

# It runs the program, and has seen nothing; but for the overrun that it must see.
SANITIZER = """#!/bin/sh
tool=$2
while [ "$1" != -m ]; do last=$1; shift; done
set -- "$last" "$@"
case "$*" in *overrun*)
  echo "========= Invalid __global__ write of size 4 bytes"
  echo "========= ERROR SUMMARY: 1 error"
  exit 9;;
esac
"$@" || exit
if [ "$tool" = racecheck ]
then echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
else echo "========= ERROR SUMMARY: 0 errors"
fi
"""


def gpu(*options: str | Path, path: Path | None = None, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
    """Run the command, with ``path`` first on the PATH."""
    paths = [*([str(path)] if path else []), os.environ.get("PATH", os.defpath)]
    return subprocess.run(
        [sys.executable, str(COMMAND), *map(str, options)], capture_output=True, text=True, timeout=timeout,
        env=os.environ | {"PATH": os.pathsep.join(paths)},
    )  # fmt: skip


def read(out: Path, command: str) -> dict[str, Any]:
    """Return what it has written, the parts by name."""
    found = json.loads((out / f"{command}.json").read_text())
    return found | {"parts": {part["part"]: part for part in found["parts"]}}


def kinds(part: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [finding for finding in part["findings"] if finding["kind"] == kind]


@pytest.fixture
def all_parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(COMMAND.parent)
    from gpu_parts.parts import PARTS

    return PARTS


def test_check_runs_whole(tmp_path: Path, all_parts: Any) -> None:
    tool = tmp_path / "bin" / "compute-sanitizer"
    tool.parent.mkdir()
    tool.write_text(SANITIZER)
    tool.chmod(0o755)
    done = gpu("check", "--rehearse", "--out", tmp_path, path=tool.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read(tmp_path, "check")
    assert list(found["parts"]) == [part.name for part in all_parts["check"]]
    for name, part in found["parts"].items():
        assert part["status"] == "done", part
        checks = kinds(part, "check")
        assert [c for c in checks if c["ok"] is True or (name == "doctor" and c["ok"] is None)] == checks
        assert checks or name in ("versions", "compile")
    assert len(kinds(found["parts"]["kernels"], "check")) == len(KERNELS)
    for name in ("modes", "persistent"):
        told = " ".join(c["name"] for c in kinds(found["parts"][name], "check"))
        assert all(word in told for word in ("batch 1,", "batch 16,", "batch 100,", "mse", "bce", "float64", "TF32"))
    assert kinds(found["parts"]["memcheck"], "check")[0]["name"] == "memcheck sees a planted overrun"
    report = (tmp_path / "check.md").read_text()
    assert report in done.stdout
    assert "Nothing is wrong." in report
    assert "A rehearsal on the emulator" in report
    assert "==== tests\n" in (tmp_path / "check.log").read_text()
    assert done.stdout.startswith("versions: done")
    assert "check: at most 1080 s, and of them versions 120, doctor 360 beside the others, compile 360" in done.stdout


def test_measure_runs_whole(tmp_path: Path, all_parts: Any) -> None:
    done = gpu("measure", "--rehearse", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read(tmp_path, "measure")
    assert list(found["parts"]) == [part.name for part in all_parts["measure"]]
    for name, part in found["parts"].items():
        assert part["status"] == "done", part
        if name.startswith("ours-"):
            (step,) = kinds(part, "step")
            assert step["us"] > 0
        elif name.startswith(("torch-", "jax-")) and not kinds(part, "step"):  # they may be missing, and are told then
            assert "is not installed" in part["findings"][0]["detail"]
    (agreed,) = found["agreement"]
    assert agreed["ok"]
    assert [limit["name"] for limit in kinds(found["parts"]["limits"], "limit")] == ["flops", "bytes", "launch", "node"]
    hosts = [host["name"] for host in kinds(found["parts"]["host"], "host")]
    assert "forward, CuPy's call alone" in hosts
    assert "a graph of 16 steps" in hosts
    products = kinds(found["parts"]["products"], "product")
    assert {row["name"] for row in products} >= {"forward 0", "update 3", "backward 1"}
    assert all(row["chosen"] in row["us"] and "cuBLAS" in row["us"] for row in products)
    report = (tmp_path / "measure.md").read_text()
    assert report in done.stdout
    for words in (
        "µs a barrier across the device",
        "| drift: end / beginning |",
        "| batch 128: at most 26 µs a step |",
    ):
        assert words in report
    assert len(report) < 12_000


@pytest.mark.parametrize(
    ("fault", "status", "shown"),
    [
        ("hang", "killed after 8 s", "in plant"),  # where it stood
        ("exception", "raised RuntimeError: a planted exception", "raise RuntimeError"),
        ("illegal", "died by SIGSEGV", "in plant"),
    ],
)
def test_a_fault_costs_its_part_alone(tmp_path: Path, fault: str, status: str, shown: str) -> None:
    options = ["--only", "limits", "barrier", "--limit", "limits=8", "--plant", f"limits={fault}"]
    done = gpu("measure", "--rehearse", "--out", tmp_path, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    found = read(tmp_path, "measure")
    assert list(found["parts"]) == ["versions", "limits", "barrier"]
    limits, barrier = found["parts"]["limits"], found["parts"]["barrier"]
    assert limits["status"] == status
    assert [f["name"] for f in kinds(limits, "limit")] == ["flops"]  # what it had found before
    assert barrier["status"] == "done"
    assert [f["name"] for f in kinds(barrier, "limit")] == ["barrier"]
    report = (tmp_path / "measure.md").read_text()
    assert f"- **limits: {status}**" in report
    assert shown in report
    assert shown in (tmp_path / "measure.log").read_text()
    assert "TFLOP/s of float32 multiply-adds; " in report
    assert "µs a barrier across the device" in report


def test_what_hung_once_is_not_waited_for_again(tmp_path: Path) -> None:
    options = ["--only", "barrier", "ours-persistent", "ours-again", "--limit", "barrier=8", "--plant", "barrier=hang"]
    done = gpu("measure", "--rehearse", "--out", tmp_path, *options)
    assert done.returncode == 1
    parts = read(tmp_path, "measure")["parts"]
    assert parts["barrier"]["status"] == "killed after 8 s"
    assert parts["ours-persistent"]["status"].startswith("skipped: barrier had to be killed")
    assert parts["ours-again"]["status"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process does not die with its parent")
def test_who_kills_the_command_is_rid_of_its_parts(tmp_path: Path) -> None:
    options = ["measure", "--rehearse", "--out", str(tmp_path), "--only", "limits", "--plant", "limits=hang"]
    command = subprocess.Popen([sys.executable, str(COMMAND), *options], stdout=subprocess.DEVNULL)
    try:
        part = 0
        while not part:
            assert command.poll() is None
            for entry in Path(f"/proc/{command.pid}/task").glob("*/children"):
                for child in entry.read_text().split():
                    if b"gpu_parts.limits" in Path(f"/proc/{child}/cmdline").read_bytes():
                        part = int(child)
            time.sleep(0.05)
        time.sleep(1)  # it asks to die with its parent when it begins
    finally:
        command.kill()
        command.wait()
    for _ in range(200):
        state = Path(f"/proc/{part}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the part lives on")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "nothing"], "there is no part 'nothing'; the parts are: versions, doctor, compile, kernels, "),
        (["--plant", "kernels=flood"], "--plant kernels=flood: the faults are hang, exception, illegal"),
        (["--limit", "kernels=soon"], "--limit kernels=soon: give a positive number of seconds"),
        (["--limit", "kernels=nan"], "--limit kernels=nan: give a positive number of seconds"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = gpu("check", "--rehearse", "--out", tmp_path / "out", *options)
    assert_refused(done, words, tmp_path / "out")


def assert_refused(done: "subprocess.CompletedProcess[str]", words: str, out: Path) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith(f"gpu.py: {words}")
    assert len(done.stderr.splitlines()) == 1
    assert not out.exists()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert_refused(gpu("measure", "--rehearse", "--out", out, "--only", "limits"), "", out)


@pytest.mark.parametrize("command", ["check", "measure"])
def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, str(COMMAND), command, "--out", str(tmp_path / "out")], capture_output=True, text=True,
        timeout=60, env={"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert_refused(done, "the backend 'cupy' cannot run here: ", tmp_path / "out")
