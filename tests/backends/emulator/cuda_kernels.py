"""How the emulator's tests run a kernel, and where its fault is."""

import contextlib
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator.source import kernels_of
from fastae.check import verdict
from fastae.check.problem import Problem
from fastae.check.sandbox.remote import Remote

ORDERS = (None, "forward", "reverse", "random")
COPY = "it is read before the asynchronous copy into it has been waited for"
UNWRITTEN = "shared memory is read before it is written"  # the thread that asks for the copy comes later


def learners_problems(path: Path, code: str, kernel: str, output: IO[str] | None = None) -> list[Problem]:
    """Check a kernel of a learner's file in the process that runs it; what it prints goes to ``output``."""
    path.write_text(code, encoding="utf-8")
    with Remote(path, "emulator", output=output) as k:
        return verdict.examine(k, kernel, 1).problems


def results(expressions: list[str], kind: str, dtype: Any) -> np.ndarray:
    """The values of C++ expressions in a kernel, for which x is what the compiler cannot know: 0."""
    lines = "\n".join(f"  out[{i}] = ({kind})({expression});" for i, expression in enumerate(expressions))
    (out,) = run(
        f"__global__ void f(int x, {kind}* out) {{\n{lines}\n}}", 1, 1, np.int32(0), np.zeros(len(expressions), dtype)
    )
    return out


def line_with(code: str, words: str) -> str:
    (number,) = [i for i, line in enumerate(code.splitlines(), 1) if words in line]
    return f"mine.cu:{number},"


def run(
    code: str, grid: Any, block: Any, *arguments: Any, shared: int = 0, name: str = "", cooperative: bool = False
) -> list[Any]:
    """Run a kernel, the last of its file if none is named; return its arrays as they are then."""
    name = name or list(kernels_of(code))[-1]
    given = [device.array(x) if type(x) is np.ndarray else x for x in arguments]
    shape = [x if isinstance(x, tuple) else (x,) for x in (grid, block)]
    module = RawModule(code, file="mine.cu", enable_cooperative_groups=cooperative)
    module.get_function(name)(*shape, tuple(given), shared_mem=shared)
    return [np.asarray(x) for x in given if isinstance(x, np.ndarray)]


def in_every_order(code: str, *arguments: Any, **options: Any) -> list[list[Any]]:
    """Run a kernel unchecked, and checked in three orders of its threads."""
    found = []
    for order in ORDERS:
        with in_order(order):
            found.append(run(code, *arguments, **options))
    return found


def in_order(order: str | None) -> contextlib.AbstractContextManager[None]:
    """Check every access, in an order of the threads; or nothing, if there is no order."""
    return checking(order) if order else contextlib.nullcontext()


def fault_of(code: str, *arguments: Any, order: str | None = "forward", **options: Any) -> KernelFault:
    """Run a kernel that has a fault."""
    with in_order(order), pytest.raises(KernelFault) as caught:
        run(code, *arguments, **options)
    return caught.value


def marked_fault(code: str, *arguments: Any, **options: Any) -> KernelFault:
    """Run a kernel that has a fault at the line that ends in ``//<``, or one of them."""
    fault = fault_of(code, *arguments, **options)
    assert fault.line in marks(code), fault
    return fault


def marks(code: str) -> list[str]:
    """The lines that end in ``//<``, as faults name them."""
    return [f"mine.cu:{i}" for i, line in enumerate(code.splitlines(), 1) if line.endswith("//<")]


def changed(code: str, old: str, new: str) -> str:
    """Replace what is there once."""
    assert code.count(old) == 1, old
    return code.replace(old, new)


def without(code: str, piece: str) -> str:
    return changed(code, piece, "")


def marked(code: str, *marks: str) -> str:
    """Keep these of the marks only."""
    return re.sub(r"//<(\w+)", lambda match: "//<" if match[1] in marks else "", code)


def quads(random: np.random.Generator, n: int) -> np.ndarray:
    return random.standard_normal(4 * n).astype("f4")


def arrays(*values: Any) -> list[Any]:
    return [device.array(np.asarray(x)) for x in values]


SUM = """extern "C" __global__ void sum(int n, const float* x, float* out) {
  __shared__ float part[64];
  const int t = threadIdx.x;
  part[t] = 0;
  for (int i = blockIdx.x * 64 + t; i < n; i += gridDim.x * 64) part[t] += x[i];
  __syncthreads();
  for (int half = 32; half > 0; half /= 2) {
    if (t < half) part[t] += part[t + half];
    __syncthreads();  // before the next half
  }
  if (t == 0) atomicAdd(out, part[0]);
}"""


def sum_arguments(n: int = 1000) -> tuple[Any, ...]:
    return np.int32(n), *arrays(np.ones(n, np.float32), np.zeros(1, np.float32))
