"""NVIDIA's compiler without a GPU: registers, shared memory and spills of every kernel on every architecture.

``python tests/support/nvrtc.py`` prints the table of docs/cuda.md.
"""

import ctypes
import importlib.util
import itertools
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastae.backends.emulator.source import kernels_of
from fastae.cuda import source

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
FILES = (
    *("activation.cu", "elementwise.cu", "losses.cu", "patches.cu", "folds.cu", "ranks.cu"),
    *("matmul.cu", "convolve.cu", "operations.cu", "convolutions.cu", "persistent.cu"),
)
REALS = {  # and the side of a thread's piece of a product, as the launcher asks for them
    "float": ["-Dreal=float", "-DPIECE=4"],
    "float, 8 × 8": ["-Dreal=float", "-DPIECE=8"],
    "float, both": ["-Dreal=float", "-DPIECE=0"],
    "float, both, bce": ["-Dreal=float", "-DPIECE=0", "-DBCE=1"],
    "float, tanh": ["-Dreal=float", "-DPIECE=4", "-DACTIVATION=1"],
    "float, 8 × 8, tanh": ["-Dreal=float", "-DPIECE=8", "-DACTIVATION=1"],
    "float, both, tanh": ["-Dreal=float", "-DPIECE=0", "-DACTIVATION=1"],
    "double": ["-Dreal=double", "-DPIECE=4"],
    "double, tanh": ["-Dreal=double", "-DPIECE=4", "-DACTIVATION=1"],
    "TF32": ["-Dreal=float", "-DTF32", "-DPIECE=4"],
}
FLAGS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # as CuPy gives them


class Use(NamedTuple):
    kernel: str
    registers: int
    shared: int  # bytes
    spilled: int  # bytes stored and loaded


@cache
def library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            if "alt" not in path.name and "builtins" not in path.name:
                return ctypes.CDLL(str(path))
    raise AssertionError("NVRTC is missing: pip install nvidia-cuda-nvrtc")


def compile_for(code: str, architecture: str, real: str) -> tuple[bool, str]:
    """Compile, and return whether that went well and what the compiler says."""
    ok, log, _ = _compiled(code, architecture, real)
    return ok, log


def ptx(code: str, architecture: str, real: str) -> str:
    """Compile to the assembler's text."""
    ok, log, text = _compiled(code, architecture, real)
    assert ok, log
    return text


def _compiled(code: str, architecture: str, real: str) -> tuple[bool, str, str]:
    nvrtc, program = library(), ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}", *REALS[real], "--ptxas-options=-v", *FLAGS]
    array = (ctypes.c_char_p * len(options))(*map(str.encode, options))
    ok = nvrtc.nvrtcCompileProgram(program, len(options), array) == 0
    texts = []
    for what in ("ProgramLog", "PTX"):
        size = ctypes.c_size_t()
        getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{what}")(program, text)
        texts.append(text.value.decode())
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ok, texts[0], texts[1]


def makes_sense(file: str, real: str, architecture: str = "sm_80") -> bool:
    """Only products have pieces and TF32, which needs compute capability 8.0; one kernel needs pieces of both kinds.

    tanh takes the most registers of the activations, with which only some files are compiled.
    """
    if real.endswith("tanh") and "ACTIVATION>" not in source(file):
        return False
    if real.removesuffix(", tanh") in ("float", "double"):
        return True
    product = '"tile.cuh"' in source(file)
    persistent = file == "persistent.cu"
    return product and (architecture != "sm_75" if real == "TF32" else persistent == real.startswith("float, both"))


def uses(log: str) -> list[Use]:
    """Read what ptxas says of each kernel."""
    found = []
    for part in re.split(r"Compiling entry function ", log)[1:]:
        (name,) = re.findall(r"^'(\w+)'", part)
        (registers,) = re.findall(r"Used (\d+) registers", part)
        stores, loads = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)[0]
        shared = re.findall(r"(\d+) bytes smem", part)
        found.append(Use(name, int(registers), int(shared[0]) if shared else 0, int(stores) + int(loads)))
    return found


def table() -> str:
    """Return registers by architecture and, where there are any, spilled bytes, and shared memory, as Markdown.

    Those with tanh are much the same, and left out.
    """
    lines = [f"| kernel | real | {' | '.join(ARCHITECTURES)} | shared, bytes |", "| --- | --- |" + " ---: |" * 6]
    for file, real in itertools.product(FILES, REALS):
        if not makes_sense(file, real) or real.endswith("tanh"):
            continue
        by_kernel: dict[str, list[Use | None]] = {}
        for architecture in ARCHITECTURES:
            if not makes_sense(file, real, architecture):
                by_kernel = {kernel: [None] for kernel in kernels_of(source(file))}
                continue
            for use in uses(compile_for(source(file), architecture, real)[1]):
                by_kernel.setdefault(use.kernel, []).append(use)
        for kernel, found in sorted(by_kernel.items()):
            registers = " | ".join(
                f"{use.registers}{f' ({use.spilled})' * bool(use.spilled)}" if use else "" for use in found
            )
            lines.append(f"| `{kernel}` | {real} | {registers} | {max(use.shared for use in found if use)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
