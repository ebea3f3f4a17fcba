"""The estimator: what scikit-learn requires of every estimator, and what is this one's own."""

import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastae
from fastae import Conv2d, Dense
from fastae.backends import Backend, get
from fastae.errors import InputError
from fastae.sklearn import Autoencoder

IRIS = load_iris().data


def small(**options: Any) -> Autoencoder:
    return Autoencoder(**({"layers": (4, 2), "epochs": 3, "random_state": 0} | options))


@parametrize_with_checks([small()])
def test_it_passes_what_scikit_learn_asks_of_an_estimator(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: the one check that is skipped unless a variable is set has it set."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


@pytest.mark.thorough
@parametrize_with_checks([small(layers=[Dense(3)], scaling="global", activation="sigmoid", momentum=0.9, loss="bce")])
def test_it_passes_with_other_parameters_too(estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


# What it computes.


def test_it_is_the_librarys_network_and_training() -> None:
    """To the bit, where data are images of bytes: seed, order, schedule and rate are the trainer's."""
    images = fastae.load_dataset()[0][:200]
    estimator = Autoencoder((12, 5), epochs=2, learning_rate=0.02, scaling=(0, 255), random_state=7)
    codes = estimator.fit_transform(images.astype(np.float32))
    model = fastae.Autoencoder((784, 12, 5), seed=7, activation="tanh")
    trainer = fastae.Trainer(model, optimizer=fastae.SGD(0.02, schedule="cosine"), backend="numpy", seed=7)
    history = trainer.fit(images, 2, images, progress=False)
    assert codes.tobytes() == model.encode(images).tobytes()
    assert [e.train_loss for e in estimator.history_.epochs] == [e.train_loss for e in history.epochs]
    assert estimator.score(images.astype(np.float32)) == pytest.approx(-history.epochs[-1].test_mse, rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_its_defaults_learn_small_tables(activation: str, loss: str) -> None:
    """Far better than the mean of each feature, whose scaled error is 0.06."""
    train, test = IRIS[::2], IRIS[1::2]
    estimator = Autoencoder(activation=activation, loss=loss, random_state=0).fit(train)
    mean = -np.mean(((test - train.mean(axis=0)) / np.ptp(train, axis=0)) ** 2)
    assert mean < -0.05
    assert estimator.score(test) > 0.25 * mean


def test_scales_are_of_features_of_all_data_or_given() -> None:
    X = np.array([[0.0, -5, 3], [10, 5, 3], [5, 0, 3]])
    expected = {"feature": ([0, -5, 3], [10, 10, 1]), "global": ([-5] * 3, [15] * 3), (-10, 10): ([-10] * 3, [20] * 3)}
    for scaling, (low, width) in expected.items():
        estimator = small(scaling=scaling).fit(X)
        assert estimator.data_min_.tolist() == low
        assert estimator.data_range_.tolist() == width
        back = estimator.inverse_transform(estimator.transform(X))
        scaled = (X - estimator.data_min_) / estimator.data_range_
        assert np.allclose(back, estimator.model_.reconstruct(scaled) * estimator.data_range_ + estimator.data_min_)
        assert np.all((back >= low) & (back <= np.add(low, width)))
        assert estimator.score(X) == pytest.approx(-np.mean(((back - X) / width) ** 2))


def test_what_is_beyond_the_training_data_is_clipped_and_scored_as_it_is() -> None:
    estimator = small().fit(IRIS)
    far = IRIS.max(axis=0) + [[100.0] * 4]
    assert np.array_equal(estimator.transform(far), estimator.transform(IRIS.max(axis=0)[None]))
    assert estimator.score(far) < -100


def test_partial_fit_goes_on_at_a_constant_rate_and_with_the_first_scale() -> None:
    """Equal to one fit at a constant rate, also after pickling; the range of the second half is ignored."""
    whole = small(schedule="constant", epochs=2, momentum=0.5).fit(IRIS)
    parts = small(momentum=0.5).partial_fit(IRIS)
    parts = pickle.loads(pickle.dumps(parts)).partial_fit(IRIS)
    assert parts.transform(IRIS).tobytes() == whole.transform(IRIS).tobytes()
    assert len(parts.history_.epochs) == 2
    scale = parts.data_range_.tobytes()
    parts.partial_fit(2 * IRIS)
    assert parts.data_range_.tobytes() == scale
    rates = [epoch.lr for epoch in parts.history_.epochs]
    assert rates == [parts.learning_rate_] * 3


@pytest.mark.parametrize("backend", ["numpy", "emulator", pytest.param("numba", marks=pytest.mark.thorough)])
def test_backends_agree_and_are_pickled(backend: str) -> None:
    expected = small(activation="sigmoid", learning_rate=0.1).fit_transform(IRIS)
    estimator = clone(small(activation="sigmoid", learning_rate=0.1, backend=backend))
    assert np.allclose(estimator.fit_transform(IRIS), expected, rtol=0, atol=1e-9)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.partial_fit(IRIS).transform(IRIS).tobytes() == estimator.partial_fit(IRIS).transform(IRIS).tobytes()


def test_a_backend_is_pickled_as_its_name_or_not_at_all() -> None:
    assert pickle.loads(pickle.dumps(get("numba"))) is get("numba")

    class Own(Backend):
        name = "numpy"  # of another

    for name in ("numpy", "nobody's"):
        Own.name = name
        with pytest.raises(TypeError, match=f"{name!r} is the name of another one, or of none"):
            pickle.dumps(Own())


def test_an_estimator_takes_convolutions_and_the_shape_of_its_images() -> None:
    X = load_digits().data[:100]
    layers = [Conv2d(4, stride=2), Dense(6)]
    estimator = Autoencoder(layers, image_shape=(8, 8), epochs=3, scaling="global", random_state=0).fit(X)
    assert estimator.transform(X).shape == (100, 6)
    assert [layer.kind for layer in estimator.model_.layers] == ["conv", "dense", "dense", "transposed"]
    with pytest.raises(InputError, match=r"64 features, but images of \(28, 28\) have 784 numbers; give image_shape"):
        Autoencoder(layers).fit(X)


# In scikit-learn's company.


def test_it_is_part_of_a_pipeline_and_of_a_search() -> None:
    pipeline = make_pipeline(StandardScaler(), small(epochs=5))
    grid = {"autoencoder__layers": [(1,), (8, 3)], "autoencoder__activation": ["tanh", "sigmoid"]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(IRIS)
    assert search.best_params_["autoencoder__layers"] == (8, 3)
    assert search.best_estimator_.transform(IRIS).shape == (150, 3)
    assert search.best_estimator_.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1", "autoencoder2"]
    scaled = make_pipeline(MinMaxScaler(), small(scaling=(0, 1), epochs=5)).fit(IRIS)
    assert scaled.inverse_transform(scaled.transform(IRIS)).shape == IRIS.shape
    assert np.allclose(scaled.transform(IRIS), small(epochs=5).fit_transform(IRIS))


def test_its_network_is_saved_for_others(tmp_path: Any) -> None:
    estimator = small().fit(IRIS)
    estimator.model_.save(tmp_path / "model.npz")
    scaled = (IRIS - estimator.data_min_) / estimator.data_range_
    assert np.array_equal(fastae.Autoencoder.load(tmp_path / "model.npz").encode(scaled), estimator.transform(IRIS))


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 8}, r"layers must be a sequence such as \(256, 128\); got 8"),
        ({"layers": ()}, "layers must be a sequence"),
        ({"layers": (8, 0)}, "positive whole number"),
        ({"layers": (8, "4")}, "layers must be one or more of Dense, Conv2d"),
        ({"layers": [Conv2d(3)]}, "give image_shape"),
        ({"activation": "swish"}, "unknown activation 'swish'"),
        ({"loss": "mae"}, "unknown loss 'mae'"),
        ({"learning_rate": "fast"}, "learning rate must be positive and finite"),
        ({"learning_rate": -1}, "learning rate must be positive and finite"),
        ({"momentum": 1}, "momentum must be at least 0"),
        ({"schedule": "steps"}, "steps"),
        ({"epochs": 0}, "number of epochs must be a positive whole number"),
        ({"batch_size": 0}, "batch size must be a positive whole number"),
        ({"scaling": "standard"}, "scaling must be 'feature', 'global' or"),
        ({"scaling": (1, 1)}, "scaling must be 'feature', 'global' or"),
        ({"scaling": (0, np.inf)}, "scaling must be 'feature', 'global' or"),
        ({"scaling": 3}, "scaling must be 'feature', 'global' or"),
        ({"backend": "jax"}, "unknown backend 'jax'"),
        ({"threads": 2}, "does not take a number of threads"),
        ({"random_state": -1}, "seed must be a whole number"),
    ],
    ids=str,
)
def test_a_parameter_outside_of_its_domain_is_told_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        small(**options).fit(IRIS)
    assert len(str(caught.value).splitlines()) == 1


def test_data_that_are_too_far_apart_are_refused() -> None:
    with pytest.raises(InputError, match=r"too far apart for float64: from -1e.308 to 1e.308; scale them first"):
        small().fit([[-1e308], [1e308]])


def test_importing_fastae_imports_no_scikit_learn_and_a_missing_one_is_named() -> None:
    script = """
import sys, fastae, fastae.trainer, fastae.model
assert "sklearn" not in sys.modules
sys.modules["sklearn"] = None
try:
    import fastae.sklearn
except fastae.errors.MissingPackage as error:
    assert isinstance(error, ImportError)
    print(error)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.startswith("fastae.sklearn needs scikit-learn 1.6 or newer, which does not import (")
    assert done.stdout.endswith("pip install 'fastae[sklearn]'\n")
    assert done.stderr == ""
