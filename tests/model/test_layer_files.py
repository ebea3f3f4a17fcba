"""Files of networks with layers of any kind: what they bring back, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from networks import NETWORKS, bits, pixels_of

import fastae
from fastae import Autoencoder, Conv2d, Dense, storage
from fastae.errors import CheckpointError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_file_brings_back_the_same_network(network: str, dtype: str, tmp_path: Path) -> None:
    model = Autoencoder(**NETWORKS[network], dtype=dtype, seed=7)
    model.save(tmp_path / "model.npz")
    loaded = Autoencoder.load(tmp_path / "model.npz")
    assert bits(loaded) == bits(model)
    for name in ("layers", "specs", "sizes", "image_shape", "activation", "init", "seed", "dtype"):
        assert getattr(loaded, name) == getattr(model, name)
    images = pixels_of(model, 3)
    assert loaded.reconstruct(images).tobytes() == model.reconstruct(images).tobytes()


def test_a_file_from_before_there_were_layers_is_a_dense_network_of_sigmoids(tmp_path: Path) -> None:
    model = Autoencoder((12, 7, 4))
    model.save(tmp_path / "model.npz")
    config, arrays = storage.read(tmp_path / "model.npz", "model")
    assert set(config) == {"sizes", "seed", "dtype", "init", "layers", "activation", "image_shape"}
    old = {name: config[name] for name in ("sizes", "seed", "dtype", "init")}
    storage.write(tmp_path / "old.npz", "model", old, arrays)
    loaded = Autoencoder.load(tmp_path / "old.npz")
    assert bits(loaded) == bits(model)
    assert (loaded.activation, loaded.image_shape, loaded.layers) == ("sigmoid", None, model.layers)


CHANGES: dict[str, Any] = {
    "an unknown layer": {"layers": [{"Pool": [2]}]},
    "a layer of another size": {"layers": [{"Conv2d": [3, 3, 2, 1]}, {"Conv2d": [5, 2, 1, 1]}, {"Dense": [5]}]},
    "another stride": {"layers": [{"Conv2d": [3, 3, 1, 1]}, {"Conv2d": [4, 2, 1, 1]}, {"Dense": [5]}]},
    "a stride of nothing": {"layers": [{"Conv2d": [3, 3, 0, 1]}, {"Conv2d": [4, 2, 1, 1]}, {"Dense": [5]}]},
    "a layer with too many arguments": {"layers": [{"Conv2d": [3, 3, 2, 1, 9]}]},
    "layers of another kind": {"layers": 7},
    "an empty layer": {"layers": [{}]},
    "a layer that is a word": {"layers": ["Dense"]},
    "another image": {"image_shape": [6, 6]},
    "the image turned": {"image_shape": [14, 3]},
    "an image that is none": {"image_shape": "7x6"},
    "no such activation": {"activation": "elu"},
    "other sizes": {"sizes": [42, 12, 4]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_whose_configuration_does_not_hold_together_is_refused(change: str, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    Autoencoder(**NETWORKS["convolutions"]).save(path)
    config, arrays = storage.read(path, "model")
    storage.write(path, "model", config, arrays)
    Autoencoder.load(path)
    storage.write(path, "model", config | CHANGES[change], arrays)
    with pytest.raises(CheckpointError) as caught:
        Autoencoder.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_checkpoint_goes_on_to_the_same_bits(momentum: float, tmp_path: Path) -> None:
    def trainer() -> fastae.Trainer:
        model = Autoencoder(**NETWORKS["three channels"])
        return fastae.Trainer(model, "mse", fastae.SGD(0.05, momentum), "numpy", 4)

    whole, first, second = trainer(), trainer(), trainer()
    images = pixels_of(whole.model, 10)
    whole.fit(images, 3, progress=False)
    first.fit(images, 1, progress=False)
    first.save(tmp_path / "checkpoint.npz")
    second.resume(tmp_path / "checkpoint.npz")
    second.fit(images, 2, progress=False)
    assert bits(second.model) == bits(whole.model)
    assert [epoch.train_loss for epoch in second.history.epochs] == [e.train_loss for e in whole.history.epochs]


OTHERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"layers": [Conv2d(4, stride=2), Dense(6)]}, ["sizes", "layers"]),
    ({"layers": [Conv2d(4, kernel=5, stride=2), Dense(5)]}, ["layers"]),
    ({"layers": [Dense(5)]}, ["sizes", "layers"]),
    ({"activation": "relu"}, ["activation", "init"]),
    ({"image_shape": (8, 5, 3)}, ["image_shape"]),
]


@pytest.mark.parametrize(("changed", "told"), OTHERS, ids=[str(told) for _, told in OTHERS])
def test_a_checkpoint_of_another_network_is_refused(changed: dict[str, Any], told: list[str], tmp_path: Path) -> None:
    base = NETWORKS["three channels"]
    fastae.Trainer(Autoencoder(**base), "mse", fastae.SGD(0.05), "numpy", 4).save(tmp_path / "checkpoint.npz")
    other = Autoencoder(**base | changed)
    before = bits(other)
    with pytest.raises(CheckpointError, match="was made with other settings: ") as caught:
        fastae.Trainer(other, "mse", fastae.SGD(0.05), "numpy", 4).resume(tmp_path / "checkpoint.npz")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for name in ("sizes", "layers", "activation", "init", "image_shape"):
        assert (f"{name} " in message.split("settings: ")[1]) == (name in told), name
    assert bits(other) == before


def test_the_settings_are_json() -> None:
    for arguments in NETWORKS.values():
        trainer = fastae.Trainer(Autoencoder(**arguments), backend="numpy")
        settings = trainer.settings()
        assert json.loads(json.dumps(settings)) == settings
