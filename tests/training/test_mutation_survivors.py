"""Mutants that the other tests let live; see tests/attacks/MUTATION.md."""

import gzip
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_datasets import IMAGES, LABELS, header, refusal
from test_step import close, images, start, train

from fastae import Autoencoder, storage
from fastae.backends import get
from fastae.backends.base import Backend, Session
from fastae.backends.numpy_backend import NumpyBackend
from fastae.check import bounds
from fastae.check.calls import cases
from fastae.datasets import files, idx, load_dataset
from fastae.errors import CheckpointError, InputError

# The step.


class Composed(NumpyBackend):
    """NumPy's kernels with the step's own operations, as a backend has them on its first day."""

    operations = Backend.operations
    workspace = Backend.workspace


def composed(loss: str, momentum: float) -> Session:
    """Return a session of batches of 3 images, of which 7 make an epoch, in a network with three hidden layers."""
    p = start((20, 17, 9), momentum=bool(momentum))
    return Session(Composed(), p, images(20, 7), images(20, 5), loss, batch_size=3, lr=0.5, momentum=momentum)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_composed_operations_train_over_several_batches(loss: str, momentum: float) -> None:
    """With one batch every buffer holds zeros before, and what is added to it is as good as written."""
    s, data, p = composed(loss, momentum), images(20, 7), start((20, 17, 9), momentum=bool(momentum))
    order = np.array([4, 0, 6, 1, 5, 3, 2])
    for _ in range(2):
        s.start(order)
        s.run(2)
        s.finish()
        p = train(p, [data[order[i : i + 3]] / 255 for i in (0, 3, 6)], loss, 0.5, momentum)
    assert close(s.read(), p, 1e-12)


def test_every_operation_is_handed_what_the_worker_owns() -> None:
    """NumPy's barrier and forward need nothing of it; Numba's do."""
    mine, seen = object(), []

    class Watching(Composed):
        def workspace(self, size: int, dtype: Any) -> Any:
            return mine

        def operations(self, loss: str) -> dict[str, Any]:
            def watched(name: str, operation: Any) -> Any:
                def call(*arguments: Any) -> None:
                    seen.append((name, arguments[-1] is mine))
                    operation(*arguments)

                return call

            return {name: watched(name, operation) for name, operation in super().operations(loss).items()}

    s = Session(Watching(), start((20, 17, 9)), images(20, 3), images(20, 3), batch_size=3)
    s.start(np.arange(3))
    s.run(1)
    assert {name for name, _ in seen} == {"barrier", "forward", "output", "loss_gradient", "backward", "update"}
    s.test_error()
    assert all(handed for _, handed in seen)


# The reader of IDX files: every word that it says, and its edges.

AGAIN = "download or copy the file again"
SIX = header(1, 2, 3) + bytes(6)
ZIPPED = gzip.compress(SIX, mtime=0)
MESSAGES: dict[str, tuple[str, bytes, int, str]] = {
    "empty": ("f", b"", 3, f"is empty; expected an IDX file with a header of 16 bytes; {AGAIN}"),
    "cut in the header": ("f", SIX[:9], 3, f"ends after 9 bytes; expected an IDX header of 16 bytes; {AGAIN}"),
    "cut in the magic": ("f", SIX[:3], 1, f"ends after 3 bytes; expected an IDX header of 8 bytes; {AGAIN}"),
    "nothing but a magic": (
        "f",
        b"\x89\xff\xfe\xfd",
        3,
        "starts with magic number 0x89fffefd; expected 0x00000803 (images); give an IDX file of images as unsigned "
        "bytes",
    ),
    "labels": (
        "f",
        header(1) + b"\0",
        3,
        "starts with magic number 0x00000801; expected 0x00000803 (images); it looks like a file of labels: give the "
        "one of images",
    ),
    "gzip": (
        "f",
        ZIPPED,
        1,
        "starts with magic number 0x00000803; expected 0x00000801 (labels); it looks like a file of images: give the "
        "one of labels",
    ),
    "no data": (
        "f",
        header(0, 2, 3),
        3,
        "holds no data (its header says 0 x 2 x 3); expected sizes of at least 1; give a file with data",
    ),
    "short": ("f", SIX[:-1], 3, f"holds 5 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}"),
    "short gzip": (
        "f.gz",
        gzip.compress(SIX[:-1]),
        3,
        f"holds 5 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}",
    ),
    "long gzip": (
        "f.gz",
        gzip.compress(SIX + b"1"),
        3,
        f"holds more than 6 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}",
    ),
}


@pytest.mark.parametrize(("name", "content", "ndim", "words"), MESSAGES.values(), ids=MESSAGES)
def test_what_is_said_of_a_faulty_file(tmp_path: Path, name: str, content: bytes, ndim: int, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(name, lambda: idx.read_idx(path, ndim)) == f"{str(path)!r} {words}"


def test_what_is_said_of_paths(tmp_path: Path) -> None:
    def told(call: Callable[[], object]) -> str:
        return refusal("", call).replace(str(tmp_path), "DIR")

    names = f"{LABELS}, {LABELS.replace('-idx', '.idx')}, {LABELS}.gz, {LABELS.replace('-idx', '.idx')}.gz"
    remedy = "give the path of that folder, or none for the MNIST that ships with fastae"
    (tmp_path / "file").touch()
    assert told(lambda: idx.read_idx(tmp_path, 3)) == (
        "'DIR' is not a regular file; expected an IDX file, plain or .gz; remove it or give another path"
    )
    assert told(lambda: idx.read_idx(tmp_path / "no", 3)) == (
        "'DIR/no' cannot be read (No such file or directory); expected a readable IDX file; check path and permissions"
    )
    assert told(lambda: load_dataset(tmp_path / "no")) == (
        f"'DIR/no' cannot be listed (No such file or directory); expected a folder that holds {IMAGES}; {remedy}"
    )
    null = "embedded null byte" if sys.version_info < (3, 13) else "listdir: embedded null character in path"
    assert told(lambda: load_dataset("a\0b")) == (
        f"'a\\x00b' cannot be listed ({null}); expected a folder that holds {IMAGES}; {remedy}"
    )
    (tmp_path / IMAGES).write_bytes(SIX)
    assert told(lambda: load_dataset(tmp_path)) == (
        f"'DIR' lacks a file of train-labels; expected one of {names}; add it or give another folder"
    )
    (tmp_path / LABELS).write_bytes(header(2) + b"12")
    assert told(lambda: load_dataset(tmp_path)) == (
        f"'DIR/{IMAGES}' holds 1 images but 'DIR/{LABELS}' holds 2 labels; expected one label for each image; take "
        "both files from the same data set"
    )


@pytest.mark.parametrize("times", [0, 2])
def test_a_gzip_file_may_become_so_large_and_no_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """What any file may, or so many times its size if that is more."""
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(header(1, 20, 50) + bytes(1000)))
    size = path.stat().st_size
    most = max(999, times * size)
    monkeypatch.setattr(files, "HARMLESS", 1000)
    monkeypatch.setattr(files, "UNPACKED", times)
    assert idx.read_idx(path, 3).shape == (1, 20, 50)
    monkeypatch.setattr(files, "HARMLESS", 999)
    assert most < 1000
    assert refusal("f.gz", lambda: idx.read_idx(path, 3)) == (
        f"{str(path)!r} unpacks to more than {times} times its {size} bytes; expected images or labels; unpack it "
        "yourself if that is what it holds"
    )
    monkeypatch.setattr(files, "UNPACKED", 1000 // size + 1)
    assert idx.read_idx(path, 3).shape == (1, 20, 50)


def test_a_gzip_file_that_is_longer_in_its_second_chunk_is_refused(tmp_path: Path) -> None:
    path, n = tmp_path / "f.gz", files.CHUNK + 1000
    path.write_bytes(gzip.compress(header(n) + np.random.default_rng(0).bytes(n + 9), 1))
    assert f"holds more than {n:,} bytes of data" in refusal("f.gz", lambda: idx.read_idx(path, 1))


# NumPy's kernels.


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("alpha", [2.0, 1.0, -1.0])
@pytest.mark.parametrize("beta", [2.0, 1.0, 0.0])
@pytest.mark.parametrize("name", ["matmul", "column_sum"])
def test_factors_that_a_kernel_may_treat_apart(backend: str, name: str, alpha: float, beta: float) -> None:
    given = cases.make(name, "float64", m=9, k=6, n=21, alpha=alpha, beta=beta)
    exact, bound = cases.expected(name, given, "float64")
    assert bounds.accepts(cases.call(get(backend), name, given).found, exact, bound)


@pytest.mark.parametrize("name", ["mse_loss", "bce_loss"])
def test_numpys_losses_are_summed_in_float64(name: str) -> None:
    """The bound would let a sum in float32 pass; a data set's loss is a sum over 47 million pixels."""
    given = cases.make(name, "float32", m=4, n=784)
    z, x = given["z"], given["x"]
    if name == "mse_loss":
        terms = np.square(z - x)
    else:
        with np.errstate(divide="ignore"):
            terms = -(x * np.maximum(np.log(z), -100) + (1 - x) * np.maximum(np.log1p(-z), -100))
    exact = terms.astype(np.float64).sum(axis=1)
    getattr(NumpyBackend(), name)(**given)
    np.testing.assert_allclose(given["out"], exact, rtol=1e-13)
    assert np.all(abs(terms.sum(axis=1) - exact) > 1e-10 * exact)  # which float32 does not reach


def test_numpys_own_operations_and_their_workspace() -> None:
    k = NumpyBackend()
    assert k.workspace(5, "float32").dtype == np.float32
    made = {"gather", "forward", "output", "loss_gradient", "backward", "update", "barrier"}
    assert set(k.operations("mse")) == made
    given = cases.make("gather", "float32", m=4, n=6) | {"offset": 2}
    exact, bound = cases.expected("gather", given, "float32")
    k.operations("mse")["gather"](**given)
    assert bounds.accepts(given["out"].astype(np.float64), exact, bound)


# The model.


def test_a_model_begins_on_numpy_and_refuses_what_no_array_may_be() -> None:
    assert Autoencoder((4, 2)).backend == "numpy"
    for n in (2**31, 2**31 + 1, 10**30):
        with pytest.raises(InputError, match="positive whole numbers"):
            Autoencoder((n, 2))
    model = Autoencoder.__new__(Autoencoder)
    model._settle((2**31 - 1, 2**31 - 1), 0, "float32", 0.5)  # as much as can be asked for; nothing is drawn
    assert model.shapes() == [(2**31 - 1, 2**31 - 1)] * 2


@pytest.mark.parametrize("sizes", [(4, 2), (30, 20)])
def test_parameters_that_overflow_are_an_error_and_no_warning(sizes: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="must be small enough for float32; got 1e\\+300"):
            Autoencoder(sizes, init=1e300)


@pytest.mark.parametrize("changed", ["weight1", "bias1"])
def test_a_file_that_lacks_a_parameter_says_which_and_where(tmp_path: Path, changed: str) -> None:
    model, path = Autoencoder((4, 2)), tmp_path / "model"
    config = {"sizes": model.sizes, "seed": 0, "dtype": "float32", "init": 0.5}
    arrays = storage.numbered(weight=model.weights, bias=model.biases)
    expected = arrays[changed].shape
    for given, found in ((None, "nothing"), (np.zeros(3), "float64 (3,)")):
        there = {name: array for name, array in arrays.items() if name != changed}
        storage.write(path, "model", config, there | ({} if given is None else {changed: given}))
        with pytest.raises(CheckpointError) as caught:
            Autoencoder.load(path)
        assert str(caught.value) == f"{path}: {changed} should be float32 {expected}, but is {found}"
