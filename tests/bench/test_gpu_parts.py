"""The parts of ``benchmarks/gpu.py``: its supervisor, its report, and its interfaces to CUDA's tools."""

import ast
import itertools
import json
import math
import os
import re
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastae.backends.cupy_backend import session
from fastae.backends.emulator import EmulatorBackend, device
from fastae.bench.contenders import job
from fastae.errors import BackendUnavailable, InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODULES = ("contenders", "cublas", "findings", "gpu_tests", "launches", "parts", "race", "rehearsal", "report",
           "sanitizer", "supervisor", "targets")  # fmt: skip


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the command's modules importable."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return SimpleNamespace(**{name: import_module(f"gpu_parts.{name}") for name in MODULES})


# The supervisor.

pytestmark = pytest.mark.thorough

MADE_UP = """
import os, subprocess, sys, time

def sleeps(findings, rehearse, seconds="300"):
    findings.add("note", text="asleep")
    time.sleep(float(seconds))

def forks(findings, rehearse):
    children = [subprocess.Popen(["sleep", "300"]), subprocess.Popen(["sleep", "300"], process_group=0)]
    findings.add("note", text=" ".join(str(child.pid) for child in children))
    if rehearse:
        time.sleep(300)

def finds_nothing(findings, rehearse):
    print("but it speaks")

def leaves(findings, rehearse):
    findings.add("note", text="soon")
    sys.exit(0)

def vanishes(findings, rehearse):
    findings.add("note", text="soon")
    os._exit(0)

def told_wrongly(findings, rehearse):
    findings._to.write('{"kind": "cut short')
    findings._to.flush()
    os.abort()
"""


@pytest.fixture
def supervised(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs made-up parts, given as (function, seconds, options), and returns their records."""
    (tmp_path / "made_up.py").write_text(MADE_UP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*given: tuple[str, float, dict[str, Any]], seconds: float = 60, rehearse: bool = True) -> Any:
        supervisor = parts.supervisor.Supervisor(seconds, rehearse, {}, lambda: None)
        made = [parts.supervisor.Part(f"{name} {i}", f"made_up:{name}", limit, **more)
                for i, (name, limit, more) in enumerate(given)]  # fmt: skip
        supervisor.run(made)
        return supervisor

    return run


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("finds_nothing", "ended without having found anything"),
        ("leaves", "raised SystemExit: 0"),
        ("vanishes", "ended with status 0 before it was done"),
        ("told_wrongly", "died by SIGABRT"),
        ("is_not_there", "raised AttributeError: module 'made_up' has no attribute 'is_not_there'"),
    ],
)
def test_no_way_to_end_but_one_is_right(supervised: Any, name: str, status: str) -> None:
    (record,) = supervised((name, 30, {})).records
    assert record["status"] == status


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
@pytest.mark.parametrize("late", [True, False])
def test_whom_a_part_has_started_ends_with_it(supervised: Any, late: bool) -> None:
    (record,) = supervised(("forks", 5 if late else 30, {}), rehearse=late).records
    assert record["status"] == ("killed after 5 s" if late else "done")
    for process in record["findings"][0]["text"].split():
        for _ in range(100):
            if not is_alive(int(process)):
                break
            time.sleep(0.05)
        else:
            os.kill(int(process), signal.SIGKILL)
            pytest.fail("it lives on")


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_time_of_what_matters_is_kept(supervised: Any) -> None:
    """Of 12 seconds the first would take all, the second finds too few, and the third has its eight.

    The first has not hung, though it had to be ended: the third is begun, though both wait across the device.
    """
    began = time.monotonic()
    waits = {"persistent": True}
    one, two, three = supervised(
        ("sleeps", 10, waits),
        ("sleeps", 100, {}),
        ("sleeps", 8, waits | {"kept": True, "arguments": ("0",)}),
        seconds=12,
    ).records
    assert one["status"].startswith(("cut short after 3.", "cut short after 4 s: the command's time is over"))
    assert one["findings"] == [{"kind": "note", "text": "asleep"}]
    assert two["status"] == "skipped: no time left"
    assert three["status"] == "done"
    assert time.monotonic() - began < 30


def test_what_runs_beside_the_others_is_waited_for_at_the_end(supervised: Any) -> None:
    beside, other = supervised(
        ("sleeps", 100, {"beside": True, "arguments": ("3",)}), ("sleeps", 30, {"arguments": ("0",)})
    ).records
    assert beside["status"] == other["status"] == "done"
    assert beside["seconds"] > other["seconds"]


def test_every_part_of_the_commands_is_there(parts: Any) -> None:
    for command, made in parts.parts.PARTS.items():
        assert len({part.name for part in made}) == len(made)
        for part in made:
            module, function = part.place.split(":")
            assert f"def {function}(" in (BENCHMARKS / f"{module.replace('.', '/')}.py").read_text()
            assert part.seconds <= 30 or not part.persistent
            if part.place == "gpu_parts.race:run":
                assert part.arguments[0] in parts.contenders.CONTENDERS
        assert sum(part.seconds for part in made if part.kept) < parts.parts.SECONDS[command] / 3
    raced = {part.arguments[0] for part in parts.parts.MEASURE if part.place == "gpu_parts.race:run"}
    assert raced == set(parts.contenders.CONTENDERS)


def test_the_tests_for_a_gpu_are_found(parts: Any) -> None:
    """By the text of their files."""
    texts = {path.name: path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py")}
    found = {name for name, text in texts.items() if parts.gpu_tests.USES.search(text)}
    assert found >= {"test_cupy.py", "test_modes.py", "test_convolutional_trainings.py", "test_ladder.py"}
    others = {name for name, text in texts.items() if re.search(r"^(    )?cupy: |[(,] ?cupy\b: ", text, re.MULTILINE)}
    assert others <= found


def test_persistent_mode_is_tested_apart(parts: Any) -> None:
    """A test that names the mode is called by a name that is known; what has the modes for parameters is by itself."""
    words = parts.gpu_tests.PERSISTENT.split(" or ")
    apart, modes = [], ("MODES", "persistent")
    for path in Path(__file__).parents[1].rglob("test_*.py"):
        text = path.read_text()
        for function in ast.parse(text).body if parts.gpu_tests.USES.search(text) else []:
            if isinstance(function, ast.FunctionDef) and any(a.arg == "cupy" for a in function.args.args):
                body = "\n".join(ast.unparse(statement) for statement in function.body)
                if any(word in body for word in modes):
                    apart.append(function.name)
    assert "test_all_modes_end_in_the_same_bits" in apart
    assert [name for name in apart if not any(word in name for word in words)] == []


# Contenders.


def test_an_epoch_is_whole_graphs(parts: Any) -> None:
    assert job.STEPS_A_GRAPH == session.STEPS_A_GRAPH
    for m in (*parts.race.FIRST, *parts.race.REST):
        steps = parts.race.whole_graphs(60_000, m)
        assert steps % job.STEPS_A_GRAPH == 0
        assert 0 < steps * m <= 60_000
    assert parts.race.whole_graphs(60_000, 1024) == 48
    assert parts.race.whole_graphs(60_000, 1) == 992
    with pytest.raises(InputError, match="255 images are fewer than the 16 batches of 16 of a graph"):
        parts.race.whole_graphs(255, 16)


def test_tf32_is_told_from_float32(parts: Any) -> None:
    told: list[Any] = []
    findings = SimpleNamespace(check=lambda name, ok, detail: told.append(ok))

    def rounded(a: np.ndarray, b: np.ndarray, rehearse: bool) -> np.ndarray:
        return parts.contenders.our_product(np.ones_like(a), np.ones_like(b), rehearse)

    for product in (parts.contenders.our_product, parts.contenders.cublas_product, rounded):
        parts.race._precise(findings, "it", SimpleNamespace(product=product), True)
    assert told == [True, True, False]


@pytest.mark.parametrize("steps", [2, 32])
def test_the_step_on_cublas_trains_as_ours_does(parts: Any, steps: int) -> None:
    """In its first epoch without a graph, then with one of so many steps or with two of 16."""
    images = np.random.default_rng(0).integers(0, 256, (steps, 784), dtype=np.uint8)
    losses = []
    for make in (parts.contenders.OnCublas, parts.contenders.ours("eager")):
        made = make(images, 1, True)
        losses.append([made.epoch(job.epoch_order(i, len(images))) for i in range(2)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_what_is_launched_can_be_launched_again(parts: Any) -> None:
    k = EmulatorBackend()
    cursor = k.asarray(np.zeros(1, np.int64))
    (launch,) = parts.launches.ready(k.launcher, lambda: k.advance(cursor, 3))
    assert k.to_host(cursor) == 0
    launch()
    launch()
    k.advance(cursor, 1)  # its own way to launch is back
    assert k.to_host(cursor) == 7


@pytest.mark.parametrize(("trans_a", "trans_b"), list(itertools.product([False, True], repeat=2)))
def test_cublas_gets_its_operands_in_columns(parts: Any, trans_a: bool, trans_b: bool) -> None:
    """Blocks of larger matrices, so that a width taken for a stride would be seen."""
    rng = np.random.default_rng(0)
    gemm = parts.cublas.make_gemm(None, device, rehearsal=True)
    for m, k, n in ((3, 5, 7), (1, 4, 2), (6, 1, 1)):
        shapes = (k, m) if trans_a else (m, k), (n, k) if trans_b else (k, n), (m, n)
        a, b, out = (device.array(rng.normal(size=(r, c + 3)).astype("f"))[:, 1 : c + 1] for r, c in shapes)
        A, B, old = np.array(a.T if trans_a else a), np.array(b.T if trans_b else b), np.array(out)
        gemm(a, b, out, trans_a, trans_b, -0.5, 2.0)
        np.testing.assert_allclose(np.asarray(out), -0.5 * A @ B + 2 * old, rtol=1e-5, atol=1e-5)
        out[:] = np.nan
        gemm(a, b, out, trans_a, trans_b)
        np.testing.assert_allclose(np.asarray(out), A @ B, rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="matmul: "):
        gemm(a, b, b)


def test_what_cublas_refuses_is_told(parts: Any) -> None:
    library = parts.rehearsal.cublas()
    library.cublasSetMathMode = lambda handle, mode: 7
    with pytest.raises(BackendUnavailable, match="cublasSetMathMode of cuBLAS failed with status 7"):
        parts.cublas.Gemm(0, device.array(np.zeros(4, np.uint8)), library=library)


# compute-sanitizer.


@pytest.mark.parametrize(
    ("output", "status", "ok", "words"),
    [
        ("========= ERROR SUMMARY: 0 errors", 0, True, "0 errors"),
        ("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0, True, "0 hazards displayed"),
        ("========= Invalid __global__ read of size 4 bytes\n========= ERROR SUMMARY: 3 errors", 9, False,
         "3 errors; status 9; Invalid __global__ read of size 4 bytes"),
        ("========= Error: Device not supported.\n========= ERROR SUMMARY: 1 error", 9, None, "Device not supported"),
        ("Traceback\nValueError: no", 1, False, "ValueError: no"),
        ("ValueError: no\n========= ERROR SUMMARY: 0 errors", 1, False, "0 errors; status 1"),
        ("", 0, None, "not a word"),
    ],
)  # fmt: skip
def test_what_the_sanitizer_says(parts: Any, output: str, status: int, ok: bool | None, words: str) -> None:
    process = subprocess.Popen(["sh", "-c", f"echo '{output}'; exit {status}"], stdout=subprocess.PIPE, text=True)
    found, told = parts.sanitizer._ended(process)
    assert found is ok
    assert words in told


# The report.


def report_of(*findings: dict[str, Any], status: str = "done", command: str = "measure") -> dict[str, Any]:
    part = {"part": "it", "status": status, "seconds": 1.0, "findings": list(findings), "output": ["the last words"]}
    return {"command": command, "device": "d", "versions": "v", "when": "w", "rehearsal": False, "limit": 300.0,
            "took": 1.0, "agreement": [], "parts": [part]}  # fmt: skip


def check(ok: bool | None, name: str = "products") -> dict[str, Any]:
    return {"kind": "check", "name": name, "ok": ok, "detail": "largest error 2.000 of the bound"}


def step(contender: str, kind: str, us: float, m: int = 128, again: bool = False, loss: float = 1.0) -> dict[str, Any]:
    return {"kind": "step", "contender": contender, "kind_of": kind, "precision": "float32", "batch": m, "us": us,
            "again": again, "loss": loss}  # fmt: skip


def test_what_is_wrong_comes_first_and_the_status_says_so(parts: Any) -> None:
    found = report_of(check(True, "rows"), check(False), check(None, "races"))
    told = parts.report.markdown(found)
    assert "- it: products: **wrong**: largest error 2.000 of the bound" in told
    assert told.index("**wrong**") < told.index("## Neither right nor wrong") < told.index("- it: races: ")
    assert "rows" not in told
    assert "| it | done | 1.0 | 1 | 1 |" in told
    assert not parts.report.is_right(found)
    assert parts.report.is_right(report_of(check(True), check(None)))
    assert "Nothing is wrong." in parts.report.markdown(report_of(check(True), check(None)))


def test_a_part_that_did_not_end_well_is_wrong(parts: Any) -> None:
    for status in ("killed after 3 s", "skipped: no time left", "raised ValueError: no", "died by SIGSEGV"):
        found = report_of(check(True), status=status)
        assert not parts.report.is_right(found)
        assert f"- **it: {status}**" in parts.report.markdown(found)
        assert ("the last words" in parts.report.markdown(found)) == (not status.startswith("skipped"))
    found = report_of({"kind": "raised", "words": "", "lines": ["line 7"]}, status="raised ValueError: no")
    assert "  line 7\n" in parts.report.markdown(found)


def test_much_that_is_wrong_is_told_in_short(parts: Any) -> None:
    told = parts.report.markdown(report_of(*(check(False, f"test {i}") for i in range(300)), command="check"))
    assert "- it: and 288 more that are wrong" in told
    assert len(told) < 12_000


def test_contenders_must_agree(parts: Any) -> None:
    one, other = step("a", "ours", 1, loss=100), step("b", "graphs", 1, loss=100.1)
    assert [c["ok"] for c in parts.report.agreement(report_of(one, other))] == [True]
    for loss in (101.0, math.nan):
        third = step("c", "eager", 1, loss=loss)
        (found,) = parts.report.agreement(report_of(one, other, third))
        assert not found["ok"]
        assert found["detail"] == "c not"


def test_the_targets_are_beside_what_was_measured(parts: Any) -> None:
    steps = [
        step("fastae captured", "ours", 30), step("fastae persistent", "ours", 20),
        step("fastae captured", "ours", 10, again=True), step("fastae on cuBLAS, captured", "beside", 5),
        step("PyTorch eager", "eager", 190), step("JAX, scan", "graphs", 80), step("PyTorch by hand", "graphs", 50),
    ]  # fmt: skip
    met = {target: (measured, ok) for target, measured, ok in parts.targets.judged(steps)}
    assert met["batch 128: at most 26 µs a step"] == ("20.0 µs, fastae persistent", True)
    assert met["batch 16: at most 20 µs a step"] == ("not measured", None)
    fastest = met["batch 128: at least 2 times as fast as the fastest captured or compiled peer"]
    assert fastest == ("2.50 times, PyTorch by hand takes 50.0 µs", True)
    assert met["batch 128: at least 10 times as fast as PyTorch eager"][1] is False
    told = parts.report.markdown(report_of(*steps, {"kind": "limit", "name": "flops", "value": 60e12},
                                           {"kind": "limit", "name": "bytes", "value": 3e12}))  # fmt: skip
    assert told.endswith("| 9.50 times, PyTorch eager takes 190.0 µs | **missed** |\n")
    assert "| drift: end / beginning | | 0.333 |" in told
    assert "- Batch 128: fastae persistent reaches 26% of the multiply-adds, 6% of the bytes." in told


def test_what_a_step_costs(parts: Any) -> None:
    flops, size = parts.targets.step_cost(128)
    assert flops == 2 * 128 * 1_200_128
    assert size == 2 * 4 * (466_944 + 1_424) + 784 * 128


def test_findings_are_there_at_once(parts: Any, tmp_path: Path) -> None:
    with open(tmp_path / "lines", "w") as to:
        findings = parts.findings.Findings(to, True, "exception")
        with pytest.raises(RuntimeError, match="a planted exception"):
            findings.check("it", True, "")
        findings.could_not("the other", "there is none")
        lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["ok"] for line in lines] == [True, None]
    assert lines[1]["detail"] == "could not run: there is none"
