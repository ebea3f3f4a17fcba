"""A third party's backend: found by its entry point, trained with at once, and harmless when broken."""

import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pure_python import PurePython
from registry import forget_backends

import fastae
from fastae import backends
from fastae.backends.contract import KERNELS
from fastae.errors import BackendUnavailable, InputError
from fastae.operations import kernels_of

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package as pip would: its modules and the metadata that name its backends."""

    def install(entries: dict[str, str], **modules: str) -> None:
        folder = tmp_path / "others-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (folder / "entry_points.txt").write_text("\n".join(["[fastae.backends]", *lines, ""]))
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.setitem(sys.modules, name, None)  # to be restored: to nothing, whatever has been imported
            del sys.modules[name]
        monkeypatch.syspath_prepend(tmp_path)
        forget_backends()

    yield install
    monkeypatch.undo()
    forget_backends()


@pytest.fixture
def pure_python(install: Install) -> None:
    install({"pure-python": "pure_python:PurePython"})


def train(backend: str, loss: str, momentum: float, dtype: str) -> tuple[fastae.Autoencoder, fastae.History]:
    model = fastae.Autoencoder((13, 7, 3), seed=1, dtype=dtype)
    optimizer = fastae.SGD(lr=0.1, momentum=momentum)
    trainer = fastae.Trainer(model, loss=loss, optimizer=optimizer, backend=backend, batch_size=6)
    images = np.random.default_rng(2).integers(0, 256, (20, 13), dtype=np.uint8)
    return model, trainer.fit(images, epochs=3, test_images=images[:5], progress=False)


@pytest.mark.usefixtures("pure_python")
def test_it_is_listed_and_found() -> None:
    assert backends.names() == ["numpy", "numba", "cupy", "emulator", "pure-python"]
    assert backends.availability()["pure-python"].ok
    assert isinstance(backends.get("pure-python"), PurePython)
    assert backends.get("pure-python") is backends.get("pure-python")


def test_it_is_gone_when_it_is_uninstalled() -> None:
    assert "pure-python" not in backends.names()
    with pytest.raises(InputError, match=r"unknown backend 'pure-python'.*numpy"):
        backends.get("pure-python")


@pytest.mark.usefixtures("pure_python")
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_trains_as_numpy_does(loss: str, momentum: float, dtype: str) -> None:
    """With the kernels of the contract and nothing else.

    Twelve steps of some ten roundings in each of seven layers: 1,000 units, of numbers of size 1.
    """
    bound = 1000 * float(np.finfo(dtype).eps) / 2
    (model, history), (expected, numpys) = (train(name, loss, momentum, dtype) for name in ("pure-python", "numpy"))
    assert model.backend == "pure-python"
    start = fastae.Autoencoder((13, 7, 3), seed=1, dtype=dtype)
    for name in ("weights", "biases"):
        for found, wanted, before in zip(*(getattr(m, name) for m in (model, expected, start)), strict=True):
            assert found.dtype == dtype
            assert np.all(abs(found - wanted) <= bound)
            assert abs(wanted - before).max() > 100 * bound
    for one, other in zip(history.epochs, numpys.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=bound)
        assert one.test_mse == pytest.approx(other.test_mse, rel=bound)
    x = np.random.default_rng(3).random((4, 13))
    assert np.all(abs(model.reconstruct(x) - expected.reconstruct(x)) <= bound)


CONVOLUTIONAL = [fastae.Conv2d(2, stride=2), fastae.Conv2d(3, kernel=2), fastae.Dense(4)]


def train_layers(
    backend: str, loss: str, dtype: str, epochs: int, **network: Any
) -> tuple[fastae.Autoencoder, fastae.History]:
    model = fastae.Autoencoder(image_shape=(5, 4), seed=1, dtype=dtype, **network)
    trainer = fastae.Trainer(model, loss, fastae.SGD(lr=0.05, momentum=0.5), backend=backend, batch_size=3)
    images = np.random.default_rng(2).integers(0, 256, (7, 20), dtype=np.uint8)
    return model, trainer.fit(images, epochs=epochs, test_images=images[:3], progress=False)


@pytest.mark.usefixtures("pure_python")
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_trains_a_convolutional_network_as_numpy_does(loss: str, activation: str, dtype: str) -> None:
    """Six steps of some hundred roundings in each of six layers: 4,000 units, of numbers of size 1."""
    bound = 4000 * float(np.finfo(dtype).eps) / 2
    network = {"layers": CONVOLUTIONAL, "activation": activation}
    (model, history), (expected, numpys) = (
        train_layers(name, loss, dtype, 2, **network) for name in ("pure-python", "numpy")
    )
    start = fastae.Autoencoder(image_shape=(5, 4), seed=1, dtype=dtype, **network)
    for name in ("weights", "biases"):
        for found, wanted, before in zip(*(getattr(m, name) for m in (model, expected, start)), strict=True):
            assert np.all(abs(found - wanted) <= bound)
            assert abs(wanted - before).max() > 3 * bound
    for one, other in zip(history.epochs, numpys.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=bound)
        assert one.test_mse == pytest.approx(other.test_mse, rel=bound)


BROKEN = {
    "its import fails": "raise RuntimeError('no such device\\non this bus')",
    "it needs what is not installed": "import a_module_that_nobody_has",
    "it does not parse": "class Broken(:",
    "it lacks the class": "",
    "its probe fails": """
from fastae.backends import Backend
class Broken(Backend):
    @classmethod
    def availability(cls):
        raise OSError("no such device")
""",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_broken_one_is_unavailable_with_its_reason_and_hides_no_other(install: Install, source: str) -> None:
    install({"broken": "broken_backend:Broken", "pure-python": "pure_python:PurePython"}, broken_backend=source)
    found = backends.availability()
    assert list(found) == ["numpy", "numba", "cupy", "emulator", "broken", "pure-python"]
    assert [found[name].ok for name in ("numpy", "numba", "pure-python", "broken")] == [True, True, True, False]
    assert found["broken"].remedy
    assert len(found["broken"].reason.splitlines()) == 1
    with pytest.raises(BackendUnavailable) as caught:
        fastae.Trainer(fastae.Autoencoder((13, 7)), backend="broken")
    assert found["broken"].reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert train("pure-python", "mse", 0.0, "float32")[1].epochs


@pytest.mark.parametrize(
    ("source", "reason"),
    [*zip(BROKEN.values(), ["no such device", "a_module_that_nobody_has", "SyntaxError", "Broken", "no such device"])],
    ids=BROKEN,
)
def test_the_reason_is_the_errors_own(install: Install, source: str, reason: str) -> None:
    install({"broken": "broken_backend:Broken"}, broken_backend=source)
    assert reason in backends.availability()["broken"].reason


def test_its_own_reason_and_remedy_are_passed_on(install: Install) -> None:
    source = """
from fastae.backends import Availability, Backend
class Distant(Backend):
    @classmethod
    def availability(cls):
        return Availability(False, "there is no Cray here", "buy one")
"""
    install({"distant": "distant_backend:Distant"}, distant_backend=source)
    with pytest.raises(BackendUnavailable, match=r"'distant'.*there is no Cray here.*buy one"):
        backends.get("distant")


@pytest.mark.usefixtures("install")
def test_it_cannot_take_the_name_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    impostor = EntryPoint("numpy", "pure_python:PurePython", "fastae.backends")
    monkeypatch.setattr(backends, "_installed", lambda: [impostor])
    forget_backends()
    assert not isinstance(backends.get("numpy"), PurePython)
    assert backends.names() == ["numpy", "numba", "cupy", "emulator"]


NETWORKS: dict[str, dict[str, Any]] = {  # and what each needs
    "dense, sigmoid": {"layers": [fastae.Dense(3)]},
    "dense, tanh": {"layers": [fastae.Dense(3)], "activation": "tanh"},
    "dense, relu": {"layers": [fastae.Dense(3)], "activation": "relu"},
    "convolutional, sigmoid": {"layers": CONVOLUTIONAL},
}
EVERY = kernels_of("sigmoid", ["dense"])
NEEDS = {
    "dense, sigmoid": EVERY,
    "dense, tanh": [*EVERY, "bias_tanh", "tanh_gradient"],
    "dense, relu": [*EVERY, "bias_relu", "relu_gradient"],
    "convolutional, sigmoid": [*EVERY, "unfold", "fold"],
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_that_lacks_a_kernel_says_which_where_it_is_needed(
    kernel: str, network: str, monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    """And trains every network that needs none of what it lacks."""
    install({"pure-python": "pure_python:PurePython"})
    monkeypatch.delattr(PurePython, kernel)
    if kernel in NEEDS[network]:
        with pytest.raises(NotImplementedError, match=rf"'pure-python' lacks the kernel {kernel}\("):
            train_layers("pure-python", "mse", "float32", 1, **NETWORKS[network])
    else:
        assert train_layers("pure-python", "mse", "float32", 1, **NETWORKS[network])[1].epochs


def test_a_dense_network_with_sigmoids_needs_the_first_eleven() -> None:
    assert len(EVERY) == 11
    assert set(KERNELS) - set(EVERY) == {
        *["bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient"],
        *["unfold", "fold", "convolve"],
    }


def test_other_missing_attributes_are_not_taken_for_kernels() -> None:
    with pytest.raises(AttributeError, match=r"PurePython.*convolution"):
        PurePython().convolution  # noqa: B018


def test_the_table_and_the_kernels_have_the_same_arguments() -> None:
    """Names and order, so that a call by position or by name means the same on every backend."""
    for backend in (PurePython, type(backends.get("numpy"))):
        for name, kernel in KERNELS.items():
            found = inspect.signature(getattr(backend, name)).parameters
            table: dict[str, Any] = dict(kernel.parameters.parameters)
            assert [*found][1:] == [*table], (backend.name, name)
            assert all(found[key].default == parameter.default for key, parameter in table.items())
