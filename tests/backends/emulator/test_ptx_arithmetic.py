"""Inline PTX on the emulator: arithmetic and special registers give what the PTX ISA says."""

import numpy as np
import pytest
from cuda_kernels import run
from ptx_programs import ARITHMETIC, CARRIES, SPECIAL

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
    (out,) = run("__global__ void f(unsigned char* out) {\n" + "\n".join(lines) + "\n}", 1, 1, np.zeros((n, 8), "u1"))
    for row, (text, constraints, operands, expected) in zip(out, ARITHMETIC):
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
    *_, out = run(CARRIES, 1, 1, np.array(words[0], "u4"), np.array(words[1], "u4"), np.zeros(8, "u4"))
    r = out.tolist()
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
    (out,) = run(SPECIAL, 2, (16, 4), np.zeros(2 * 64 * 15, "u4"))
    for t, row in enumerate(out.reshape(128, 15).tolist()):
        linear, block = t % 64, t // 64
        lane = linear % 32
        masks = [2**lane - 1, 2 ** (lane + 1) - 1, 2**lane, 2**32 - 2**lane, 2**32 - 2 ** (lane + 1)]
        assert row[:7] == [lane, linear // 32, linear % 16, linear // 16, 16, block, 2]
        assert row[7:12] == masks
        assert (row[12] < row[13], row[14]) == (True, 1)
