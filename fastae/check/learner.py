"""A file of kernels as a backend. Kernels that the file does not define come from the backend to which it belongs.

- A Python file has functions with the names of kernels of the contract. Plain functions are run by the interpreter,
  beside the kernels of the numpy backend. If all of them are compiled by Numba, they are compiled into the step, beside
  the kernels of the numba backend.
- A ``.cu`` file has such kernels in CUDA, run on the emulator or a GPU.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastae import backends
from fastae.backends.base import Backend, Parameters, Session
from fastae.backends.contract import KERNELS, check_arguments
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.cupy_backend.launcher import NUMBERS
from fastae.backends.emulator import EmulatorBackend
from fastae.backends.emulator.declared import misdeclared
from fastae.backends.emulator.refusals import lacking_headers
from fastae.backends.emulator.source import CompileError, Parameter, kernels_of
from fastae.backends.numba_backend import NumbaBackend
from fastae.backends.numpy_backend import NumpyBackend
from fastae.check.file import python_file
from fastae.check.file.failure import KernelFailed, describe_failure
from fastae.check.file.launch_comments import SHARED, launch_of, launches_of, lengths_of
from fastae.check.file.reading import read_source
from fastae.check.sandbox import cuda_policy
from fastae.cuda.includes import shown_name
from fastae.errors import FastaeError, InputError
from fastae.operations import make_operations


def load(path: str | Path, backend: str = "auto", text: str | None = None) -> Backend:
    """Read a file of kernels.

    Parameters
    ----------
    path : path-like
        ``.py`` or ``.cu``.
    backend : str
        For a ``.cu`` file, ``"emulator"`` or ``"cupy"``; ``"auto"`` is cupy where a GPU works.
    text : str, optional
        The text of the file, if it has been read.

    Returns
    -------
    Backend
        With attributes ``kernels``, a tuple of the names that the file defines, and ``origin``, its name and checksum.

    Raises
    ------
    InputError
        There is no such file, it raises an exception, or it defines no kernel of the contract.
    BackendUnavailable
        The backend of a ``.cu`` file cannot run here.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastae.check.learner import load
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.py")
    ...     _ = path.write_text("def axpy(alpha, x, y): y += alpha * x")
    ...     learner = load(path)
    >>> learner.kernels, learner.name
    (('axpy',), 'numpy')
    """
    path = Path(path)
    text = read_source(path) if text is None else text
    if path.suffix == ".cu":
        learner: Any = _cuda(path, text, cuda_backend(path, backend))
    else:
        learner = _python(path, text)
        if backend not in ("auto", learner.name):
            raise InputError(f"the kernels in {path} belong to the backend {learner.name!r}, not {backend!r}")
    learner.source, learner.origin = text, origin(path, text)
    return learner


def origin(path: Path, text: str) -> str:
    """Return the name of a file and the checksum of its text, in words."""
    return f"{path.name} with checksum {zlib.crc32(text.encode()):08x}"


def cuda_backend(path: Path, backend: str) -> str:
    """Return the name of the backend that runs a ``.cu`` file; raises `InputError` or `BackendUnavailable`."""
    if backend == "auto":
        backend = "cupy" if backends.availability()["cupy"].ok else "emulator"
    if backend not in ("cupy", "emulator"):
        raise InputError(f"the kernels in {path} run on cupy or emulator, not on {backend!r}")
    backends.get(backend)  # raises if it cannot run here
    return backend


def _python(path: Path, text: str) -> Backend:
    functions = python_file.load(path, text, tuple(KERNELS))
    require(functions, path)
    for name, function in functions.items():
        check_signature(path, name, python_file.parameters_of(function))
    return (NumbaLearner if python_file.are_compiled(functions) else NumpyLearner)(functions, path)


def require(found: Any, path: Path, has: str = "") -> None:
    """Raise `InputError` for a file without kernels, with what it has instead."""
    if not found:
        has = f" ({has})" if has else ""
        raise InputError(f"{path} defines no kernel of the contract{has}; their names are: {', '.join(KERNELS)}")


def check_signature(path: Path, name: str, found: list[str] | None) -> None:
    """Raise `InputError` for parameters other than the contract's; defaults may be left out."""
    if found is None:
        raise InputError(f"{path}: {name} must be a function {KERNELS[name].signature} in Python")
    if found != list(KERNELS[name].arguments):
        raise InputError(f"{path}: {name} must be {KERNELS[name].signature}, not {name}({', '.join(found)})")


class _Learner(Backend):
    """A backend some of whose kernels are the functions of a file; a call checks and completes their arguments."""

    kernels: tuple[str, ...] = ()
    language = ""  # "python", "numba" or "cuda"
    plain: dict[str, Any]  # the functions as the file has them, without checks
    origin = ""
    source = ""  # the file's text

    def _bind(self, functions: dict[str, Any], path: Path, called: Any = lambda function: function) -> None:
        self.kernels, self.plain, self.path = tuple(functions), functions, path
        for name, function in functions.items():
            setattr(self, name, _complete(name, called(function), str(path)))

    def operations(self, loss: str, activation: str = "sigmoid", kinds: Sequence[str] = ("dense",)) -> dict[str, Any]:
        """Compose the step's operations from the kernels, so that training uses those of the file."""
        return make_operations(self, loss, activation, kinds)


def _complete(name: str, function: Any, file: str) -> Any:
    """Return a kernel that checks its arguments, completes them with defaults, and passes all by position."""
    signature = KERNELS[name].parameters

    def kernel(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        check_arguments(name, bound.arguments, on_device=True)
        try:
            return function(*bound.arguments.values())
        except FastaeError:
            raise
        except (Exception, SystemExit) as error:  # whatever a learner's code may raise
            raise KernelFailed(name, describe_failure(error, file)) from error

    return kernel


class NumpyLearner(_Learner, NumpyBackend):
    """Plain functions, beside the kernels of the numpy backend."""

    language = "python"

    def __init__(self, functions: dict[str, Any], path: Path) -> None:
        self._bind(functions, path)

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> Session:
        """Return a session that trains with the composed step, in the interpreter."""
        return Session(self, parameters, images, **options)


class NumbaLearner(_Learner, NumbaBackend):
    """Functions compiled by Numba, beside the kernels of the numba backend."""

    language = "numba"

    def __init__(self, functions: dict[str, Any], path: Path) -> None:
        super().__init__()
        self._bind(functions, path, python_file.seldom_compiled)

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> Session:
        """Return a session that trains with the composed step, compiled as a whole, on one thread."""
        from fastae.backends.numba_backend.composed import ComposedSession

        return ComposedSession(self, parameters, images, **options)


def cuda_kernels(path: Path, text: str) -> dict[str, list[Parameter]]:
    """Return the contract's kernels in a ``.cu`` file with their parameters; raises `InputError` for wrong ones."""
    if wrong := misdeclared(text, path.name):
        raise InputError(wrong)
    found = {name: parameters for name, parameters in kernels_of(text).items() if name in KERNELS}
    others = ", ".join(kernels_of(text, templates=True))
    require(found, path, f"its kernels are {others}" if others else "it has no __global__ function")
    launches_of(text, path.name)
    return found


def _cuda(path: Path, text: str, backend: str) -> Backend:
    found = cuda_kernels(path, text)
    kind = type("CudaLearner", (_CudaLearner, CupyBackend if backend == "cupy" else EmulatorBackend), {})
    return kind(path, text, found)


class _CudaLearner(_Learner):
    """Kernels of a ``.cu`` file, whose parameters are found by their names.

    An array ``x`` of the contract is ``x``, and its row stride in elements ``x_stride``. A number ``alpha`` is
    ``alpha``; ``alpha_at`` is an address on the device that holds the number instead, unless it is null. Lengths are
    the contract's letters, or ``rows``, ``cols`` and ``depth``. The whole numbers of a kernel for images, ``height``,
    ``width``, ``kernel``, ``stride`` and ``padding``, are of any integer type, and may be used in a launch comment.
    ``real`` is the type of the floats. A comment

        // launch matmul: grid (ceil(n / 32), ceil(m / 32)), block (16, 16), shared (16 * k)

    says how a kernel is launched, and how many bytes of dynamic shared memory (``extern __shared__``) each block has.
    ``/`` divides whole numbers as in C++, except within ``ceil`` and ``floor``. Without a comment, a launch has blocks
    of 256 threads, a thread for each element of the output.
    """

    language = "cuda"

    def __init__(self, path: Path, text: str, kernels: dict[str, list[Parameter]]) -> None:
        super().__init__()
        self.path, self.source = path, text
        self._modules: dict[Any, Any] = {}
        functions = {}
        for name, parameters in kernels.items():
            known = set(self._values(name, dict.fromkeys(KERNELS[name].arguments), {}, np.dtype("f4")))
            unknown = [p.name for p in parameters if p.name not in known]
            if unknown:
                raise InputError(
                    f"{path}: {name} has the parameter {unknown[0]!r}; it may have: {', '.join(sorted(known))}"
                )
            functions[name] = self._launcher(name, parameters)
        self._bind(functions, path)

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> Session:
        """Return a session that trains with the composed step, launch by launch."""
        for option in ("mode", "tf32"):
            if options.pop(option, None) not in (None, False, "eager"):
                raise InputError(f"kernels of one's own are launched one by one, in float32: leave out --{option}")
        return Session(self, parameters, images, **options)

    def _launcher(self, name: str, parameters: list[Parameter]) -> Any:
        def launch(*arguments: Any) -> None:
            named = dict(zip(KERNELS[name].arguments, arguments))
            floats = (named[x].dtype for x in ("a", "z", "delta", "x", "out") if x in named)
            real = np.dtype(next((dtype for dtype in floats if dtype.kind == "f"), np.float32))
            lengths = lengths_of(name, named)
            values = self._values(name, named, lengths, real)
            grid, block, shared = launch_of(self.source, name, named, self.path)
            if 0 in grid or 0 in lengths.values():
                return
            function = self._function(name, real)
            if shared > SHARED:
                function.max_dynamic_shared_size_bytes = shared
            function(grid, block, tuple(_declared(p, values[p.name]) for p in parameters), shared_mem=shared)

        return launch

    def _values(self, name: str, named: dict[str, Any], lengths: dict[str, int], real: np.dtype[Any]) -> dict[str, Any]:
        """Return the values of all parameters that a kernel may have, by name."""
        letters = {letter for shape in KERNELS[name].shapes.values() for letter in shape if letter.isalpha()}
        if name == "axpy":
            letters = {"m", "n"}
        synonyms = {"rows": "m", "cols": "n", "depth": "k"}
        values: dict[str, Any] = {letter: np.int32(lengths.get(letter, 0)) for letter in letters}
        values |= {word: values[letter] for word, letter in synonyms.items() if letter in values}
        for key, x in named.items():
            if key in NUMBERS:
                values[key], values[f"{key}_at"] = self.launcher.number(name, key, 0 if x is None else x, real)
            elif key in KERNELS[name].shapes:
                values[key] = x
                gaps = x.strides[0] // x.itemsize if x is not None and x.ndim == 2 else 0  # 0 for a vector
                values[f"{key}_stride"] = np.int64(gaps)
            else:
                values[key] = np.int32(x or 0) if key.startswith("trans") else np.int64(x or 0)
        return values

    def _function(self, name: str, real: np.dtype[Any]) -> Any:
        if real not in self._modules:
            cupy: Any = self.launcher.cupy
            code = compiled_text if self.name == "emulator" else named
            self._modules[real] = cupy.RawModule(code=code(self.path, self.source), options=options_of(real))
        return self._modules[real].get_function(name)


def named(path: Path, text: str) -> str:
    """Return the text of a ``.cu`` file with its name and first line, for messages of a compiler."""
    return f'#line 1 "{shown_name(path.name)}"\n{text}'


def compiled_text(path: Path, text: str) -> str:
    """Return the text as the emulator compiles it, without CUDA's headers, whose contents the emulator provides."""
    if lacking := lacking_headers(text, path.name):
        raise CompileError(lacking)
    return named(path, cuda_policy.without_headers(text))


def options_of(real: Any) -> tuple[str, ...]:
    """Return the compiler options for a dtype of the floats."""
    return (f"-Dreal={'float' if np.dtype(real) == np.float32 else 'double'}",)


WHOLE: dict[str, Any] = {  # dtypes of C++'s whole numbers, by their declarations
    **dict.fromkeys(("int", "int32_t", "signed", "signed int"), np.int32),
    **dict.fromkeys(("unsigned", "unsigned int", "uint", "uint32_t"), np.uint32),
    **dict.fromkeys(("long", "long int", "long long", "long long int", "int64_t", "ptrdiff_t", "ssize_t"), np.int64),
    **dict.fromkeys(("unsigned long", "unsigned long long", "uint64_t", "size_t", "std::size_t"), np.uint64),
    "bool": np.bool_,
}


def _declared(parameter: Parameter, value: Any) -> Any:
    """Return a whole number in the type that the kernel declares; any other value as it is."""
    return WHOLE[parameter.type](value) if isinstance(value, np.integer) and parameter.type in WHOLE else value
