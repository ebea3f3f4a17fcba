"""Run ``fastae check`` on the GPU with a correct file, the gallery's wrong files, and an out-of-bounds write."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpu_parts.findings import Findings

from fastae.check import exhibits

ROOT = Path(__file__).resolve().parent.parent.parent
RIGHT = ROOT / "examples" / "kernels" / "mine.cu"
STRAY = """// Writes where nothing is: the context is lost.
extern "C" __global__ void advance(long long* cursor, long long n) { cursor[n + (1LL << 44)] = 1; }
"""
AT_ONCE, PATIENCE = 6, 30


def run(findings: Findings, rehearse: bool) -> None:
    """Check some files in parallel, each in its own process."""
    stray = Path("stray.cu")  # the part's own folder
    stray.write_text(STRAY)
    wrong = [exhibit.path for exhibit in exhibits.exhibits() if exhibit.path.suffix == ".cu"]
    if rehearse:
        wrong = [path for path in wrong if path.stem == "mse_loss_half_the_threads"]
    files = [RIGHT, stray, *wrong]
    with ThreadPoolExecutor(2 if rehearse else AT_ONCE) as pool:
        for path, (status, output) in zip(files, pool.map(lambda path: _checked(path, rehearse), files)):
            _tell(findings, path, status, output)


def _checked(path: Path, rehearse: bool) -> tuple[int, str]:
    backend = "emulator" if rehearse else "cupy"
    command = [sys.executable, "-m", "fastae", "check", str(path), "--backend", backend, "--json", "--no-speed",
               "--patience", str(PATIENCE)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(path.name, done.returncode, done.stdout, done.stderr, flush=True)
    return done.returncode, done.stdout


def _tell(findings: Findings, path: Path, status: int, output: str) -> None:
    name = f"fastae check {path.name}"
    try:
        verdict = json.loads(output)
    except ValueError:
        findings.check(name, False, f"ends with status {status} and without a verdict")
        return
    if path == RIGHT:
        findings.check(
            name, verdict["right"] and status == 0, "right" if verdict["right"] else f"called wrong: {output[:200]}"
        )
        return
    problems = [p for kernel in verdict["kernels"] for p in kernel["problems"]]
    problems += (verdict["model"] or {}).get("problems", [])
    causes = [cause for p in problems for cause in p["causes"]]
    if status == 0 and "race" in path.stem:  # which only shows when it is lost
        findings.add("check", name=name, ok=None, detail="called right: a race may stay unseen on a GPU")
        return
    detail = "; ".join([p["what"] for p in problems[:1]] + causes[:1]) or "called right"
    findings.check(name, status == 1 and bool(problems), f"wrong: {detail}"[:240])
