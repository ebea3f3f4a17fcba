"""The model: its initial parameters, what it computes, and its files, which bring back the same bits or are refused."""

import json
import math
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import bits

import fastae
from fastae import Autoencoder, storage
from fastae.errors import CheckpointError, InputError

SIZES = (11, 7, 3)

# Where the parameters start.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["glorot-sigmoid", 0.3, 0, "0.5"])
@pytest.mark.parametrize(("sizes", "seed"), [((784, 256, 128), 0), (SIZES, 5), ((4, 1), 0), ((9, 8, 7, 6), 2**40)])
def test_parameters_are_drawn_as_pinned(dtype: str, init: str | float, sizes: tuple[int, ...], seed: int) -> None:
    """In float64, layer by layer, a weight matrix before its bias, from the stream [0, seed]; then rounded."""
    model = fastae.Autoencoder(sizes, seed=seed, dtype=dtype, init=init)
    rng = np.random.default_rng([0, seed])
    widths = [*sizes, *sizes[-2::-1]]
    assert len(model.weights) == len(model.biases) == len(widths) - 1
    for W, b, fan_in, fan_out in zip(model.weights, model.biases, widths, widths[1:]):
        glorot = init == "glorot-sigmoid"
        sigma_W, sigma_b = (4 * math.sqrt(2 / (fan_in + fan_out)), 0.1) if glorot else (float(init), float(init))
        expected = rng.normal(0, sigma_W, (fan_in, fan_out)), rng.normal(0, sigma_b, fan_out)
        for found, drawn in zip((W, b), expected):
            assert found.dtype == dtype
            assert found.shape == drawn.shape
            assert found.tobytes() == drawn.astype(dtype).tobytes()


def test_defaults_are_the_assignments() -> None:
    model = fastae.Autoencoder()
    assert [W.shape for W in model.weights] == [(784, 256), (256, 128), (128, 256), (256, 784)]
    assert bits(model) == bits(fastae.Autoencoder((784, 256, 128), 0, "float32", "glorot-sigmoid"))
    assert bits(model) != bits(fastae.Autoencoder(seed=1))


@pytest.mark.parametrize(
    "arguments",
    [
        {"sizes": ()},
        {"sizes": (784,)},
        {"sizes": (784, 0)},
        {"sizes": (784, -3)},
        {"sizes": (784, 2.5)},
        {"sizes": (784, True)},
        {"sizes": "784"},
        {"sizes": 784},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": None},
        {"seed": True},
        {"dtype": "float16"},
        {"dtype": "int32"},
        {"dtype": "double32"},
        {"dtype": None},
        {"init": -0.1},
        {"init": math.nan},
        {"init": math.inf},
        {"init": "xavier"},
        {"init": "glorot-relu"},
    ],
    ids=str,
)
def test_what_is_no_model_is_refused_in_one_line(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))) as caught:
        fastae.Autoencoder(**arguments)
    assert len(str(caught.value).splitlines()) == 1


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


# What it computes.


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encode_decode_and_reconstruct_follow_the_definition(backend: str, dtype: str) -> None:
    """On the backend that trained it; none, one and many images."""
    model = fastae.Autoencoder(SIZES, dtype=dtype)
    model.backend = backend
    before = bits(model)
    for n in (0, 1, 300):
        x = np.random.default_rng(n).random((n, 11))
        expected = [x.astype(dtype).astype(np.float64)]
        for W, b in zip(model.weights, model.biases):
            expected.append(1 / (1 + np.exp(-(expected[-1] @ W.astype(np.float64) + b))))
        found = {2: model.encode(x), 4: model.reconstruct(x)}
        assert model.decode(found[2]).tobytes() == found[4].tobytes()
        for layer, y in found.items():
            assert y.dtype == dtype
            assert y.shape == (n, {2: 3, 4: 11}[layer])
            assert np.all(abs(y - expected[layer]) <= {"float32": 1e-6, "float64": 1e-14}[dtype])
    assert bits(model) == before


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_and_the_same_images_as_floats_give_the_same_bits(backend: str, dtype: str) -> None:
    model = fastae.Autoencoder((256, 7, 3), dtype=dtype)
    model.backend = backend
    pixels = np.stack([np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8)[::-1]])
    floats = pixels.astype(dtype) / np.dtype(dtype).type(255)
    for compute in (model.encode, model.reconstruct):
        assert compute(pixels).tobytes() == compute(floats).tobytes()
        assert compute(pixels).tobytes() == compute(np.asfortranarray(floats)).tobytes()
        assert compute(pixels).tobytes() == compute(np.repeat(pixels, 2, axis=1)[:, ::2]).tobytes()
        assert compute(floats).tobytes() == compute(floats.tolist()).tobytes()


@pytest.mark.parametrize("method", ["encode", "decode", "reconstruct"])
@pytest.mark.parametrize(
    "x",
    [
        np.zeros(11),
        np.zeros((2, 12)),
        np.zeros((2, 11, 1)),
        np.zeros((2, 11), np.int64),
        np.zeros((2, 11), bool),
        np.zeros((2, 11), complex),
        np.full((2, 11), "0"),
        np.full((2, 11), None),
        0.5,
    ],
    ids=lambda x: f"{np.asarray(x).dtype} {np.shape(x)}",
)
def test_what_are_no_images_is_refused_in_one_line(method: str, x: Any) -> None:
    model = fastae.Autoencoder((11, 11))
    with pytest.raises(InputError, match="expected") as caught:
        getattr(model, method)(x)
    assert len(str(caught.value).splitlines()) == 1


# Files.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["glorot-sigmoid", 0.3])
def test_a_saved_model_comes_back_to_the_bit(dtype: str, init: str | float, tmp_path: Path) -> None:
    """The parameters as they are, not as they were drawn, whatever bits they hold."""
    model = fastae.Autoencoder(SIZES, seed=2**200, dtype=dtype, init=init)
    model.weights[1][0, :] = [np.nan, -np.inf, -0.0]
    model.biases[2][3] = np.finfo(dtype).smallest_subnormal
    model.weights[0] = np.asfortranarray(model.weights[0])
    model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    loaded = fastae.Autoencoder.load(tmp_path / "model")
    assert bits(loaded) == bits(model)
    assert (loaded.sizes, loaded.seed, loaded.dtype, loaded.init) == (SIZES, 2**200, np.dtype(dtype), init)
    loaded.save(str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_numpy_numbers_are_as_good_as_pythons(tmp_path: Path) -> None:
    model = fastae.Autoencoder(np.array(SIZES), seed=np.int64(9), dtype=np.float32, init=np.float32(0.3))
    model.save(tmp_path / "model")
    assert bits(fastae.Autoencoder.load(tmp_path / "model")) == bits(model)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        fastae.Autoencoder.load(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.npz")
    refusal(tmp_path)


@pytest.mark.thorough
def test_every_damaged_byte_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    """Either the file is refused, or the byte had no meaning and the model is the same."""
    path = tmp_path / "model"
    model = fastae.Autoencoder((2, 1))
    model.save(path)
    content = path.read_bytes()
    refused = taken = 0
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 0x41]) + content[i + 1 :])
        try:
            loaded = fastae.Autoencoder.load(path)
        except CheckpointError as error:
            refused += len(str(error).splitlines()) == 1
        else:
            assert bits(loaded) == bits(model), i
            taken += 1
    assert refused + taken == len(content)
    assert refused > taken
    for i in [*range(0, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:i])
        refusal(path)
    path.write_bytes(content)
    assert bits(fastae.Autoencoder.load(path)) == bits(model)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_foreign_files_are_refused_and_nothing_in_them_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(pickle.dumps(Malicious()))
    refusal(path)
    with path.open("wb") as file:
        np.savez(file, weight0=np.array([Malicious()], object))
    refusal(path)
    with path.open("wb") as file:
        np.savez(file, weight0=np.zeros((3, 2)))
    refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refusal(path)
    path.write_bytes(b"")
    refusal(path)


def test_a_checkpoint_is_no_model_and_a_model_no_checkpoint(tmp_path: Path) -> None:
    trainer = fastae.Trainer(fastae.Autoencoder(SIZES), backend="numpy")
    trainer.save(tmp_path / "checkpoint")
    trainer.model.save(tmp_path / "model")
    assert "holds a checkpoint, not a model" in refusal(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="holds a model, not a checkpoint"):
        trainer.resume(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [{"sizes": [11, 7, 4]}, {"sizes": [11, 7]}, {"dtype": "float64"}, {"dtype": "int8"}, {"sizes": None}, {"seed": -1}],
    ids=str,
)
def test_a_configuration_that_does_not_fit_the_arrays_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """With a correct checksum: such a file was made on purpose, or by another version."""
    model = fastae.Autoencoder(SIZES)
    config = {"sizes": SIZES, "seed": 0, "dtype": "float32", "init": "glorot-sigmoid"} | change
    fastae.storage.write(
        tmp_path / "model", "model", config, fastae.storage.numbered(weight=model.weights, bias=model.biases)
    )
    refusal(tmp_path / "model")


def test_the_file_is_an_npz_with_readable_settings(tmp_path: Path) -> None:
    """Any NumPy reads it without fastae and without pickles."""
    fastae.Autoencoder(SIZES, seed=3).save(tmp_path / "model")
    with np.load(tmp_path / "model", allow_pickle=False) as file:
        assert json.loads(file["config"].tobytes())["sizes"] == list(SIZES)
        assert {f"weight{i}" for i in range(4)} | {f"bias{i}" for i in range(4)} <= set(file)
        assert set(file) == {f"{name}{i}" for name in ("weight", "bias") for i in range(4)} | {"config", "sha256"}


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
