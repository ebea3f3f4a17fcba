"""The command line: networks with convolutions, their results, and options that are refused."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import RESULTS, arrays_of, history_of, is_one_line, refusal, snapshot, train
from idx_files import IMAGES, TEST_IMAGES, encode
from matplotlib.image import imread

import fastae
from fastae.activations import ACTIVATIONS
from fastae.commands import network, show
from fastae.rates import RATES

SMALL = ["--model", "conv", "--channels", "2,3", "--code", 5]
PICTURES = RESULTS | {"kernels.png", "features.png"}


@pytest.fixture(scope="module")
def conv(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a training of a small convolutional network."""
    out = tmp_path_factory.mktemp("conv")
    assert train(data, "--out", out, *SMALL) == 0
    return out


def small(**more: Any) -> fastae.Autoencoder:
    layers = [fastae.Conv2d(2, stride=2), fastae.Conv2d(3, stride=2), fastae.Dense(5)]
    return fastae.Autoencoder(layers=layers, **{"activation": "tanh"} | more)


# What is written and said.


def test_a_convolutional_run_leaves_two_pictures_more_and_names_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(data, "--model", "conv") == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    out = Path("runs/conv-mse-numpy")
    assert set(snapshot(tmp_path)) == {str(out / name) for name in PICTURES}
    for name in show.pictures(fastae.Autoencoder.load(out / "model.npz")):
        page = imread(out / name, "png")
        assert min(page.shape[:2]) > 200
        assert page[..., :3].std() > 0.05
    lines = stdout.splitlines()
    assert lines[-1] == (
        "see runs/conv-mse-numpy/reconstructions.png, loss.png, kernels.png, features.png, history.json and model.npz"
    )
    assert lines[0].startswith("learning rate 0.02: from the data (mean ||x||^2 84.8, ")
    assert lines[1].startswith(
        "Conv2d(16, stride=2), Conv2d(32, stride=2), Dense(128), tanh: squared error, 1 epoch of 64"
    )
    assert "412,673 parameters, 909,440 multiplications an image" in stdout
    assert "Too few updates: batch 16 makes 4 updates in 1 epoch" in stdout
    config = history_of(out)["config"]
    found = {name: config[name] for name in ("sizes", "layers", "activation", "image_shape", "init", "lr")}
    assert found == {
        "sizes": [784, 3136, 1568, 128],
        "layers": [{"Conv2d": [16, 3, 2, 1]}, {"Conv2d": [32, 3, 2, 1]}, {"Dense": [128]}],
        "activation": "tanh",
        "image_shape": [28, 28],
        "init": "glorot",
        "lr": RATES["conv"]["tanh"]["mse"],
    }


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("options", "arguments"), [
    ("", {}),
    ("--activation relu", {"activation": "relu"}),
    ("--activation sigmoid --init glorot", {"activation": "sigmoid", "init": "glorot"}),
    ("--init 0.2 --dtype float64 --seed 4", {"init": 0.2, "dtype": "float64", "seed": 4}),
])  # fmt: skip
def test_the_convolutional_network_is_that_of_the_library(
    options: str, arguments: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    assert train(data, "--out", tmp_path, *SMALL, "--lr", 0.01, *options.split()) == 0
    model = small(**arguments)
    images, tested = fastae.load_dataset(data)[0][:64], fastae.load_dataset(data, "test")[0][:64]
    trainer = fastae.Trainer(model, "mse", fastae.SGD(0.01), "numpy", seed=model.seed)
    trainer.fit(images, 1, tested, progress=False)
    saved = fastae.Autoencoder.load(tmp_path / "model.npz")
    assert (saved.layers, saved.activation, saved.init) == (model.layers, model.activation, model.init)
    for found, expected in zip(saved.weights + saved.biases, model.weights + model.biases):
        assert np.array_equal(found, expected)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("options", "folder", "config"),
    [
        ("", "mse-numpy", {"activation": "sigmoid", "init": "glorot-sigmoid", "lr": 0.25}),
        ("--model dense --sizes 784,256,128", "mse-numpy", {"sizes": [784, 256, 128], "lr": 0.25}),
        ("--sizes 784,20,4 --loss bce", "784-20-4-bce-numpy", {"sizes": [784, 20, 4], "lr": 0.05}),
        ("--sizes 784,9", "784-9-mse-numpy", {"layers": [{"Dense": [9]}]}),
        ("--activation tanh", "tanh-mse-numpy", {"activation": "tanh", "init": "glorot"}),
        ("--activation relu --init he", "relu-mse-numpy", {"activation": "relu", "init": "he"}),
        ("--sizes 784,9 --activation relu", "784-9-relu-mse-numpy", {"activation": "relu"}),
        ("--model conv --channels 2", "conv-2-mse-numpy", {"sizes": [784, 392, 128]}),
        ("--model conv --channels 2,3 --code 5", "conv-2-3-code5-mse-numpy", {"sizes": [784, 392, 147, 5]}),
        ("--model conv --channels 2 --activation relu", "conv-2-relu-mse-numpy", {"init": "he"}),
    ],
)
def test_each_network_has_a_folder_of_its_own_and_defaults_that_suit_it(
    options: str, folder: str, config: dict[str, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(data, *options.split()) == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder]
    found = history_of(tmp_path / "runs" / folder)["config"]
    assert {name: found[name] for name in config} == config


def test_every_network_has_a_learning_rate_for_each_loss() -> None:
    assert set(RATES) == set(network.MODELS)
    for rates in RATES.values():
        assert set(rates) == set(ACTIVATIONS)
        assert all(set(by_loss) == {"mse", "bce"} for by_loss in rates.values())


# Images of other shapes.


@pytest.mark.parametrize("options", ["--model conv --channels 2,3 --code 5", "--sizes 84,8"])
def test_images_that_are_not_square(options: str, data: Path, tmp_path: Path) -> None:
    """The shape comes from the IDX file, and every picture has it."""
    folder = other_images(data, tmp_path / "data", (12, 7))
    assert train(folder, "--out", tmp_path / "out", *options.split()) == 0
    model = fastae.Autoencoder.load(tmp_path / "out" / "model.npz")
    assert model.image_shape == (12, 7)
    assert model.sizes[0] == 84
    page = imread(tmp_path / "out" / "reconstructions.png")
    assert page.shape[0] > 2 * 84 * 12 / 7  # two rows, each higher than wide


def other_images(data: Path, folder: Path, shape: tuple[int, int], tested: tuple[int, int] | None = None) -> Path:
    shutil.copytree(data, folder)
    rng = np.random.default_rng(0)
    for name, count, size in ((IMAGES, 320, shape), (TEST_IMAGES, 100, tested or shape)):
        (folder / name).write_bytes(encode(rng.integers(0, 256, (count, *size)).astype(np.uint8)))
    return folder


# Going on.


OTHER = [
    ("--model dense", {"sizes", "layers", "activation", "init"}),
    ("--model conv --channels 2,4 --code 5", {"sizes", "layers"}),
    ("--model conv --channels 2,3 --code 6", {"sizes", "layers"}),
    ("--model conv --channels 2,3 --code 5 --activation relu", {"activation", "init"}),
    ("--model conv --channels 2,3 --code 5 --init he", {"init"}),
]


@pytest.mark.parametrize(("options", "names"), OTHER, ids=[options for options, _ in OTHER])
def test_a_checkpoint_of_another_network_is_refused(
    options: str, names: set[str], conv: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, conv, data, "--resume", "--epochs", 3, *options.split())
    _, told = message.split("was made with other settings: ")
    found = {part.split()[0] for part in told.split("; ")}
    assert found - {"lr"} == names  # whose default may be the same


# What is refused.


REFUSED = [
    ("--model cnn", ["unknown model 'cnn'; the models are: dense, conv"]),
    ("--model conv --sizes 784,256", ["--sizes is an option of --model dense", "--channels and --code"]),
    ("--channels 4", ["--channels is an option of --model conv", "--model dense has --sizes"]),
    ("--code 4", ["--code is an option of --model conv", "--model dense has --sizes"]),
    ("--activation elu", ["unknown activation 'elu'; the activations are: sigmoid, tanh, relu"]),
    ("--model conv --activation Tanh", ["unknown activation 'Tanh'"]),
    ("--sizes 783,256", ["--sizes must begin with 784, the pixels of an image of 28 x 28", "got 783,256"]),
    ("--sizes 784", ["--sizes must begin with 784", "at least one number more"]),
    ("--sizes 784,0", ["--sizes", "positive whole numbers with commas between", "'784,0'"]),
    ("--sizes 784,2.5", ["--sizes", "'784,2.5'"]),
    ("--sizes 784 256", ["256", "--help"]),
    ("--sizes", ["--sizes", "expected one argument"]),
    ("--sizes 784,99999999999", ["sizes must be"]),
    ("--model conv --channels 0", ["--channels", "positive whole numbers", "'0'"]),
    ("--model conv --channels 40000", ["channels must be a positive whole number below 32768; got 40000"]),
    ("--model conv --channels 1,1,1,1,1,1", ["layer 6, Conv2d(1", "an image of more than one pixel"]),
    ("--model conv --code 3,4", ["--code", "a positive whole number", "'3,4'"]),
    ("--model conv --code 99999999999", ["Dense takes a positive whole number", "99999999999"]),
    ("--init Glorot", ["init must be glorot-sigmoid, glorot, he or a standard deviation", "'Glorot'"]),
]


@pytest.mark.parametrize(("options", "fragments"), REFUSED, ids=[options for options, _ in REFUSED])
def test_a_bad_option_is_refused(
    options: str, fragments: list[str], conv: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, conv, data, *options.split())
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize("options", [[], SMALL], ids=["dense", "conv"])
def test_test_images_of_another_shape_are_refused_though_they_have_as_many_pixels(
    options: list[Any], conv: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = other_images(data, tmp_path / "data", (12, 7), (7, 12))
    message = refusal(capsys, conv, folder, *options)
    assert "training images are 12 x 7, 84 pixels, but test images 7 x 12, 84" in message


def test_images_that_are_too_small_for_the_convolutions_are_refused(
    conv: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = other_images(data, tmp_path / "data", (2, 2))
    assert "layer 2, Conv2d(3" in refusal(capsys, conv, folder, *SMALL)


def test_a_convolutional_training_that_diverges_keeps_what_was_there(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*SMALL, "--activation", "relu", "--out", tmp_path]
    assert train(data, *options) == 0
    before = snapshot(tmp_path)
    capsys.readouterr()
    assert train(data, *options, "--lr", 1e30) == 2
    stdout, stderr = capsys.readouterr()
    assert is_one_line(stderr)
    assert stdout == ""
    assert re.search(r"NaN or infinite in epoch 1, batch \d\. .*To fix it: --lr 0\.\d+", stderr)
    assert snapshot(tmp_path) == before


def test_the_same_network_by_either_default_and_option(data: Path, tmp_path: Path) -> None:
    """What an option says that the default is leaves the same bits."""
    explicit = "--model conv --channels 16,32 --code 128 --activation tanh --init glorot"
    assert train(data, "--out", tmp_path / "default", "--model", "conv") == 0
    assert train(data, "--out", tmp_path / "told", *explicit.split()) == 0
    assert arrays_of(tmp_path / "default" / "model.npz") == arrays_of(tmp_path / "told" / "model.npz")
