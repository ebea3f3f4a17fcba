"""The Numba backend compiled for other vector units than this machine's widest.

Numba compiles for another processor when told its name and features, and what this one contains runs here. What it
does not contain is compiled to assembly and looked at.
"""

import os
import platform
import re
import subprocess
import sys

import pytest

X86 = platform.machine() in ("x86_64", "AMD64")
AVX512 = "+avx512f,+avx512vl,+avx512bw,+avx512dq"
AVX2 = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"
CPUS = [
    pytest.param("AVX2", "float32", "haswell", AVX2, marks=pytest.mark.thorough),
    pytest.param("SSE2", "float64", "x86-64", "+sse,+sse2", marks=pytest.mark.thorough),
]

TRAIN = """
import sys
import numpy as np
import fastae
from fastae.backends.numba_backend.machine import MACHINE

images = np.random.default_rng(0).integers(0, 256, (45, 67), dtype=np.uint8)
images[:, ::3] = 0
dtype, bound = sys.argv[1], {"float32": 1e-5, "float64": 1e-13}[sys.argv[1]]
ends = []
for backend in ("numpy", "numba"):
    model = fastae.Autoencoder((67, 37, 5), dtype=dtype)
    trainer = fastae.Trainer(model, backend=backend, batch_size=10, threads=2 if backend == "numba" else None)
    trainer.fit(images, epochs=3, progress=False)
    ends.append(np.concatenate([p.ravel() for p in (*model.weights, *model.biases)]))
assert np.max(np.abs(ends[0] - ends[1])) < bound, np.max(np.abs(ends[0] - ends[1]))
print(MACHINE.name)
"""

ASSEMBLY = """
import llvmlite.binding as llvm
import numba
from numba import types
from fastae.backends.numba_backend import machine

machine.MACHINE = machine.Machine("NEON", 16, 32)
from fastae.backends.numba_backend.tiles import OUTER, outer_tile

tile = outer_tile(*OUTER, False)
matrix, ks = types.Array(types.float32, 2, "A"), types.Array(types.int64, 1, "C")
number, size = types.float64, types.intp


@numba.njit([types.void(matrix, matrix, matrix, ks, size, number, number, size, size, size)], no_cpython_wrapper=True)
def rows(a, b, out, ks, depth, alpha, beta, i, j, count):
    tile(a, b, out, ks, depth, alpha, beta, i, j, count)


llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
triple = "aarch64-unknown-linux-gnu"
target = llvm.Target.from_triple(triple).create_target_machine(cpu="neoverse-n1", opt=3)
(text,) = rows.inspect_llvm().values()
lines = [line for line in text.splitlines() if not line.startswith(("target triple", "target datalayout"))]
module = llvm.parse_assembly("\\n".join(line.replace("x86-64", "") for line in lines))
module.triple = triple
print(target.emit_assembly(module))
"""

TILES = """
import sys
from numba import types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.tiles import DOT, LISTED, OUTER, UNROLL, dot_tile, outer_tile

print(MACHINE.name)
matrix = types.Array(getattr(types, sys.argv[1]), 2, "A")
ks, number, size = types.Array(types.int32, 1, "C"), types.float64, types.intp
for trans_a in (False, True):
    for listed in (False, True):
        shape = LISTED if listed else OUTER
        tile = outer_tile(*shape, trans_a, listed, unroll=UNROLL)
        kinds = [types.void(matrix, matrix, matrix, ks, size, number, number, size, size, size)]

        @jit(name=f"rows_{trans_a}_{listed}", signatures=kinds)
        def rows(a, b, out, ks, depth, alpha, beta, i, j, count):
            tile(a, b, out, ks, depth, alpha, beta, i, j, count)

        print("product", shape.rows * shape.across * UNROLL, *rows.inspect_asm().values())
tile = dot_tile(*DOT, UNROLL)

@jit(name="dots", signatures=[types.void(matrix, matrix, matrix, number, number, size, size)])
def dots(a, b, out, alpha, beta, i, j):
    tile(a, b, out, alpha, beta, i, j)

print("product", DOT.rows * DOT.across * UNROLL, *dots.inspect_asm().values())
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    command, variables = [sys.executable, "-c", code, *arguments], {**os.environ, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not X86, reason="these are vector units of x86 processors")
@pytest.mark.parametrize(("unit", "dtype", "name", "features"), CPUS)
def test_training_compiled_for_a_narrower_vector_unit_agrees_with_numpy(unit, dtype, name, features):
    assert run(TRAIN, dtype, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features).strip() == unit


def test_tile_for_neon_multiplies_in_registers_without_spilling():
    """On ARM, whose registers hold 4 × 4 vectors with room to spare, the innermost loop is multiply-adds and loads."""
    blocks = re.split(r"^\.LBB\S+:", run(ASSEMBLY), flags=re.MULTILINE)
    loops = [block for block in blocks if len(re.findall(r"\bfmla\s+v", block)) >= 16]
    assert loops
    inner = loops[0]
    assert len(re.findall(r"\bfmla\s+v\d+\.4s", inner)) == 16, inner
    assert not re.findall(r"\b(?:str|stp|ldr|ldp)\s+q.*\[sp", inner), inner


SPILL = re.compile(r"v?mov[au]p[sd]\s+(?:-?\d*\(%rsp\), %[xyz]mm|%[xyz]mm\d+, -?\d*\(%rsp\))")


@pytest.mark.skipif(not X86, reason="these are vector units of x86 processors")
@pytest.mark.parametrize(
    ("unit", "dtype", "name", "features"),
    [
        ("AVX2", "float32", "haswell", AVX2),
        pytest.param("AVX2", "float64", "haswell", AVX2, marks=pytest.mark.thorough),
        pytest.param("AVX-512", "float32", "skylake-avx512", f"{AVX2},{AVX512}", marks=pytest.mark.thorough),
    ],
)
def test_a_tiles_innermost_loop_keeps_all_sums_in_registers(unit: str, dtype: str, name: str, features: str) -> None:
    """One vector too many was once spilled in each pass, at half of the speed; no result told."""
    first, *products = run(TILES, dtype, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features).split("product ")
    assert first.strip() == unit
    assert len(products) == 5
    for product in products:
        count, text = product.split(maxsplit=1)
        blocks = re.split(r"\n(?=\.LBB)", text)
        loops = [b for b in blocks if re.search(rf"\tj\w+\t{re.escape(b.split(':')[0])}\b", b)]
        inner = max(loops, key=lambda block: len(re.findall(r"vfmadd|mulp[sd]", block)))
        assert len(re.findall(r"vfmadd|mulp[sd]", inner)) == int(count)
        assert not SPILL.findall(inner), inner
