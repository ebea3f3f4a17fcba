"""Run small trainings under compute-sanitizer: out-of-bounds and uninitialised accesses, races, missed barriers."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
from gpu_parts.convolutions import BATCH as CONVOLVED
from gpu_parts.convolutions import session as convolutional
from gpu_parts.findings import Findings
from gpu_parts.kernels import SIZES, images, model
from gpu_parts.machine import backend, tool

from fastae.backends.cupy_backend.launcher import Tile

FOUND = 9  # the status for what the tool has found, else it is the program's
STEPS = 19  # the first, a graph of 16, and two of 1; a tail follows
BATCH, TAIL, LARGE = 4, 3, Tile(32, 8)
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (.*)")
REFUSED = re.compile(
    r"Device not supported|not supported on|Unable to find|Failed to initialize|Internal Sanitizer Error"
)
OPTIONS = {"memcheck": ["--report-api-errors", "no"]}  # CuPy asks for what may be missing, and raises what matters
OVERRUN = 'extern "C" __global__ void overrun(float* x, int n) { x[n + threadIdx.x] = 1; }'


def run(findings: Findings, rehearse: bool, kind: str, modes: str) -> None:
    """Train under one tool; memcheck must first see a planted overrun of 4 bytes."""
    path = tool("compute-sanitizer")
    if path is None:
        findings.could_not(f"{kind}, {modes}", "compute-sanitizer is not installed")
        return
    planted = _start(path, kind, rehearse, "overrun") if (kind, modes) == ("memcheck", "launched") else None
    trained = _start(path, kind, rehearse, modes)
    if planted is not None:
        ok, words = _ended(planted)
        seen = None if ok is None else not ok and "Invalid __global__ write" in words
        _tell(findings, f"{kind} sees a planted overrun", seen, words)
    _tell(findings, f"{kind}, {modes}", *_ended(trained))


def _tell(findings: Findings, name: str, ok: bool | None, words: str) -> None:
    if ok is None:
        findings.could_not(name, words)
    else:
        findings.check(name, ok, words)


def _start(path: str, kind: str, rehearse: bool, what: str) -> "subprocess.Popen[str]":
    command = [path, "--tool", kind, "--error-exitcode", str(FOUND), "--print-limit", "20", *OPTIONS.get(kind, []),
               sys.executable, "-m", "gpu_parts.sanitizer", what, str(int(rehearse))]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _ended(process: "subprocess.Popen[str]") -> tuple[bool | None, str]:
    """Return whether no fault was found, or None if the tool could not run; and its summary."""
    output, _ = process.communicate()
    print(output, flush=True)
    lines = [line.strip("= \n") for line in output.splitlines() if line.strip("= \n")]
    refusal = next((line for line in lines if REFUSED.search(line)), None)
    summary = SUMMARY.findall(output)
    if refusal:
        return None, refusal
    if not summary:
        return None if process.returncode == 0 else False, (lines or ["not a word"])[-1]
    if process.returncode == 0:
        return True, summary[-1]
    kinds = [
        line
        for line in lines
        if re.match(r"(Invalid|Uninitialized|Barrier|Error: Race|Warning: Race|Program hit)", line)
    ]
    return False, f"{summary[-1]}; status {process.returncode}; {' | '.join(kinds[:2]) or lines[-1]}"


def train(rehearse: bool, modes: tuple[str, ...]) -> None:
    """Train in these modes with both losses, with and without momentum."""
    k: Any = backend(rehearse)
    steps = 3 if rehearse else STEPS
    for mode in modes:
        for loss, momentum, tf32, tile in (
            ("mse", 0.0, False, None), ("bce", 0.9, False, None), ("mse", 0.9, True, None), ("bce", 0.0, False, LARGE)
        ):  # fmt: skip
            if tile is not None:  # which no product is large enough for
                k.launcher.tile = lambda *product, tile=tile: tile
            parameters, n = model(SIZES, "float32", momentum), steps * BATCH + TAIL
            options = {"mode": mode, "tf32": tf32, "loss": loss, "momentum": momentum, "lr": 0.05}
            s = k.session(parameters, images(n), test_images=images(41), batch_size=BATCH, **options)
            s.start(np.arange(n))
            s.run(steps)
            s.finish()
            print(mode, loss, s.total(), s.test_error(), flush=True)
            k.launcher.__dict__.pop("tile", None)  # the class's own comes back
    for mode in modes if "persistent" not in modes else ():
        s = convolutional(k, steps * CONVOLVED + TAIL, mode=mode)
        s.start(np.arange(steps * CONVOLVED + TAIL))
        s.run(steps)
        s.finish()
        print(mode, "convolutions", s.total(), s.test_error(), flush=True)


def overrun(rehearse: bool) -> None:
    """Write four bytes past the end of an array."""
    cupy = backend(rehearse).launcher.cupy
    x = cupy.array(np.zeros(100, np.float32))
    cupy.RawModule(code=OVERRUN).get_function("overrun")((1,), (1,), (x, np.int32(100)))
    cupy.cuda.get_current_stream().synchronize()


def main() -> None:
    """Run as ``python -m gpu_parts.sanitizer WHAT REHEARSE``, under the tool."""
    what, rehearse = sys.argv[1], sys.argv[2] == "1"
    if not rehearse:
        import cupy

        cupy.cuda.set_allocator(None)  # a pool's blocks of 512 bytes would hide what goes a little too far
    if what == "overrun":
        overrun(rehearse)
    else:
        train(rehearse, ("persistent",) if what == "persistent" else ("eager", "captured"))


if __name__ == "__main__":
    main()
