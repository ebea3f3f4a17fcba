"""Models as ``.safetensors`` and ``.onnx``: the same bits come back, and another library computes the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import bits
from onnx.reference import ReferenceEvaluator
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastae
from fastae import Autoencoder, Conv2d, Dense, interchange
from fastae.errors import CheckpointError, InputError, MissingPackage, OutputError

NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"sizes": (30, 12, 5)},
    "convolutions": {"layers": [Conv2d(4, 3, 2, 1), Conv2d(3, 2, 3, 1), Dense(6)], "image_shape": (9, 7, 3)},
    "a code with channels": {"layers": [Conv2d(5, 3, 2, 1), Conv2d(3, 5, 1, 2)], "image_shape": (9, 8)},
    "rows that no patch reaches": {"layers": [Conv2d(5, 4, 3, 0), Dense(7)], "image_shape": (11, 8, 3)},
    "dense, then a convolution": {"layers": [Dense((6, 7, 3)), Conv2d(5, 3, 2, 1), Dense(6)], "image_shape": (5, 4)},
}
BOUND = {"float32": 1e-6, "float64": 1e-14}

networks = pytest.mark.parametrize("name", NETWORKS)
activations = pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make(name: str = "convolutions", activation: str = "tanh", dtype: str = "float32") -> Autoencoder:
    return Autoencoder(**NETWORKS[name], seed=3, activation=activation, dtype=dtype)


def images_of(model: Autoencoder, n: int = 7) -> np.ndarray:
    return np.random.default_rng(0).random((n, model.sizes[0])).astype(model.dtype)


# PyTorch's weights.


@networks
@activations
@dtypes
def test_safetensors_bring_a_model_back_to_the_bit(name: str, activation: str, dtype: str, tmp_path: Path) -> None:
    model = make(name, activation, dtype)
    model.biases[0][0] = np.nan
    model.save(tmp_path / "model.safetensors")
    loaded = Autoencoder.load(tmp_path / "model.safetensors")
    assert bits(loaded) == bits(model)
    assert loaded.described() == model.described()
    assert (loaded.sizes, loaded.seed, loaded.dtype, loaded.init) == (model.sizes, 3, model.dtype, model.init)
    assert all(p.flags.c_contiguous for p in (*loaded.weights, *loaded.biases))


def test_names_and_shapes_are_those_of_a_sequential(tmp_path: Path) -> None:
    """Of the layers with weights; the activations between them count too."""
    path = tmp_path / "model.safetensors"
    model = Autoencoder()
    model.save(path)
    found = load_file(path)
    expected = {0: (256, 784), 2: (128, 256), 4: (256, 128), 6: (784, 256)}
    assert {name: x.shape for name, x in found.items()} == {
        f"{i}.{part}": shape if part == "weight" else shape[:1]
        for i, shape in expected.items()
        for part in ("weight", "bias")
    }
    for i, W, b in zip(expected, model.weights, model.biases):
        assert np.array_equal(found[f"{i}.weight"], W.T)
        assert np.array_equal(found[f"{i}.bias"], b)


def test_the_metadata_say_how_to_make_the_network(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    make("dense, then a convolution").save(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["fastae"] == fastae.__version__
    assert json.loads(metadata["config"])["activation"] == "tanh"
    modules = [line.strip().removeprefix("torch.nn.") for line in metadata["sequential"].splitlines()]
    assert modules == [
        *("Sequential(", "Linear(20, 126),", "Tanh(),", "Unflatten(1, (3, 6, 7)),"),
        *("Conv2d(3, 5, 3, stride=2, padding=1),", "Tanh(),", "Flatten(),", "Linear(60, 6),", "Tanh(),"),
        *("Linear(6, 60),", "Tanh(),", "Unflatten(1, (5, 3, 4)),"),
        *("ConvTranspose2d(5, 3, 3, stride=2, padding=1, output_padding=(1, 0)),", "Tanh(),", "Flatten(),"),
        *("Linear(126, 20),", "Sigmoid(),", ")"),
    ]


def test_what_is_no_model_in_safetensors_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    make().save(path)
    content = path.read_bytes()
    tensors = load_file(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    short = {name: x for name, x in tensors.items() if name != "2.bias"}
    narrow = tensors | {"2.weight": tensors["2.weight"][:, :3]}
    double = {name: x.astype(np.float64) for name, x in tensors.items()}
    other = metadata | {"config": json.dumps(config | {"kind": "checkpoint"})}
    wrong = metadata | {"config": json.dumps(config | {"activation": "swish"})}
    cases: list[tuple[Any, Any, str]] = [
        (content[:-1], None, "damaged or not a fastae model"),
        (b"", None, "damaged or not a fastae model"),
        (tensors, {"format": "pt"}, "was not written by fastae"),
        (tensors, {"config": "{"}, "damaged or not a fastae model"),
        (tensors, other, "holds a checkpoint, not a model"),
        (tensors, wrong, "its configuration is not a model's"),
        (short, metadata, "2.bias should be float32"),
        (narrow, metadata, "2.weight should be float32 .*, but is float32"),
        (double, metadata, "0.weight should be float32 .*, but is float64"),
    ]
    for found, said, message in cases:
        path.write_bytes(found) if isinstance(found, bytes) else save_file(found, path, said)
        with pytest.raises(CheckpointError, match=message) as caught:
            Autoencoder.load(path)
        assert len(str(caught.value).splitlines()) == 1
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        Autoencoder.load(path)
    path.mkdir()
    with pytest.raises(CheckpointError, match="is not a regular file"):
        Autoencoder.load(path)


# ONNX.


@networks
@activations
@dtypes
def test_onnx_computes_what_the_model_does(name: str, activation: str, dtype: str, tmp_path: Path) -> None:
    """In onnxruntime, but for convolutions in float64: there ONNX's own evaluator takes its place."""
    model, path = make(name, activation, dtype), tmp_path / "model.onnx"
    model.save(path)
    if dtype == "float64" and name != "dense":
        runs: Any = ReferenceEvaluator(str(path))
    else:
        runs = onnxruntime.InferenceSession(path)
    for n in (1, 7):
        images = images_of(model, n)
        code, reconstruction = runs.run(None, {"images": images})
        for found, expected in ((code, model.encode(images)), (reconstruction, model.reconstruct(images))):
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert np.all(abs(found - expected) <= BOUND[dtype] * np.maximum(1, abs(expected)))


def test_a_trained_network_of_the_usual_size_in_onnx(tmp_path: Path) -> None:
    images = fastae.load_dataset()[0][:200]
    model = Autoencoder()
    fastae.Trainer(model, optimizer=fastae.SGD(0.25), backend="numpy").fit(images, 1, progress=False)
    model.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    taken, given = session.get_inputs(), session.get_outputs()
    shapes = {x.name: x.shape for x in (*taken, *given)}
    assert shapes == {"images": ["n", 784], "code": ["n", 128], "reconstruction": ["n", 784]}
    (found,) = session.run(["reconstruction"], {"images": (images / 255).astype(np.float32)})
    assert np.all(abs(found - model.reconstruct(images)) <= 1e-6)


def test_the_file_says_who_wrote_it(tmp_path: Path) -> None:
    make().save(tmp_path / "model.onnx")
    found = onnx.load(tmp_path / "model.onnx")
    assert (found.producer_name, found.producer_version) == ("fastae", fastae.__version__)
    assert (found.ir_version, found.opset_import[0].version) == (8, 17)
    assert json.loads(found.metadata_props[0].value)["layers"] == make().described()["layers"]


# Files.


def test_a_path_says_its_format(tmp_path: Path) -> None:
    for name in ("model", "model.npz", "MODEL.NPZ", "model.safetensors", "model.ONNX"):
        make().save(tmp_path / name)
        make().save(str(tmp_path / name))
    assert (tmp_path / "model").read_bytes() == (tmp_path / "model.npz").read_bytes()
    assert onnx.load(tmp_path / "model.ONNX").producer_name == "fastae"
    for name in ("model.pt", "model.h5", "model.npy", "model.onnx.gz"):
        with pytest.raises(InputError, match=r"saved as \.npz, \.safetensors or \.onnx; got .*model"):
            make().save(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"written for other programs; load the \.npz or \.safetensors"):
        Autoencoder.load(tmp_path / "model.ONNX")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_a_file_that_cannot_be_written_is_told_and_an_earlier_one_kept(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        make().save(tmp_path / "nowhere" / f"model{suffix}")
    path = tmp_path / f"model{suffix}"
    path.mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        make().save(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_that_is_too_large_for_onnx_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interchange, "LARGEST", 1000)
    with pytest.raises(OutputError, match=r"holds 2 GiB, and this network has 3,\d\d\d bytes"):
        make("dense").save(tmp_path / "model.onnx")


@pytest.mark.parametrize(("package", "suffix"), [("safetensors", ".safetensors"), ("onnx", ".onnx")])
def test_a_package_that_is_missing_is_named(
    package: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    told = rf"needs the package {package}, .*pip install 'fastae\[interchange\]'"
    with pytest.raises(MissingPackage, match=told):
        make().save(tmp_path / f"model{suffix}")
    if package == "safetensors":
        with pytest.raises(MissingPackage, match=told):
            Autoencoder.load(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_npz_needs_neither_package(tmp_path: Path) -> None:
    script = f"""
import sys, fastae
fastae.Autoencoder((5, 3)).save({str(tmp_path / "m.npz")!r})
fastae.Autoencoder.load({str(tmp_path / "m.npz")!r})
print({{"onnx", "safetensors", "sklearn"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")
