"""What accesses cost on the emulator: sectors, banks, threads and barriers are counted."""

import re
from typing import Any

import numpy as np
import pytest
from cuda_kernels import SUM, arrays, run, sum_arguments

from fastae.backends.cupy_backend.launcher import TILES, Tile
from fastae.backends.emulator import EmulatorBackend, KernelFault, RawModule, checking, counting, device
from fastae.backends.emulator.source import kernels_of


def traffic_of(code: str, block: tuple[int, ...], *arguments: Any) -> dict[str, tuple[int, int, int]]:
    """Requests, transactions and their fewest, by memory and action; one line each."""
    (name,) = kernels_of(code)
    with counting() as counts:
        RawModule(code, file="mine.cu").get_function(name)((1,), block, arguments)
    assert all(re.fullmatch(r"mine\.cu:\d+", entry.line) and entry.kernel == name for entry in counts)
    found = {f"{entry.memory} {entry.action}": (entry.requests, entry.transactions, entry.best) for entry in counts}
    assert len(found) == len(counts)
    return found


@pytest.mark.parametrize(
    ("index", "read"),
    [
        ("threadIdx.x", (2, 8, 8)),  # 64 neighbours: 2 warps, 4 sectors of 8 floats each
        ("0", (2, 2, 2)),  # all lanes the same word
        ("threadIdx.x * 8", (2, 64, 8)),  # a sector for each lane
        ("threadIdx.x + 1", (2, 10, 8)),  # not at the beginning of a sector: one more each
        ("63 - threadIdx.x", (2, 8, 8)),  # the order among lanes does not matter
    ],
)
def test_coalescing_is_counted(index: str, read: tuple[int, int, int]) -> None:
    code = f'extern "C" __global__ void copy(const float* x, float* out) {{ out[threadIdx.x] = x[{index}]; }}'
    room = np.zeros(1024, np.float32)
    skip = (-room.ctypes.data % 32) // 4  # sectors begin at multiples of 32 bytes
    x = room[skip : skip + 512].view(device.ndarray)
    out = room[skip + 512 : skip + 576].view(device.ndarray)
    out = out if out.ctypes.data % 32 == 0 else device.array(out)
    assert traffic_of(code, (64,), x, out) == {"global read": read, "global write": (2, 8, 8)}


@pytest.mark.parametrize(("width", "rounds"), [(32, 32), (33, 1), (34, 2)])
def test_bank_conflicts_are_counted(width: int, rounds: int) -> None:
    """A column of an array with 32 columns lies in one bank; one more column spreads it over all."""
    code = f"""extern "C" __global__ void column(float* out) {{
      __shared__ float part[32 * {width}];
      part[threadIdx.x * {width}] = threadIdx.x;
      __syncthreads();
      out[threadIdx.x] = part[threadIdx.x * {width}];
    }}"""
    found = traffic_of(code, (32,), *arrays(np.zeros(32, np.float32)))
    assert found["shared write"] == found["shared read"] == (1, rounds, 1)


def test_threads_their_accesses_and_barriers_are_counted() -> None:
    n, x, out = sum_arguments(1000)
    with counting() as counts:
        for blocks in (3, 2):
            run(SUM, blocks, 64, n, x, out)
    assert (counts.threads, counts.barriers) == (5 * 64, 5 * 64 * 7)
    read = [entry.accesses for entry in counts if (entry.memory, entry.action) == ("global", "read")]
    assert read == [1000, 1000]


@pytest.mark.parametrize(("trans_a", "trans_b"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_our_matmul_coalesces_and_has_hardly_a_bank_conflict(tile: Tile, trans_a: bool, trans_b: bool) -> None:
    a, b, out = arrays(*(np.ones((64, 64), np.float32) for _ in range(3)))
    k = EmulatorBackend()
    k.launcher.tile = lambda *product: tile  # type: ignore[method-assign]
    with counting() as counts:
        k.matmul(a, b, out, trans_a, trans_b)
    assert {entry.memory for entry in counts} == {"global", "shared"}
    for entry in counts:
        assert entry.transactions <= (2 if entry.memory == "shared" else 1) * entry.best, entry


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("real", "kept"), [("float", False), ("double", True)])
def test_numbers_below_the_normal_ones_are_0_in_float_as_cupy_compiles_it(
    real: str, kept: bool, waits: bool, checks: bool
) -> None:
    """Results and operands; NumPy goes on as before, after a fault too."""
    code = """extern "C" __global__ void scale(real by, const real* x, real* out) {
      WAIT;
      out[threadIdx.x] = by * x[threadIdx.x];
    }"""
    dtype = np.dtype("f4" if real == "float" else "f8")
    info = np.finfo(dtype)
    scale = RawModule(code.replace("WAIT", "__syncthreads()" if waits else ""), (f"-Dreal={real}",)).get_function(
        "scale"
    )
    x, out = arrays(np.array([info.tiny, info.tiny / 2, 1], dtype), np.full(3, np.nan, dtype))
    for by, expected in ((0.5, [info.tiny / 2, info.tiny / 4, 0.5]), (2.0, [2 * info.tiny, info.tiny, 2.0])):
        scale((1,), (3,), (dtype.type(by), x, out))
        expected = np.array(expected, dtype)
        if not kept:
            flushed = np.array([by > 1, False, True])
            expected = np.where(flushed, expected, 0)
        assert out.tolist() == expected.tolist()
    assert info.tiny * dtype.type(0.5) > 0
    with pytest.raises(KernelFault), checking():
        scale((1,), (4,), (dtype.type(1), x, out))
    assert info.tiny * dtype.type(0.5) > 0
