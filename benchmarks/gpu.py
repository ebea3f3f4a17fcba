"""Everything that only a GPU can show, in two commands of at most 4.5 and 5 minutes.

``python benchmarks/gpu.py check --out DIR`` says what is right and what is wrong; ``... measure --out DIR`` what a step
takes, beside the peers and the device's limits. Each consists of parts, processes of their own with limits of their
own, so that a fault costs its part alone; after each, COMMAND.json, COMMAND.md and COMMAND.log are written. The status
is 0 if every part ran to its end and nothing was wrong. They need CuPy; PyTorch and JAX take part where they are
installed. ``--rehearse`` runs all of it, small, on the emulator.
"""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu_parts import report
from gpu_parts.findings import FAULTS
from gpu_parts.parts import PARTS, SECONDS, VERSIONS
from gpu_parts.supervisor import Part, Supervisor

PATIENCE = 4.0  # times all limits in a rehearsal, whose machine may be slow and shared


class Wrong(Exception):
    """An error that is reported to the user in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("command", choices=PARTS)
    option("--out", type=Path, required=True, help="folder for the report")
    option("--rehearse", action="store_true", help="on the CPU with the emulator, small: does it work?")
    option("--only", nargs="+", default=[], metavar="PART", help="run these parts and no others")
    option("--limit", action="append", default=[], metavar="PART=SECONDS", help="give a part another limit")
    told = f"let a part fail after its first finding, to see what is left of the others: {', '.join(FAULTS)}"
    option("--plant", action="append", default=[], metavar="PART=FAULT", help=told)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # which ends the parts too
    try:
        parts, seconds = chosen(options)
        return run(options, parts, seconds)
    except (Wrong, OSError) as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2


def chosen(options: argparse.Namespace) -> tuple[list[Part], float]:
    """Return a command's parts with their time limits, and the limit of the whole command."""
    parts = {part.name: part for part in PARTS[options.command]}
    limits, plants = (dict(_pair(text, parts) for text in texts) for texts in (options.limit, options.plant))
    for name in options.only:
        _known(name, parts)
    for name, fault in plants.items():
        if fault not in FAULTS:
            raise Wrong(f"--plant {name}={fault}: the faults are {', '.join(FAULTS)}")
    options.plant = plants
    patience, found = PATIENCE if options.rehearse else 1.0, []
    for name, part in parts.items():
        if options.only and name not in (VERSIONS.name, *options.only):
            continue
        try:
            limit = float(limits.get(name, part.seconds * patience))
        except ValueError:
            limit = 0.0
        if not 0 < limit < float("inf"):
            raise Wrong(f"--limit {name}={limits[name]}: give a positive number of seconds")
        found.append(replace(part, seconds=limit))
    return found, SECONDS[options.command] * patience


def _pair(text: str, parts: dict[str, Part]) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _known(name, parts), value


def _known(name: str, parts: dict[str, Part]) -> str:
    if name not in parts:
        raise Wrong(f"there is no part {name!r}; the parts are: {', '.join(parts)}")
    return name


def run(options: argparse.Namespace, parts: list[Part], seconds: float) -> int:
    """Run the parts, and write the report after each."""
    began = time.monotonic()
    found: dict[str, Any] = {
        "command": options.command, "device": "an unknown device", "versions": "unknown versions",
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "rehearsal": options.rehearse,
        "limit": seconds, "took": 0.0, "agreement": [], "parts": [],
    }  # fmt: skip

    def write() -> None:
        found["took"] = time.monotonic() - began
        for machine in report.found_by(found, "machine"):
            found.update(device=machine["device"], versions=machine["versions"])
        found["agreement"] = report.agreement(found)
        log = "".join(f"==== {name}\n{text.rstrip()}\n" for name, text in supervisor.logs.items())
        for ending, text in (("json", json.dumps(found, indent=1)), ("md", report.markdown(found)), ("log", log)):
            replaced(options.out / f"{options.command}.{ending}", text)

    def changed() -> None:
        record = next(
            (r for r in reversed(found["parts"]) if r["part"] not in shown and r["status"] != "running"), None
        )
        if record is not None:
            shown.add(record["part"])
            print(f"{record['part']}: {record['status']}, {record['seconds']:.1f} s", flush=True)
        if len(found["parts"]) > 1:  # else it is not known yet whether there is a GPU
            write()

    shown: set[str] = set()
    supervisor = Supervisor(seconds, options.rehearse, options.plant, changed)
    found["parts"] = supervisor.records
    limits = ", ".join(f"{part.name} {part.seconds:g}{' beside the others' * part.beside}" for part in parts)
    supervisor.run(parts[:1])
    for refusal in report.found_by(found, "unavailable"):
        raise Wrong(refusal["reason"])
    options.out.mkdir(parents=True, exist_ok=True)
    write()
    print(f"{options.command}: at most {seconds:g} s, and of them {limits}", flush=True)
    supervisor.run(parts[1:])
    write()
    print("\n" + (options.out / f"{options.command}.md").read_text())
    return 0 if report.is_right(found) else 1


def replaced(path: Path, text: str) -> None:
    """Write a file atomically, so that an interrupted write leaves the old one."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
