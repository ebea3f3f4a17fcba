"""Properties that hold for what Hypothesis draws: kernels, data sets, saved files, the command line."""

import gzip
import itertools
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pure_python import PurePython
from sampling import WHOLE

import fastae
from fastae import cli, figures, storage
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check import bounds
from fastae.check.calls import cases
from fastae.datasets import read_idx
from fastae.errors import CheckpointError, DataError

# The same examples in every run: a change that breaks a property fails at once, and no other change fails.
steady = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100 if WHOLE else 20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few = settings(steady, max_examples=30 if WHOLE else 3)

pytestmark = pytest.mark.larger

HERE = {"numpy": fastae.backends.get("numpy"), "numba": fastae.backends.get("numba"), "pure-python": PurePython()}
DTYPES = ("float32", "float64")


# Kernels.

lengths = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 80, 127, 129]))
scalars = st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(-4, 4).map(lambda x: round(x, 2)))


@st.composite
def patches(draw: Callable[..., Any], name: str) -> dict[str, int]:
    """Draw a few images and where their patches lie."""
    kernel = draw(st.integers(1, 5), "kernel")
    padding = draw(st.integers(0, kernel - 1), "padding")
    side = st.integers(max(1, kernel - 2 * padding), 8)
    chosen = {"height": draw(side, "height"), "width": draw(side, "width"), "kernel": kernel, "padding": padding}
    chosen |= {key: draw(st.integers(1, 3), key) for key in ("stride", "m", "channels")}
    return chosen | ({"c": draw(st.integers(1, 18), "c")} if name == "convolve" else {})


def laid_out(draw: Callable[..., Any], array: np.ndarray) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Lay an array in a larger one, with any number of rows and columns around it: strides that a view may have."""
    margins = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(array.ndim)]
    around = np.pad(array, margins, constant_values=np.nan if array.dtype.kind == "f" else 77)
    return around, tuple(slice(before, before + n) for (before, _), n in zip(margins, array.shape))


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"advance"}))
@pytest.mark.parametrize("backend", HERE)
@few
@given(data=st.data())
def test_a_kernel_is_within_its_bound(backend: str, name: str, data: st.DataObject) -> None:
    """Of any shapes, strides, alpha, beta and dtype; nothing but the output is touched, and nothing returned."""
    k, draw, dtype = HERE[backend], data.draw, data.draw(st.sampled_from(DTYPES))
    short = st.integers(1, 9) if backend == "pure-python" else lengths
    letters = {letter for shape in KERNELS[name].shapes.values() for letter in shape}
    chosen: dict[str, Any] = draw(patches(name)) if name in PATCHES else {x: draw(short, x) for x in sorted(letters)}
    parameters = KERNELS[name].parameters.parameters
    chosen |= {key: draw(st.booleans(), key) for key in ("trans_a", "trans_b") if key in parameters}
    chosen |= {key: draw(scalars, key) for key in ("alpha", "beta", "scale") if key in parameters}
    given_ = cases.make(name, dtype, seed=draw(st.integers(0, 2**20)), **chosen)
    exact, bound = cases.expected(name, given_, dtype)

    laid = {key: laid_out(draw, array) for key, array in given_.items() if isinstance(array, np.ndarray)}
    for key in ("order", "cursor"):  # vectors of whole numbers, of which an entry more would be a case of its own
        if key in laid:
            laid[key] = (given_[key].copy(), (slice(None),))
    written, before = cases.WRITTEN.get(name, "out"), {key: around.tobytes() for key, (around, _) in laid.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert getattr(k, name)(**given_ | {key: around[inner] for key, (around, inner) in laid.items()}) is None
    around, inner = laid[written]
    found = around[inner].astype(np.float64)
    around[inner] = given_[written]
    assert {key: array.tobytes() for key, (array, _) in laid.items()} == before
    assert bounds.accepts(found, exact, bound)


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"advance", "gather"}))
@pytest.mark.parametrize("backend", HERE)
def test_a_kernel_takes_a_column_of_any_matrix(backend: str, name: str) -> None:
    """NumPy 2.4.6 negates every fourth float in place wrongly where there is AVX-512."""
    for width, dtype in itertools.product(range(1, 18), DTYPES):
        pixel = {"height": 1, "width": 1, "kernel": 1, "stride": 1, "padding": 0, "channels": 1, "c": 1}
        given_ = cases.make(name, dtype, width, m=5, k=1, n=1, **{"...": 1}, **pixel, alpha=0.5)
        exact, bound = cases.expected(name, given_, dtype)
        laid = {key: x for key, x in given_.items() if isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] == 1}
        laid = {key: np.repeat(x, width, axis=1)[:, width // 2 :][:, :1] for key, x in laid.items()}
        given_ |= laid
        getattr(HERE[backend], name)(**given_)
        assert bounds.accepts(given_[cases.WRITTEN.get(name, "out")].astype(np.float64), exact, bound), (width, dtype)


# Data sets.


@steady
@given(
    magic=st.sampled_from([0x0801, 0x0803, 0x0803, 0x0C03, 0x0304]),
    dims=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    more=st.integers(-3, 3),
    ndim=st.sampled_from([1, 3]),
    zipped=st.booleans(),
)
@example(magic=0x0803, dims=[2, 3, 2], more=0, ndim=3, zipped=True)
@example(magic=0x0801, dims=[3], more=0, ndim=1, zipped=False)
def test_a_file_is_read_exactly_if_it_is_what_its_header_says(
    tmp_path_factory: pytest.TempPathFactory, magic: int, dims: list[int], more: int, ndim: int, zipped: bool
) -> None:
    size = max(0, int(np.prod(dims)) + more)
    content = struct.pack(f">{1 + len(dims)}I", magic, *dims) + bytes(range(size))
    path = tmp_path_factory.getbasetemp() / f"claim{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content) if zipped else content)
    held = len(content) - 4 - 4 * ndim  # bytes of data, to a reader of ndim dimensions
    header = struct.unpack(f">{ndim}I", content[4 : 4 + 4 * ndim]) if held >= 0 else (0,)
    sound = magic == 0x0800 + ndim and 0 not in header and int(np.prod(header)) == held
    if sound:
        np.testing.assert_array_equal(read_idx(path, ndim).ravel(), np.frombuffer(content[4 + 4 * ndim :], np.uint8))
    else:
        with pytest.raises(DataError):
            read_idx(path, ndim)


# Saved files.

any_array = st.sampled_from(["<f2", "<f4", "<f8", ">f4", "|u1", "<i8", "|b1", "<c8"]).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@steady
@given(
    arrays=st.dictionaries(st.from_regex(r"[a-z_]{1,8}[0-9]?", fullmatch=True), any_array, max_size=4),
    config=st.dictionaries(st.text(max_size=5), json, max_size=3),
    fortran=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray], config: dict[str, Any], fortran: bool
) -> None:
    """Any numbers of any shape, to the bit, as arrays of their own in C order."""
    arrays = {name: array for name, array in arrays.items() if name not in ("config", "sha256", "file")}
    config.pop("kind", None)
    path = tmp_path_factory.getbasetemp() / "anything.npz"
    given_ = {name: np.asfortranarray(array) if fortran and array.ndim else array for name, array in arrays.items()}
    storage.write(path, "thing", config, given_)
    found_config, found = storage.read(path, "thing")
    assert found_config == config
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.c_contiguous
        assert found[name].flags.writeable
    with pytest.raises(CheckpointError, match="holds a thing, not a model"):
        storage.read(path, "model")


# The command line.

NUMBERS = ["0", "1", "-1", "3", "1.5", "nan", "inf", "-inf", "1e-400", "1e39", "1e400", "x", "", "١", " 2 ", "1_0"]
NUMBERS += ["9" * 30, "9" * 5000, "\udcff", "a\nb", "0x10"]
WORDS = ["", "x", "mse\n", "-", "--", "é", "\udcff", "\0", "a" * 300, "../..", "f4", "object", "float16", "(2,)f4"]
OPTIONS = {
    "--backend": [*["numpy"] * 9, "numba", "cupy", "auto", *WORDS],
    "--loss": ["mse", "bce", *WORDS],
    "--epochs": ["1", "1", "2", "0", "-1", "1.5", "x", "", "٢", "9" * 5000],  # no millions: it would train them
    "--batch-size": NUMBERS,
    "--lr": ["0.1", "0.01", *NUMBERS],
    "--momentum": ["0.5", "0.999", *NUMBERS],
    "--init": ["glorot-sigmoid", "0.1", *NUMBERS, *WORDS],
    "--dtype": ["float32", "float64", *WORDS],
    "--seed": NUMBERS,
    "--threads": ["1", "2", *NUMBERS],
    "--mode": ["captured", *WORDS],
    "--limit": ["1", "5", *NUMBERS],
    "--data": ["absent", "data", "data/t10k-labels-idx1-ubyte", *WORDS],
    "--out": ["results", "results", "data/t10k-labels-idx1-ubyte", *WORDS],
    "--kernels": ["absent.py", "data", *WORDS],
    "--tf32": [None],
    "--resume": [None],
    "--help": [None],
    "--unknown": [None],
}
RARE = {"--kernels", "--mode", "--tf32", "--help", "--unknown", "--threads"}
one_option = st.sampled_from([name for name in OPTIONS for _ in range(1 if name in RARE else 4)]).flatmap(
    lambda name: st.sampled_from(OPTIONS[name]).map(lambda value: [name] if value is None else [f"{name}={value}"])
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set of twelve images of 2 by 2 pixels; pictures take seconds: none are drawn."""
    (tmp_path / "data").mkdir()
    for prefix in ("train", "t10k"):
        for kind, dims in (("images", (12, 2, 2)), ("labels", (12,))):
            content = struct.pack(f">{1 + len(dims)}I", 0x0800 + len(dims), *dims) + bytes(range(int(np.prod(dims))))
            (tmp_path / "data" / f"{prefix}-{kind}-idx{len(dims)}-ubyte").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for name in ("reconstructions", "loss_curve"):
        monkeypatch.setattr(figures, name, lambda *args, **more: None)
    return tmp_path


def ends_well(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Run a command; it must end with 0, or 2 and one line, and no traceback: an exception fails the test."""
    capsys.readouterr()
    stdout = sys.stdout
    sys.stderr.reconfigure(errors="backslashreplace")  # as a process has it
    try:
        status = cli.main(arguments)
    except SystemExit as end:  # argparse's
        status = end.code
    if sys.stdout is not stdout:  # a name that cannot be printed: the rest goes nowhere
        sys.stdout.close()
        sys.stdout = stdout
    told = capsys.readouterr()
    assert status in (0, 2), arguments
    assert "Traceback" not in told.err
    if status == 2:
        assert len(told.err.splitlines()) == 1, (arguments, told.err)
        assert told.err.startswith("fastae"), (arguments, told.err)
    return status


@settings(steady, max_examples=200 if WHOLE else 30)
@given(options=st.lists(one_option, max_size=4))
@example(options=[["--out=a\0b"]])
@example(options=[["--batch-size=999999999999"]])
@example(options=[["--data=--"]])
@example(options=[["--epochs=--"]])
@example(options=[["--resume"], ["--epochs=2"]])
def test_train_ends_well_whatever_its_options(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[list[str]]
) -> None:
    usual = ["train", "--backend=numpy", "--data=data", "--limit=8", "--epochs=1", "--out=results", "--no-progress"]
    ends_well([*usual, *(part for option in options for part in option)], capsys)


@few
@given(command=st.sampled_from(["check", "ladder", "exercise", "bench", "doctor", "", "x"]), words=st.lists(st.text()))
def test_other_commands_refuse_nonsense_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    assert ends_well([command, *(f"--{word}" for word in words), "--no-such-option"], capsys) == 2
