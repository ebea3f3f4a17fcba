"""Kill ``fastae train`` at random moments, resume it until it ends, and compare with a run that nobody touched.

``python tests/attacks/kill.py --backend numba --kills 100 --seed 0``: exit status 0 if every training that was killed
and resumed ended in the bits of the whole one, 1 if not.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastae import storage

RESULTS = {"checkpoint.npz", "history.json", "loss.png", "model.npz", "reconstructions.png"}
SIGNALS = ("SIGKILL", "SIGKILL", "SIGKILL", "SIGINT", "SIGTERM")  # as often as they stand here
MOMENTS = ("any", "any", "writing", "written", "results")
TIMINGS = ("seconds", "images_per_second")
PATIENCE = 300  # seconds in which a training must end

COMMAND = """
import signal, sys
from fastae import cli

def enter(stop, usual=cli.Stop.__enter__):
    usual(stop)
    print("begun", flush=True)  # from here on an interruption is answered
    return stop

cli.Stop.__enter__ = enter
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us without it
sys.exit(cli.main(sys.argv[1:]))
"""


@dataclass
class Told:
    """What came of the attack."""

    kills: Counter[str] = field(default_factory=Counter)
    trainings: int = 0
    unanswered: int = 0  # interruptions before the command began, or after its last word
    wrong: list[str] = field(default_factory=list)


def start(options: list[str], out: Path) -> "subprocess.Popen[str]":
    """Start a training in a process group of its own, to which a terminal's Ctrl-C goes."""
    command = [sys.executable, "-c", COMMAND, "train", *options, "--out", str(out), "--resume", "--no-progress"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def content(out: Path) -> dict[str, Any]:
    """Everything that a training leaves, but for what the clock has a part in."""
    found: dict[str, Any] = {}
    for name in ("checkpoint.npz", "model.npz"):
        with np.load(out / name, allow_pickle=False) as file:
            found |= {f"{name} {a}": file[a].tobytes() for a in file.files if a not in ("config", "sha256")}
    history = json.loads((out / "history.json").read_text())
    found["config"] = history["config"]
    found["epochs"] = [{k: v for k, v in epoch.items() if k not in TIMINGS} for epoch in history["epochs"]]
    return found


def epochs_of(checkpoint: Path) -> int:
    """How many epochs the checkpoint holds; it must always be whole."""
    return len(storage.read(checkpoint, "checkpoint")[0]["epochs"]) if checkpoint.exists() else 0


def stamp(path: Path) -> int:
    """What changes when another file takes the name."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def wait_for(moment: str, process: "subprocess.Popen[str]", out: Path, life: float, chance: random.Random) -> None:
    """Return when the moment has come, or the process has ended."""
    if moment == "any":
        end = time.monotonic() + chance.uniform(0, life)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        return
    prefix = {"writing": ".checkpoint.npz.", "results": ".results."}.get(moment, "")
    old, left = stamp(out / "checkpoint.npz"), set(os.listdir(out) if out.exists() else [])
    skip = chance.randrange(4) if moment != "results" else 0  # not always the first
    while process.poll() is None:
        if prefix:
            come = out.exists() and any(name.startswith(prefix) for name in set(os.listdir(out)) - left)
        else:
            come = stamp(out / "checkpoint.npz") != old
        if come and not skip:
            time.sleep(chance.choice([0, 0, 0.001, 0.003, 0.01]))
            return
        if come:
            skip -= 1
            old = stamp(out / "checkpoint.npz")
            time.sleep(0.02)


def strike(options: list[str], out: Path, life: float, chance: random.Random, told: Told, kills: int) -> bool:
    """Start or resume a training, and kill it once if so many kills are not reached; tell whether it has ended."""
    process = start(options, out)
    how, moment, sent = chance.choice(SIGNALS), chance.choice(MOMENTS), False
    try:
        before = epochs_of(out / "checkpoint.npz")
        if told.kills.total() < kills:
            wait_for(moment, process, out, life, chance)
            if process.poll() is None:
                os.killpg(process.pid, getattr(signal, how))
                sent, at_signal = True, epochs_of(out / "checkpoint.npz")
                told.kills[f"{how}, {moment}"] += 1
        stdout, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        told.wrong.append(f"after {how} ({moment}) it did not end in {PATIENCE} s")
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    after, status = epochs_of(out / "checkpoint.npz"), process.returncode
    if after < before:
        told.wrong.append(f"after {how} ({moment}) the checkpoint has {after} epochs, where it had {before}")
    if sent and after > at_signal + 1:  # one may have been on its way
        told.wrong.append(
            f"{how} ({moment}) was lost: {after - at_signal} more epochs, status {status}: {stderr[-500:]}"
        )
    if not sent and status != 0:
        told.wrong.append(f"by itself it ended with status {status}: {stderr[-500:]}")
        return True
    if sent and how != "SIGKILL" and status != 0:
        number = getattr(signal, how)
        if status == 128 + number and "Traceback" not in stderr and "To continue: fastae train" in stderr:
            pass
        elif "begun" not in stdout and status != 0:
            told.unanswered += 1  # Python was starting, or importing: nothing of ours could answer
        elif "model.npz" in stdout:
            told.unanswered += 1  # all was written and said, and Python was leaving
        else:
            told.wrong.append(f"{how} ({moment}) ended with status {status}: {stderr[-1500:]}")
    return status == 0


def attack(options: list[str], kills: int, seed: int, folder: Path) -> Told:
    """Kill and resume trainings until there were so many kills."""
    told, chance, number = Told(), random.Random(seed), 0
    began = time.monotonic()
    whole = start(options, folder / "whole")
    _, stderr = whole.communicate(timeout=2 * PATIENCE)
    if whole.returncode:
        told.wrong.append(f"the run that nobody touched failed: {stderr[-500:]}")
        return told
    life, expected = time.monotonic() - began, content(folder / "whole")
    while told.kills.total() < kills and not told.wrong:
        out = folder / f"killed-{number}"
        number += 1
        while not strike(options, out, life, chance, told, kills):
            pass
        if told.wrong:
            break
        told.trainings += 1
        found = content(out)
        differ = [name for name in expected | found if expected.get(name) != found.get(name)]
        if differ:
            told.wrong.append(f"training {number} differs in {', '.join(differ)}")
        left = {path.name for path in out.iterdir()} - RESULTS
        if left:
            told.wrong.append(f"training {number} left {sorted(left)}")
    return told


def main() -> int:
    """Attack as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", default="mse")
    parser.add_argument("--momentum", default="0.9")
    parser.add_argument("--limit", default="100")
    parser.add_argument("--epochs", default="25")
    options, more = parser.parse_known_args()
    arguments = ["--backend", options.backend, "--loss", options.loss, "--momentum", options.momentum, "--lr", "0.02",
                 "--limit", options.limit, "--epochs", options.epochs, *more]  # fmt: skip
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what we ignore, our children would ignore too
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fastae-kill-") as folder:
        told = attack(arguments, options.kills, options.seed, Path(folder))
    how = ", ".join(f"{count} {name}" for name, count in sorted(told.kills.items()))
    print(f"{options.backend}, {options.loss}, momentum {options.momentum}, {time.monotonic() - began:.0f} s:")
    print(f"{told.kills.total()} kills ({how}), {told.unanswered} of them while Python was starting or leaving;")
    print(f"{told.trainings} trainings ended in the bits of the whole one")
    for wrong in told.wrong:
        print(f"WRONG: {wrong}")
    return int(bool(told.wrong))


if __name__ == "__main__":
    sys.exit(main())
