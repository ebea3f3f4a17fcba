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


DENSE: dict[str, Any] = {"sizes": (13, 7, 3)}
CONVOLUTIONAL = [fastae.Conv2d(2, stride=2), fastae.Conv2d(3, kernel=2), fastae.Dense(4)]


def train(
    backend: str,
    loss: str = "mse",
    dtype: str = "float32",
    optimizer: fastae.SGD | None = None,
    epochs: int = 1,
    **network: Any,
) -> tuple[fastae.Autoencoder, fastae.History]:
    """Train on twelve images in batches of five, five and two."""
    model = fastae.Autoencoder(seed=1, dtype=dtype, **network)
    trainer = fastae.Trainer(model, loss, optimizer or fastae.SGD(0.1), backend=backend, batch_size=5)
    images = np.random.default_rng(2).integers(0, 256, (12, model.sizes[0]), dtype=np.uint8)
    return model, trainer.fit(images, epochs, images[:5], progress=False)


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


TRAININGS: dict[str, tuple[dict[str, Any], fastae.SGD, int]] = {  # and how many units of rounding that may be
    **{f"dense, momentum {momentum}": (DENSE, fastae.SGD(0.1, momentum), 1000) for momentum in (0.0, 0.9)},
    **{
        f"convolutional, {activation}": (
            {"layers": CONVOLUTIONAL, "image_shape": (5, 4), "activation": activation},
            fastae.SGD(0.05, 0.5),
            4000,
        )
        for activation in ("sigmoid", "tanh", "relu")
    },
}


@pytest.mark.usefixtures("pure_python")
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_trains_as_numpy_does(loss: str, training: str, dtype: str) -> None:
    """With the kernels of the contract and nothing else.

    Nine steps of some ten roundings in each of four layers are less than 1,000 units, of numbers of size 1; with
    convolutions, some hundred in each of six layers less than 4,000 in six steps.
    """
    network, optimizer, units = TRAININGS[training]
    bound = units * float(np.finfo(dtype).eps) / 2
    (model, history), (expected, numpys) = (
        train(name, loss, dtype, optimizer, 3 if network == DENSE else 2, **network)
        for name in ("pure-python", "numpy")
    )
    assert model.backend == "pure-python"
    start = fastae.Autoencoder(seed=1, dtype=dtype, **network)
    for name in ("weights", "biases"):
        for found, wanted, before in zip(*(getattr(m, name) for m in (model, expected, start)), strict=True):
            assert found.dtype == dtype
            assert np.all(abs(found - wanted) <= bound)
            assert abs(wanted - before).max() > (100 if network == DENSE else 3) * bound
    for one, other in zip(history.epochs, numpys.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=bound)
        assert one.test_mse == pytest.approx(other.test_mse, rel=bound)
    x = np.random.default_rng(3).random((4, model.sizes[0]))
    assert np.all(abs(model.reconstruct(x) - expected.reconstruct(x)) <= bound)


BROKEN = {  # and what its reason says
    "its import fails": ("raise RuntimeError('no such device\\non this bus')", "no such device"),
    "it needs what is not installed": ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
    "it does not parse": ("class Broken(:", "SyntaxError"),
    "it lacks the class": ("", "Broken"),
    "its probe fails": (
        """
from fastae.backends import Backend
class Broken(Backend):
    @classmethod
    def availability(cls):
        raise OSError("no such device")
""",
        "no such device",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_one_is_unavailable_with_its_reason_and_hides_no_other(
    install: Install, source: str, reason: str
) -> None:
    install({"broken": "broken_backend:Broken", "pure-python": "pure_python:PurePython"}, broken_backend=source)
    found = backends.availability()
    assert list(found) == ["numpy", "numba", "cupy", "emulator", "broken", "pure-python"]
    assert [found[name].ok for name in ("numpy", "numba", "pure-python", "broken")] == [True, True, True, False]
    assert reason in found["broken"].reason
    assert found["broken"].remedy
    assert len(found["broken"].reason.splitlines()) == 1
    with pytest.raises(BackendUnavailable) as caught:
        fastae.Trainer(fastae.Autoencoder((13, 7)), backend="broken")
    assert found["broken"].reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert train("pure-python", **DENSE)[1].epochs


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


EVERY = kernels_of("sigmoid", ["dense"])
NETWORKS: dict[str, tuple[dict[str, Any], list[str]]] = {  # and what each needs
    "dense, sigmoid": (DENSE, EVERY),
    "dense, tanh": (DENSE | {"activation": "tanh"}, [*EVERY, "bias_tanh", "tanh_gradient"]),
    "dense, relu": (DENSE | {"activation": "relu"}, [*EVERY, "bias_relu", "relu_gradient"]),
    "convolutional, sigmoid": ({"layers": CONVOLUTIONAL, "image_shape": (5, 4)}, [*EVERY, "unfold", "fold"]),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_that_lacks_a_kernel_says_which_where_it_is_needed(
    kernel: str, network: str, monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    """And trains every network that needs none of what it lacks."""
    install({"pure-python": "pure_python:PurePython"})
    monkeypatch.delattr(PurePython, kernel)
    arguments, needs = NETWORKS[network]
    if kernel in needs:
        with pytest.raises(NotImplementedError, match=rf"'pure-python' lacks the kernel {kernel}\("):
            train("pure-python", **arguments)
    else:
        assert train("pure-python", **arguments)[1].epochs


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
