"""`fastae trace`: the steps of a launch's warps, with the numbers of `counting`, and the page that shows them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused
from traced_kernels import (
    BRANCHES,
    KERNELS,
    NAIVE,
    RACE,
    SEQUENTIAL,
    STRIDED,
    counted,
    data_of,
    faulty,
    floats,
    line,
    products,
    run,
    shown,
    trace_command,
    traced,
)

from fastae.backends.contract import KERNELS as CONTRACT
from fastae.backends.emulator import RawModule, checking, counting, device, tracing
from fastae.backends.emulator.recording import EVENT, HEADER
from fastae.errors import InputError
from fastae.trace import names, page
from fastae.trace.launches import shape_of
from fastae.trace.record import ATOMIC, BARRIER, SHARED, WAITS, WRITES, Launch


@pytest.mark.feature("tracing", "sectors and rounds of banks, as `counting()` has them")
@pytest.mark.parametrize("name", KERNELS)
def test_the_pages_numbers_are_those_of_counting(name: str) -> None:
    with counting() as counts, tracing() as trace:
        run(name)
    found, _ = shown(trace[0])
    assert found == counted(counts)
    assert found.total() > 0
    assert ("constant" in {memory for _, memory, *_ in found}) == (name == "constants")


@pytest.mark.parametrize("name", KERNELS)
def test_steps_are_in_an_order_that_every_lane_has_gone_through_them(name: str) -> None:
    recorded = traced(name)
    launch = Launch(recorded)
    order = np.lexsort((np.arange(len(launch.row)), launch.column, launch.row))
    assert np.array_equal(order, np.arange(len(order)))
    assert len(set(zip(launch.row.tolist(), launch.column.tolist()))) == len(launch.row)  # one at a time
    # The events of a thread are in the block in the order in which it did them.
    events = np.frombuffer(recorded.block, EVENT, offset=HEADER.itemsize)
    did, had = {}, {}
    for event in events[events["kind"] != 128]:
        did.setdefault((event["block"], event["thread"]), []).append((event["where"], event["address"]))
    blocks = launch.blocks[launch.row[launch.step_of] // launch.warps]
    for event, block in zip(launch.events, blocks):
        had.setdefault((block, event["thread"]), []).append((event["where"], event["address"]))
    assert had == did


def test_between_barriers_the_nth_time_counts_anew() -> None:
    """Each lane comes to the access between other barriers: 32 requests of one lane, not one of 32 lanes."""
    with counting() as counts:
        run("in turns")
    reads = [entry for entry in counts if entry.action == "read"]
    assert {(entry.requests, entry.accesses) for entry in reads} == {(32, 32)}


def test_a_tile_spares_reads_of_global_memory() -> None:
    sectors = {}
    for name in ("naive matmul", "tiled matmul"):
        launch = Launch(traced(name))
        sectors[name] = int(launch.cost[launch.kind & SHARED == 0].sum())
    assert sectors["naive matmul"] > 6 * sectors["tiled matmul"]


def test_a_transpose_waits_for_one_bank() -> None:
    launch = Launch(traced("transpose"))
    worst = launch.cost.argmax()
    assert (launch.cost[worst], launch.best[worst]) == (32, 1)
    assert launch.kind[worst] & SHARED


def test_branches_stand_one_after_another() -> None:
    launch = Launch(traced("branches"))
    odd, even = 0xAAAAAAAA, 0x55555555
    masks = [int(mask) for mask in launch.lanes]
    assert masks[-3:] == [0xFFFFFFFF] * 3  # they meet again
    sides = [mask & odd > 0 for mask in masks[:-3]]
    assert sorted(sides) in (sides, sides[::-1])
    assert all(mask in (odd, even, even & 0xCCCCCCCC) for mask in masks[:-3])


@pytest.mark.feature("tracing", "values that are read and written")
def test_values_are_what_was_read_and_written() -> None:
    x = floats(512)
    with tracing() as trace:
        module = RawModule(SEQUENTIAL, file="mine.cu")
        out = device.array(np.zeros(2, np.float32))
        module.get_function("reduce")((2,), (256,), (device.array(x), out))
    launch = Launch(trace[0])
    first = launch.values[: 2 * 32].view(np.float32)  # a read of x, a write of part
    assert np.array_equal(first[:32], x[:32])
    assert np.array_equal(first[32:], x[:32])
    last = [np.flatnonzero(launch.row == row)[-1] for row in (0, launch.warps)]
    assert all(launch.kind[s] & WRITES and not launch.kind[s] & SHARED for s in last)
    begins = np.searchsorted(launch.step_of, last)
    assert [launch.events["value"][i, 0].astype(np.uint32).view(np.float32) for i in begins] == out.tolist()


def test_atomic_operations_have_what_was_there_and_what_is() -> None:
    launch = Launch(traced("quads"))
    steps = np.flatnonzero(launch.kind & ATOMIC)
    mine = np.isin(launch.step_of, steps)
    pairs = launch.events["value"][mine].tolist()
    assert sorted(map(tuple, pairs)) == [(2 * i, 2 * i + 2) for i in range(96)]
    assert not launch.cost[steps].any()


def test_names_are_those_of_the_source() -> None:
    flat, tile = ("f4", (4,)), ("f4", (64, 4))
    arrays = dict.fromkeys(("x", "out", "spare", "taps"), flat)
    for name, wanted in {
        "tiled matmul": {"a": flat, "b": flat, "c": flat, "A": tile, "B": tile},
        "transpose": {"in": flat, "out": flat, "tile": ("f4", (128, 4))},
        "constants": arrays | {"table": ("f4", (32, 4)), "first": ("i4", (4,))},
        "quads": {"x": flat, "out": flat, "count": ("i4", (4,)), "room": flat},
    }.items():
        launch = Launch(traced(name))
        found = names.regions(launch.recorded, launch.header, launch.lines.tolist())
        assert {region.name: (region.type, region.strides) for region in found} == wanted
        of_access = page._regions_of(launch, found)
        assert (of_access[launch.events["kind"] & WAITS == 0] < len(found)).all()


def test_a_barrier_is_at_one_time_for_all_warps() -> None:
    launch = Launch(traced("tiled matmul"))
    at = (launch.kind == WAITS) & (launch.operation == BARRIER)
    assert sorted(set(launch.column[at])) == launch.barriers.tolist()
    assert len(launch.barriers) == 4
    assert all(np.sum(launch.column[at] == c) == 4 * 8 for c in launch.barriers)


# Faults.


def where(launch: Launch, told: dict[str, Any], spot: str) -> tuple[str, int, int]:
    step, lane = told[spot]
    return told["places"][launch.place[step]], int(launch.row[step]), lane


@pytest.mark.feature("tracing", "a fault is where it stops, a race with both threads and lines")
def test_a_race_has_both_threads_and_both_lines() -> None:
    apart = "{\n      float other = part[t + stride];\n      part[t] += other;\n    }"
    code = RACE.replace("part[t] += part[t + stride];", apart)
    launch, error = faulty("sequential reduction", code)
    _, told = shown(launch.recorded)
    fault, other = where(launch, told, "faultAt"), where(launch, told, "otherAt")
    read, write = line(code, "other = part"), line(code, "+= other")
    assert {fault[0], other[0]} == {f"mine.cu:{read}", f"mine.cu:{write}"}
    assert error.line == fault[0]
    assert fault[2] == error.thread[0] % 32
    places = {address_of(launch, *told[spot]) for spot in ("faultAt", "otherAt")}
    assert len(places) == 1


def address_of(launch: Launch, step: int, lane: int) -> int:
    before = int(launch.lanes[step] & ((1 << lane) - 1)).bit_count()
    return int(launch.address[np.searchsorted(launch.step_of, step) + before])


def test_out_of_bounds_is_the_last_thing_that_is_shown() -> None:
    launch, error = faulty("naive matmul", NAIVE.replace("k < n", "k <= n"))
    _, told = shown(launch.recorded)
    assert where(launch, told, "faultAt") == (error.line, 0, 0)
    assert told["otherAt"] is None
    assert told["faultAt"][0] == len(launch.row) - 1
    assert told["blocks"] == [0]  # the others did not begin


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (STRIDED.replace("if (t % (2 * stride) == 0) part", "if (t < 100) __syncthreads();\n    part"), ""),
        (STRIDED.replace("if (t == 0) out", "__nanosleep(1);\n  if (t == 7) __trap();\n  if (t == 0) out"), "__trap"),
        (BRANCHES.replace("~0u", "~1u"), "shfl"),
    ],
)
def test_a_fault_that_is_no_access_has_its_place(code: str, words: str) -> None:
    launch, error = faulty("branches" if "shfl" in code else "strided reduction", code)
    _, told = shown(launch.recorded)
    place, row, lane = where(launch, told, "faultAt")
    assert place == error.line
    assert not words or place == f"mine.cu:{line(code, words)}"
    assert row * 32 + lane == error.thread[0]


# How much of it there is.


def test_four_thousand_threads_are_less_than_ten_megabytes() -> None:
    """A naive product of 64 by 64: half a million reads, each with its value."""
    with tracing() as trace:
        RawModule(NAIVE, file="mine.cu").get_function("matmul")((4, 4), (16, 16), tuple(products(64)))
    launch = Launch(trace[0])
    assert launch.threads * len(launch.blocks) == 4096
    assert not launch.lost
    text = page.page(trace)
    assert len(text) < 10e6
    assert set(re.findall(r"\w+://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}  # a name


def test_more_than_a_page_holds_is_cut_at_whole_blocks() -> None:
    with tracing() as trace:
        trace.most = 40_000
        run("naive matmul")
        run("naive matmul")
    assert all(recorded.is_cut for recorded in trace)
    assert not traced("naive matmul").is_cut
    whole, none = Launch(trace[0]), Launch(trace[1])
    assert trace.room < 40_000 / 100
    assert whole.lost > 0
    assert whole.blocks.tolist() == [0, 1]  # of four, of 16,640 accesses each
    assert len(whole.events) == 2 * 16_640
    assert len(none.blocks) <= 1
    assert none.lost > 0
    assert [told["lost"] > 0 for told in data_of(page.page(trace))[0]["launches"]] == [True, True]


def test_what_is_not_asked_for_is_not_written_down() -> None:
    with tracing() as trace:
        pass
    with checking():
        run("quads")
    assert trace == []
    with tracing() as trace:
        run("quads")
    assert len(trace) == 1


def test_a_page_is_whole_and_safe(tmp_path: Path) -> None:
    code = BRANCHES.replace("const int t", "// </script><script>alert(1)</script> {{data}}\n  const int t")
    with tracing() as trace:
        run("branches", code)
    trace.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "alert(1)" not in text
    head, _ = data_of(text)
    assert head["launches"][0]["sources"] == {"mine.cu": code}
    assert text.count("<script") == 2
    assert not re.search(r"""(src|href)\s*=\s*["']""", text)


def test_a_text_of_several_files_is_shown_as_these() -> None:
    helper = "__device__ float twice(float x) { return x + x; }\n__device__ void put(float* at) { *at = 1; }"
    main = BRANCHES.replace("out[2 * t] = x[t];", "put(out + 2 * t);")
    told = shown(traced("branches", f'#line 1 "helper.cuh"\n{helper}\n#line 1 "main.cu"\n{main}'))[1]
    assert told["sources"] == {"helper.cuh": helper, "main.cu": main}
    assert {place.partition(":")[0] for place in told["places"]} == {"helper.cuh", "main.cu"}


# The command.

TWO = """// launch axpy: grid (ceil(n / 64), m), block (64)
extern "C" __global__ void axpy(int m, int n, real alpha, const real* x, long long x_stride, real* y,
                                long long y_stride) {
  const int col = blockIdx.x * 64 + threadIdx.x, row = blockIdx.y;
  if (col < n) y[row * y_stride + col] += alpha * x[row * x_stride + col];
}
// launch bias_relu: grid (1), block (32)
extern "C" __global__ void bias_relu(int m, int n, const real* z, const real* bias, real* out) {
  for (int i = threadIdx.x; i < m * n; i += 32) {
    const real sum = z[i] + bias[i % n];
    out[i] = sum > 0 ? sum : 0;
  }
}
"""


@pytest.mark.feature("tracing", "`fastae trace`: a launch on a page, step by step")
def test_the_command_writes_a_page_of_all_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "two.cu", tmp_path / "two.html"
    file.write_text(TWO)
    status, head = trace_command(file, out)
    assert status == 0
    assert "axpy: ran to its end" in capsys.readouterr().out
    assert [launch["kernel"] for launch in head["launches"]] == ["bias_relu", "axpy"]
    assert [launch["sources"] for launch in head["launches"]] == [{"two.cu": TWO.rstrip("\n")}] * 2
    assert {place.partition(":")[0] for launch in head["launches"] for place in launch["places"]} == {"two.cu"}
    _, head = trace_command(file, out, "--kernel", "axpy", "--shape", "m=2,n=33")
    assert [launch["grid"] for launch in head["launches"]] == [[1, 2, 1]]


def test_the_command_shows_the_files_that_a_file_includes(tmp_path: Path) -> None:
    helper = "template <class T>\n__device__ void add(T* at, T value) {\n  *at += value;\n}"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "add.cuh").write_text(helper)
    whole = '#include "parts/add.cuh"\n' + TWO.replace(
        "y[row * y_stride + col] += alpha * x[row * x_stride + col];",
        "add(y + row * y_stride + col, alpha * x[row * x_stride + col]);",
    )
    (tmp_path / "two.cu").write_text(whole)
    _, head = trace_command(tmp_path / "two.cu", tmp_path / "page.html", "--kernel", "axpy")
    (launch,) = head["launches"]
    assert launch["sources"]["add.cuh"] == helper
    assert launch["sources"]["two.cu"].splitlines()[1:] == whole.splitlines()[1:]
    assert {"add.cuh:3", f"two.cu:{line(whole, 'add(y')}"} <= set(launch["places"])


def test_the_command_shows_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "two.cu", tmp_path / "two.html"
    file.write_text(TWO.replace("col < n", "col <= n").replace("i < m * n", "i <= m * n"))
    status, head = trace_command(file, out, "--kernel", "bias_relu")
    assert status == 1
    assert "out of bounds" in capsys.readouterr().out
    (launch,) = head["launches"]
    assert launch["fault"].startswith("two.cu:10")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kernel", "matmul"], "defines no kernel 'matmul'"),
        (["--shape", "m=3"], "--shape is of one kernel"),
        (["--kernel", "axpy", "--shape", "m=3x"], "lengths such as"),
        (["--kernel", "axpy", "--shape", "q=3"], "has the lengths m, n"),
        (["--kernel", "axpy", "--shape", "m=0"], "must be positive"),
        (["--patience", "0"], "--patience"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    file = tmp_path / "two.cu"
    file.write_text(TWO)
    assert words in refused(capsys, "trace", file, *options)
    assert list(tmp_path.iterdir()) == [file]


def test_an_endless_kernel_and_a_file_of_the_host_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.cu"
    file.write_text(TWO.replace("if (col < n)", "while (x[0] == x[0]) y[col] = 1;\n  if (col < n)"))
    assert "two.cu" in refused(capsys, "trace", file, "--kernel", "axpy", "--patience", 3)
    file.write_text(TWO + "#include <unistd.h>\nstatic int pid = getpid();\n")
    assert "is refused" in refused(capsys, "trace", file)
    refused(capsys, "trace", tmp_path / "kernels.py")


def test_shapes_are_small_and_of_every_kernel() -> None:
    for name in CONTRACT:
        assert np.prod([value for value in shape_of(name).values() if value]) <= 32**3
    with pytest.raises(InputError, match="stride"):
        shape_of("unfold", {"stride": 0})
