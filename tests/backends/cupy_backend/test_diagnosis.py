"""What the cupy backend says where it cannot run.

The CuPy that is found here is one that fails in the way to be told.
"""

import importlib.metadata
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from registry import forget_backends as forget

from fastae import backends
from fastae.backends import Availability
from fastae.errors import BackendUnavailable

PACKAGE = {
    "cupy/__init__.py": """
        class _One:
            def __add__(self, other): return self
            def item(self): return 1.0
        def zeros(n): return _One()
        """,
    "cupy/cuda/__init__.py": """
        class Device:
            attributes = {"MultiProcessorCount": 132}
        """,
    "cupy/cuda/runtime.py": """
        class CUDARuntimeError(RuntimeError): pass
        def driverGetVersion(): return 13000
        def runtimeGetVersion(): return 13000
        def getDeviceCount(): return 1
        """,
    "cupy/cuda/nvrtc.py": "def getVersion(): return (13, 0)",
}
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package ``cupy`` where Python looks first; its files as above, but for what is added to them."""

    def is_cupys(name: str) -> bool:
        return name == "cupy" or name.startswith("cupy.")

    def install(**additions: str) -> None:
        for path, source in PACKAGE.items():
            stem = path.removeprefix("cupy/").removesuffix(".py").replace("/", "_")
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(textwrap.dedent(source) + "\n" + textwrap.dedent(additions.pop(stem, "")))
        assert not additions
        monkeypatch.syspath_prepend(tmp_path)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if is_cupys(name)}
    forget()
    yield install
    for name in [name for name in sys.modules if is_cupys(name)]:
        del sys.modules[name]
    sys.modules.update(kept)
    monkeypatch.undo()
    forget()


def assert_unavailable(reason: str, remedy: str) -> None:
    """`availability` says this, `get` says it in one line, and auto makes do with Numba."""
    assert backends.availability()["cupy"] == Availability(False, reason, remedy)
    with pytest.raises(BackendUnavailable) as caught:
        backends.get("cupy")
    assert str(caught.value) == f"the backend 'cupy' cannot run here: {reason} ({remedy})"
    assert len(str(caught.value).splitlines()) == 1
    assert backends.get("auto").name == "numba"


def test_a_gpu_that_works_is_what_auto_takes(install: Install) -> None:
    """The package that the failures below are made from is one that works."""
    install()
    assert backends.availability()["cupy"] == Availability(True)
    assert backends.get("auto").name == "cupy"


@pytest.mark.parametrize("where", ["__init__", "cuda_nvrtc"])
def test_a_warning_is_no_reason(where: str, install: Install) -> None:
    """These tests make errors of warnings; a GPU must not seem to be missing for one, or its tests would be skipped."""
    install(**{where: "import warnings; warnings.warn('NumPy is newer than this CuPy', FutureWarning)"})
    with pytest.warns(FutureWarning, match="NumPy is newer"):
        assert backends.availability()["cupy"] == Availability(True)


@pytest.mark.usefixtures("install")
def test_without_cupy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    assert_unavailable(
        "CuPy is not installed",
        "pip install 'fastae[cuda13]' with a driver of at least 580, or 'fastae[cuda12]' with 525",
    )


IMPORT = "install one CuPy wheel alone: pip list | grep cupy"
CACHE = "set CUPY_CACHE_DIR to a folder that can be written"
FAILURES: dict[str, tuple[dict[str, str], str, str]] = {  # what is added to the package, the reason and the remedy
    "import fails": (
        {"__init__": "raise ImportError('libcudart.so.12: cannot open\\nshared object file')"},
        "CuPy is installed but does not import: ImportError: libcudart.so.12: cannot open",
        IMPORT,
    ),
    "import fails without a word": (
        {"cuda___init__": "raise AttributeError"},
        "CuPy is installed but does not import: AttributeError: ",
        IMPORT,
    ),
    "no home": (
        {"__init__": "import errno; raise NotADirectoryError(errno.ENOTDIR, 'Not a directory', '/dev/null/.cupy')"},
        "CuPy cannot write its cache: Not a directory: /dev/null/.cupy",
        CACHE,
    ),
    "a home that is read only": (
        {"__init__": "def zeros(n): raise PermissionError(13, 'Permission denied', '/nowhere/.cupy/kernel_cache')"},
        "CuPy cannot write its cache: Permission denied: /nowhere/.cupy/kernel_cache",
        CACHE,
    ),
    "no driver": (
        {"cuda_runtime": "def driverGetVersion(): return 0"},
        "no NVIDIA driver was found",
        "install the driver, or take --backend numba",
    ),
    "old driver": (
        {"cuda_runtime": "def driverGetVersion(): return 12080"},
        "the NVIDIA driver supports CUDA 12, but this CuPy needs 13",
        "update the driver to at least 580, or install 'fastae[cuda12]'",
    ),
    "device count fails": (
        {"cuda_runtime": "def getDeviceCount(): raise CUDARuntimeError('cudaErrorNoDevice: no device')"},
        "the NVIDIA driver finds no usable device: CUDARuntimeError: cudaErrorNoDevice: no device",
        "see nvidia-smi",
    ),
    "no device": (
        {"cuda_runtime": "def getDeviceCount(): return 0"},
        "the NVIDIA driver finds no device",
        "see nvidia-smi",
    ),
    "no nvrtc": (
        {"cuda_nvrtc": "def getVersion(): raise RuntimeError('libnvrtc.so.13 not found')"},
        "a CUDA library is missing: RuntimeError: libnvrtc.so.13 not found",
        "pip install 'cuda-toolkit[nvrtc,cudart]==13.*'",
    ),
    "no nvrtc of CUDA 12": (
        {
            "cuda_runtime": "def driverGetVersion(): return 12090\ndef runtimeGetVersion(): return 12090",
            "cuda_nvrtc": "raise ImportError('libnvrtc.so.12')",
        },
        "a CUDA library is missing: ImportError: libnvrtc.so.12",
        "pip install 'cuda-toolkit[nvrtc,cudart]==12.*'",
    ),
    "first operation fails": (
        {"__init__": "def zeros(n): raise MemoryError('out of memory\\nallocating 512 bytes')"},
        "the first operation on the GPU failed: MemoryError: out of memory",
        "see nvidia-smi",
    ),
}


@pytest.mark.parametrize(("additions", "reason", "remedy"), FAILURES.values(), ids=FAILURES)
def test_each_failure_has_its_own_reason_and_remedy(
    additions: dict[str, str], reason: str, remedy: str, install: Install
) -> None:
    install(**additions)
    assert_unavailable(reason, remedy)


@pytest.mark.parametrize("visible", ["", "7"])
def test_a_device_that_the_environment_hides(visible: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(cuda_runtime="def getDeviceCount(): raise CUDARuntimeError('cudaErrorNoDevice')")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert_unavailable(
        "the NVIDIA driver finds no usable device: CUDARuntimeError: cudaErrorNoDevice",
        f"CUDA_VISIBLE_DEVICES is {visible!r}: unset it",
    )


def test_only_extras_that_exist_are_told(install: Install) -> None:
    install(cuda_runtime="def driverGetVersion(): return 11080")
    told = set(re.findall(r"fastae\[(\w+)\]", backends.availability()["cupy"].remedy))
    extras = set(importlib.metadata.metadata("fastae").get_all("Provides-Extra") or [])
    assert {"cuda12", "cuda13"} <= extras
    assert told <= extras
