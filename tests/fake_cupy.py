"""A stand-in for the slice of CuPy that the cupy backend uses, for machines without a GPU.

Device memory is host memory. A ``RawModule`` is compiled by the C++ compiler and its kernels are run one thread after
another, which is right for kernels without barriers; so the very ``.cu`` file that the GPU gets is what is tested, and
so is the order, size and type of every argument: the stand-in compares them with the parameters of the C function.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
import types
from pathlib import Path

import numpy as np

PRELUDE = """
#include <cmath>
using std::exp; using std::log;
struct dim { int x; };
static dim blockIdx, threadIdx, blockDim, gridDim;
#define __global__
#define __device__
"""
C_TYPES = {"int": np.int32, "long long": np.int64, "float": np.float32, "double": np.float64}


class ndarray(np.ndarray):  # noqa: N801  it stands for cupy.ndarray
    """An array on the "device": an integer index gives a 0-d view, as CuPy's does."""

    def __getitem__(self, key):
        """Index, without ever leaving the device."""
        if isinstance(key, int) and self.ndim == 1:
            return super().__getitem__(slice(key, key + 1)).reshape(())
        return super().__getitem__(key)


def array(host):
    """Copy to the "device"."""
    return np.array(host).view(ndarray)


def asnumpy(device):
    """Copy to the host."""
    return np.array(device, subok=False)


class RawModule:
    """Kernels compiled for the host."""

    def __init__(self, code, options):
        compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
        assert compiler, "the tests of the cupy backend need a C++ compiler: install g++ or clang++"
        folder = Path(tempfile.mkdtemp())
        self.parameters = {
            name: [" ".join(p.split()[:-1]) for p in text.replace("*", "* ").split(",")]
            for name, text in re.findall(r"__global__ void (\w+)\(([^)]*)\)", code)
        }
        runners = "".join(
            f'extern "C" void run_{name}(int grid, int block, {text}) {{ gridDim.x = grid; blockDim.x = block;'
            "for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x)"
            "for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x)"
            f" {name}({', '.join(p.replace('*', ' ').split()[-1] for p in text.split(','))}); }}\n"
            for name, text in re.findall(r"__global__ void (\w+)\(([^)]*)\)", code)
        )
        (folder / "kernels.cpp").write_text(PRELUDE + code + runners)
        self.real = next(option.removeprefix("-Dreal=") for option in options if option.startswith("-Dreal="))
        # -Bsymbolic: the C library has an `advance` of its own
        command = [compiler, "-O1", "-shared", "-fPIC", "-Wl,-Bsymbolic", *options, "kernels.cpp", "-o", "kernels.so"]
        subprocess.run(command, cwd=folder, check=True)
        self.library = ctypes.CDLL(str(folder / "kernels.so"))
        shutil.rmtree(folder)

    def get_function(self, name):
        """Return a kernel as (grid, block, arguments) -> None."""
        function, parameters = getattr(self.library, f"run_{name}"), self.parameters[name]

        def launch(grid, block, arguments):
            assert len(arguments) == len(parameters), f"{name} takes {len(parameters)} arguments, not {len(arguments)}"
            converted = [self.convert(name, p, x) for p, x in zip(parameters, arguments)]
            function(grid[0], block[0], *converted)

        return launch

    def convert(self, name, parameter, x):
        """Turn an argument into C's, refusing one of another type or size than the parameter."""
        wanted = parameter.replace("const ", "").replace("real", self.real).strip()
        if wanted.endswith("*"):
            if isinstance(x, np.uint64):
                assert x == 0, f"{name}: {parameter} is given a number"
                return ctypes.c_void_p(None)
            assert isinstance(x, ndarray), f"{name}: {parameter} must be on the device, but is {type(x)}"
            kind = {"unsigned char*": np.uint8}.get(wanted) or C_TYPES[wanted.rstrip("*").strip()]
            assert x.dtype == kind, f"{name}: {parameter} is given {x.dtype}"
            return ctypes.c_void_p(x.ctypes.data)
        assert type(x) is C_TYPES[wanted], f"{name}: {parameter} is given {type(x)}"
        return {
            "int": ctypes.c_int32, "long long": ctypes.c_int64, "float": ctypes.c_float, "double": ctypes.c_double
        }[wanted](x)  # fmt: skip


def gemm(transa, transb, a, b, out, alpha, beta):
    """Compute out = alpha op(a) op(b) + beta out, as cuBLAS does; with beta = 0 out is not read."""
    product = (a.T if transa == "T" else a) @ (b.T if transb == "T" else b)
    out[:] = alpha * product + (0 if beta == 0 else beta * np.asarray(out))


def module():
    """Return what stands for the modules ``cupy`` and ``cupy.cublas``, by name."""
    cublas = types.SimpleNamespace(gemm=gemm)
    cupy = types.ModuleType("cupy")
    cupy.ndarray, cupy.array, cupy.asnumpy, cupy.RawModule, cupy.cublas = ndarray, array, asnumpy, RawModule, cublas
    return {"cupy": cupy, "cupy.cublas": cublas}
