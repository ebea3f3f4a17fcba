"""The data of ranks: read once on each machine, into memory that its ranks share."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import posix
from rank_trainings import mpiexec

from fastae.ranks import Alone

PROGRAM = """
import json, os, sys
import numpy as np
import fastae
from fastae.errors import InputError
from fastae.ranks import data, join, world

case, here = sys.argv[1], os.path.dirname(os.path.abspath(sys.argv[2]))
ranks, calls, sums, places = join("mpi"), [], [], []

def read():
    calls.append(1)
    if case == "fault":
        raise InputError("a fault")
    if case == "file":
        return fastae.load_images(here, "train")
    return np.arange(15, dtype=np.uint8).reshape(5, 3), np.linspace(0, 1, 7)[::2]

def count(array, usual=world.checksum):
    sums.append(1)
    return usual(array)

def place(segments, array, usual=data.Segments.place):
    places.append(usual(segments, array))
    return places[-1]

data.Segments.place = place
world.checksum = data.checksum = count
if case == "full":
    data._fits = lambda length: False
path = here if case != "apart" or ranks.rank < 2 else sys.executable
try:
    images, others = ranks.read_once(read, path)
except InputError as error:
    told = {"error": str(error)}
else:
    told = {"values": [images.tolist(), others.tolist()] if len(images) == 5 else images.shape, "places": places}
    told["types"] = [str(images.dtype), str(others.dtype)]
    told["sum"] = ranks.checksum(images.reshape(-1))
    told["sums"] = len(sums)
    ranks.barrier()
    if ranks.rank == 1:
        images.flat[0] = 99
    ranks.barrier()
    told["first"] = int(images.flat[0])
with open(f"{sys.argv[2]}-{ranks.rank}", "w") as file:  # mpiexec mixes what ranks print
    json.dump({"calls": len(calls), **told}, file)
"""
FLOATS = np.linspace(0, 1, 7)[::2].tolist()

pytestmark = posix


def told_by(case: str, tmp_path: Path) -> list[dict[str, Any]]:
    """Run the program on three ranks; return what each of them found."""
    command = [mpiexec(), "-n", "3", sys.executable, "-c", PROGRAM, case, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads((tmp_path / f"file-{rank}").read_text(encoding="utf-8")) for rank in range(3)]


def test_one_rank_of_a_machine_reads_for_all(tmp_path: Path) -> None:
    found = told_by("once", tmp_path)
    assert sum(one["calls"] for one in found) == 1
    for one in found:
        assert one["values"] == [np.arange(15).reshape(5, 3).tolist(), FLOATS]
        assert one["types"] == ["uint8", "float64"]
        assert one["first"] == 99  # all see what one of them has written
        assert one["sum"] == Alone().checksum(np.arange(15, dtype=np.uint8))
    assert sorted(one["sums"] for one in found) == [0, 0, 2]  # known from the reader


def test_ranks_that_are_led_to_another_file_read_it(tmp_path: Path) -> None:
    found = told_by("apart", tmp_path)
    assert sorted(one["calls"] for one in found[:2]) == [0, 1]
    assert found[2]["calls"] == 1
    assert [one["first"] for one in found] == [99, 99, 0]


def test_all_read_where_shared_memory_has_no_room(tmp_path: Path) -> None:
    found = told_by("full", tmp_path)
    assert [one["calls"] for one in found] == [1, 1, 1]
    assert [one["first"] for one in found] == [0, 99, 0]


def test_what_the_reader_cannot_read_all_say(tmp_path: Path) -> None:
    found = told_by("fault", tmp_path)
    assert sum(one["calls"] for one in found) == 1
    assert [one["error"] for one in found] == ["a fault"] * 3


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_file_is_read_to_where_all_ranks_see_it(packed: bool, tmp_path: Path) -> None:
    """Without a copy on the way."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 28, 28)).astype(np.uint8)
    labels, test = np.zeros(2000, np.uint8), {"x_test": images[:2], "y_test": np.zeros(2, np.uint8)}
    save = np.savez_compressed if packed else np.savez
    save(tmp_path / "data.npz", x_train=images, y_train=labels, **test)
    found = told_by("file", tmp_path)
    assert [one["calls"] for one in found if one["calls"]] == [1]
    assert [one["places"] for one in found if one["calls"]] == [[[0, 0], None]]  # the labels are few
    assert {one["sum"] for one in found} == {Alone().checksum(images)}
