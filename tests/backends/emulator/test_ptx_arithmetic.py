"""Inline PTX on the emulator: arithmetic and special registers give what the PTX ISA says."""

import numpy as np
import pytest
from cuda_kernels import launch, on_device, zeros
from ptx_programs import ARITHMETIC, CARRIES, SPECIAL

from fastae.backends.emulator import RawModule, device

TYPES = {"r": ("unsigned", "u4"), "l": ("unsigned long long", "u8"), "h": ("unsigned short", "u2")}
TYPES |= {"f": ("float", "f4"), "d": ("double", "f8")}


def statement(text: str, constraints: str, operands: list[str], to: str) -> str:
    inputs = ", ".join(f'"{c}"({o})' for c, o in zip(constraints[1:], operands))
    text = f"{{ .reg .pred p; setp.eq.u32 p, 1, 0; {text}; }}" if text.endswith(" p") else f"{text};"
    return f'asm("{text}" : "={constraints[0]}"({to}) : {inputs});'


@pytest.mark.feature(
    "inline PTX",
    "arithmetic of whole numbers and floating point, with rounding and saturation: `add` to `lop3`, `shf`, `prmt`, "
    "`bfe`, `dp4a`, `mad.wide`, `fma.rn`, `ex2.approx`, `cvt`",
)
def test_arithmetic_gives_what_the_isa_says(compiler: str) -> None:
    lines, n = [], len(ARITHMETIC)
    for i, (text, constraints, operands, _) in enumerate(ARITHMETIC):
        kind = TYPES[constraints[0]][0]
        call = statement(text, constraints, operands, "x")
        lines.append(f"{{ {kind} x; {call} memcpy(out + 8 * {i}, &x, sizeof x); }}")
    out = device.array(np.zeros((n, 8), np.uint8))
    launch(f"__global__ void f(unsigned char* out) {{\n{chr(10).join(lines)}\n}}", "f", out)
    for row, (text, constraints, operands, expected) in zip(np.asarray(out), ARITHMETIC):
        dtype = np.dtype(TYPES[constraints[0]][1])
        (found,) = row[: dtype.itemsize].copy().view(dtype)
        wanted = np.array(expected % 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else expected, dtype)
        assert np.array_equal(found, wanted, equal_nan=dtype.kind == "f"), (text, operands, found, wanted)


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "the carry bit: `add.cc`, `addc`, `subc`, `mad.lo.cc`, `madc.hi`, from statement to statement"
)
def test_carries_go_from_instruction_to_instruction() -> None:
    x, y = 0x00000005_FFFFFFFF_FFFFFFF0, 0x00000002_FFFFFFFF_000000FF
    words = [[n >> 32 * i & 0xFFFFFFFF for i in range(3)] for n in (x, y)]
    out = zeros(8, np.uint32)
    launch(CARRIES, "f", on_device(*words[0], dtype="u4"), on_device(*words[1], dtype="u4"), out)
    r = [int(v) for v in np.asarray(out)]
    assert r[0] | r[1] << 32 | r[2] << 64 == x + y
    assert r[3] | r[4] << 32 | r[5] << 64 == x - y
    assert r[6] | r[7] << 32 == words[0][0] * words[1][0] + words[0][0]


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX",
    "special registers: `%laneid`, `%warpid`, `%tid`, `%ntid`, `%ctaid`, `%nctaid`, `%lanemask_lt`, `%smid`, "
    "`%clock64`, `%globaltimer`",
)
def test_special_registers(compiler: str) -> None:
    out = zeros(2 * 64 * 15, np.uint32)
    RawModule(SPECIAL, file="mine.cu").get_function("f")((2,), (16, 4), (out,))
    for t, row in enumerate(np.asarray(out).reshape(128, 15).tolist()):
        linear, block = t % 64, t // 64
        lane = linear % 32
        masks = [2**lane - 1, 2 ** (lane + 1) - 1, 2**lane, 2**32 - 2**lane, 2**32 - 2 ** (lane + 1)]
        assert row[:7] == [lane, linear // 32, linear % 16, linear // 16, 16, block, 2]
        assert row[7:12] == masks
        assert (row[12] < row[13], row[14]) == (True, 1)
