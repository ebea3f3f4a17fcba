"""Launches as one HTML page that needs nothing else: no network, no other file."""

import base64
import html
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastae import __version__, storage
from fastae.backends.emulator.faults import READS, WRITES
from fastae.backends.emulator.recording import Recorded
from fastae.trace import names
from fastae.trace.record import WAITS, WORD, Launch, Spot

TEMPLATE = Path(__file__).parent / "template"
NO_REGION = 255


def write(path: str | Path, launches: Sequence[Recorded], note: str = "") -> None:
    """Write a page.

    Parameters
    ----------
    path : path-like
    launches : sequence of Recorded
        What it shows, in order.
    note : str
        A sentence on all of them.
    """
    with storage.replacing(path) as file:
        file.write(page(launches, note).encode())


def page(launches: Sequence[Recorded], note: str = "") -> str:
    """Return a page's text."""
    packed = Packed()
    shown = [_described(Launch(recorded), packed) for recorded in launches]
    data = packed.with_head({"launches": shown, "note": note, "version": __version__})
    title = ", ".join(dict.fromkeys(recorded.kernel for recorded in launches)) or "no launch"
    parts = {
        "title": html.escape(title),
        "style": (TEMPLATE / "page.css").read_text(encoding="utf-8"),
        "script": "\n".join(path.read_text(encoding="utf-8") for path in sorted(TEMPLATE.glob("*.js"))),
        "data": base64.b64encode(zlib.compress(data, 6)).decode(),
    }
    template = (TEMPLATE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


class Packed:
    """Columns of numbers, one after another, as 1_launch.js reads them."""

    def __init__(self) -> None:
        self._parts, self._bytes = list[bytes](), 0

    def add(self, numbers: np.ndarray, kind: str, differences: bool = False) -> list[Any]:
        """Add a column and return where it is: its type, its place, its length, and whether it holds differences."""
        column = np.ascontiguousarray(numbers.astype(kind))
        if differences:
            column = np.diff(column, prepend=column.dtype.type(0))
        data = column.tobytes()
        where = [kind, self._bytes, len(column), differences]
        data += bytes(-len(data) % 8)
        self._parts.append(data)
        self._bytes += len(data)
        return where

    def with_head(self, head: dict[str, Any]) -> bytes:
        """Return all of it: the length of the head, the head as JSON, and the columns, at a multiple of 8 bytes."""
        text = json.dumps(head, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + 8) % 8)
        return b"".join([len(text).to_bytes(8, "little"), text, *self._parts])


def _described(launch: Launch, packed: Packed) -> dict[str, Any]:
    """Return the page's data of a launch."""
    recorded = launch.recorded
    regions = names.regions(recorded, launch.header, launch.lines.tolist())
    of_access = _regions_of(launch, regions)
    places = names.lines_of(recorded.library, launch.places.tolist(), recorded.files)
    sources = _sources(recorded, places)
    return {
        "kernel": recorded.kernel,
        "file": next(iter(sources)),
        "launchedAt": recorded.at,
        "sources": sources,
        "grid": launch.grid,
        "block": launch.block,
        "blocks": launch.blocks.tolist(),
        "lost": launch.lost,
        "fault": recorded.fault,
        "faultAt": _spot(launch.fault),
        "otherAt": _spot(launch.other),
        "places": places,
        "barriers": launch.barriers.tolist(),
        **{name: int(launch.header[name]) for name in ("shared", "room", "dynamic")},
        "regions": [region._asdict() for region in regions],
        "traffic": [list(entry) for entry in launch.traffic()],
        "memory": _memory(launch, of_access, len(regions)),
        "columns": {
            "row": packed.add(launch.row, "u4", True),
            "column": packed.add(launch.column, "u4", True),
            "place": packed.add(launch.place, "u4"),
            "kind": packed.add(launch.kind, "u1"),
            "operation": packed.add(launch.operation, "u1"),
            "size": packed.add(launch.size, "u4"),
            "lanes": packed.add(launch.lanes, "u4"),
            "cost": packed.add(launch.cost, "u4"),
            "best": packed.add(launch.best, "u4"),
            "address": packed.add(launch.address, "u4", True),
            "region": packed.add(of_access, "u1"),
            "values": packed.add(launch.values, "u4"),
            "lines": packed.add(launch.lines, "f8"),
        },
    }


def _sources(recorded: Recorded, places: Sequence[str]) -> dict[str, str]:
    """Return the files of a launch's source by name: those in which something happens, or the one that was given.

    A text of several files has ``#line`` where each begins.
    """
    file, number, lines = recorded.file, 1, dict[str, dict[int, str]]()
    for text in recorded.code.splitlines():
        if match := re.fullmatch(r'#line (\d+) "(.*)"', text):
            number, file = int(match[1]), match[2].rpartition("/")[2]
            continue
        lines.setdefault(file, {})[number] = text
        number += 1
    used = {place.rpartition(":")[0] for place in places}
    found = {name: lines[name] for name in lines if name in used} or dict(list(lines.items())[:1]) or {file: {}}
    return {
        name: "\n".join(part.get(i, "") for i in range(1, max(part, default=0) + 1)) for name, part in found.items()
    }


def _spot(spot: Spot | None) -> list[int] | None:
    return None if spot is None else [spot.step, spot.lane]


def _regions_of(launch: Launch, regions: Sequence[names.Region]) -> np.ndarray:
    """Return of each access the index of its region."""
    address, found = launch.events["address"], np.full(len(launch.events), NO_REGION, np.uint8)
    touches = launch.events["kind"] & WAITS == 0
    for i, region in enumerate(regions[:NO_REGION]):
        inside = touches & (found == NO_REGION) & (address >= region.begin) & (address < region.begin + region.bytes)
        found[inside] = i
    return found


def _memory(launch: Launch, of_access: np.ndarray, count: int) -> list[list[int]]:
    """Return for each region: accesses that read and wrote, the distinct words of each, their cost and the best."""
    kind, steps = launch.events["kind"], launch.step_of
    first = np.flatnonzero(np.diff(steps, prepend=-1))
    of_step = of_access[first]  # a step that touches several counts for the region of its first lane
    found = []
    for i in range(count):
        mine = of_access == i
        words = [len(np.unique(launch.address[mine & (kind & what > 0)] // WORD)) for what in (READS, WRITES)]
        times = [int(np.sum(mine & (kind & what > 0))) for what in (READS, WRITES)]
        costs = [int(x[of_step == i].sum()) for x in (launch.cost, launch.best)]
        found.append([*times, *words, *costs])
    return found
