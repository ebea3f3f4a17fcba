"""How the emulator's tests run a kernel, and where its fault is."""

import re
from typing import Any

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator.source import kernels_of

RANDOM = np.random.default_rng(20)
ORDERS = (None, "forward", "reverse", "random")
COPY = "it is read before the asynchronous copy into it has been waited for"
UNWRITTEN = "shared memory is read before it is written"  # the thread that asks for the copy comes later


def launch(code: str, name: str, *arguments: Any, grid: int = 1, block: int = 1, names: tuple[str, ...] = ()) -> None:
    module = RawModule(code, file="mine.cu", name_expressions=names)
    module.get_function(name)((grid,), (block,), arguments)


def on_device(*values: Any, dtype: Any = np.float32) -> Any:
    return device.array(np.array(values, dtype))


def zeros(n: int, dtype: Any = np.float32) -> Any:
    return device.array(np.zeros(n, dtype))


def results(expressions: list[str], kind: str, dtype: Any) -> np.ndarray:
    """The values of C++ expressions in a kernel, for which x is what the compiler cannot know: 0."""
    lines = "\n".join(f"  out[{i}] = ({kind})({expression});" for i, expression in enumerate(expressions))
    out = zeros(len(expressions), dtype)
    launch(f"__global__ void f(int x, {kind}* out) {{\n{lines}\n}}", "f", np.int32(0), out)
    return np.asarray(out)


def fault(code: str, name: str, *arguments: Any, **options: Any) -> str:
    with pytest.raises(KernelFault) as caught:
        launch(code, name, *arguments, **options)
    return str(caught.value)


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
    found = [run(code, *arguments, **options)]
    for order in ORDERS[1:]:
        with checking(order):
            found.append(run(code, *arguments, **options))
    return found


def fault_of(code: str, *arguments: Any, order: str = "forward", **options: Any) -> KernelFault:
    with checking(order), pytest.raises(KernelFault) as caught:
        run(code, *arguments, **options)
    return caught.value


def is_at(fault: KernelFault, code: str) -> bool:
    """Tell whether a fault is at the line that ends in ``//<``, or one of them."""
    lines = [f"mine.cu:{i}" for i, line in enumerate(code.splitlines(), 1) if line.endswith("//<")]
    assert lines
    return fault.line in lines


def without(code: str, *pieces: str) -> str:
    for piece in pieces:
        assert code.count(piece) == 1, piece
        code = code.replace(piece, "")
    return code


def marked(code: str, *marks: str) -> str:
    """Keep these of the marks only."""
    return re.sub(r"//<(\w+)", lambda match: "//<" if match[1] in marks else "", code)


def quads(n: int) -> np.ndarray:
    return RANDOM.standard_normal(4 * n).astype("f4")


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
