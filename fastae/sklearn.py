"""The autoencoder as scikit-learn has its estimators, for its pipelines, searches and data frames.

It is imported only when asked for, ``from fastae.sklearn import Autoencoder``, and needs ``fastae[sklearn]``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastae import model as models
from fastae.errors import InputError, MissingPackage
from fastae.layers import Conv2d, Dense
from fastae.layers.layer import is_whole
from fastae.optimizer import SGD
from fastae.rates import suggest
from fastae.trainer import Trainer

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackage(
        f"fastae.sklearn needs scikit-learn 1.6 or newer, which does not import ({error}); "
        "pip install 'fastae[sklearn]'"
    ) from error

__all__ = ["Autoencoder"]

DTYPES = (np.float64, np.float32)
SMALL, UNIT = 45, 0.3  # a sum of squares below which learning rates may be larger, and what a sigmoid's unit adds to it


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder that learns codes of any data, samples in rows.

    The network works in [0, 1]. Features are brought there by the least and the greatest value that `fit` saw, or the
    first `partial_fit`, and `inverse_transform` leads back. What is beyond them later is clipped.

    Parameters
    ----------
    layers : sequence of int, Dense or Conv2d
        The encoder behind the features; a number is a dense layer of so many units. The last is the code; the decoder
        mirrors them all.
    image_shape : (height, width) or (height, width, channels), optional
        Of samples that are images, their rows of pixels one after another, channels last; `fastae.Conv2d` needs it.
    activation : {"sigmoid", "tanh", "relu"}
        Of all layers but the last. The default is tanh here, since it learns from small data in fewer epochs.
    loss : {"mse", "bce"}
        Squared error or cross-entropy, of the scaled data.
    learning_rate : float or "auto"
        The loss is a sum over features. ``"auto"`` takes what `fastae.rates.suggest` says of the data, and more where
        samples have few features.
    momentum : float
        Of SGD, at least 0 and below 1.
    schedule : {"cosine", "constant"}
        Whether the learning rate falls from epoch to epoch of a `fit`; that of `partial_fit` is constant.
    epochs : int
        Times that a `fit` sees every sample.
    batch_size : int
        Samples in one update.
    scaling : {"feature", "global"} or (low, high)
        By which values features are brought to [0, 1]: each by its own least and greatest, or all by those of the whole
        data, as images want it, whose pixels are of one kind; or by the numbers that are given, such as (0, 255).
    backend : str
        One of `fastae.backends.names`. ``"numpy"`` starts at once; ``"numba"`` compiles for some seconds to a minute,
        once for each kind of network, and then trains several times faster.
    threads : int, optional
        Workers of the numba backend; by default as many as help.
    random_state : int, RandomState or None
        Draws the initial parameters and the order of samples. A number is the seed of both, as `fastae.Autoencoder` and
        `fastae.Trainer` take it.

    Attributes
    ----------
    model_ : fastae.Autoencoder
        What was trained, on scaled data; its dtype is that of the data, float32 or float64.
    history_ : fastae.History
        All epochs, with their losses.
    learning_rate_ : float
        With which training began.
    data_min_, data_range_ : ndarray, (n_features,)
        Scaled data are ``(X - data_min_) / data_range_``. The range of a constant feature is 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If the data had names.

    Examples
    --------
    >>> samples = np.random.default_rng(0).random((50, 6))
    >>> estimator = Autoencoder(layers=[4, 2], epochs=2, backend="numpy", random_state=0)
    >>> estimator.fit_transform(samples).shape
    (50, 2)
    """

    def __init__(
        self,
        layers: Sequence[int | Dense | Conv2d] = (64, 16),
        *,
        image_shape: Sequence[int] | None = None,
        activation: str = "tanh",
        loss: str = "mse",
        learning_rate: float | str = "auto",
        momentum: float = 0.0,
        schedule: str = "cosine",
        epochs: int = 100,
        batch_size: int = 16,
        scaling: str | tuple[float, float] = "feature",
        backend: str = "numpy",
        threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.layers = layers
        self.image_shape = image_shape
        self.activation = activation
        self.loss = loss
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.scaling = scaling
        self.backend = backend
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Train a new network.

        Parameters
        ----------
        X : array_like, (n, n_features)
            Numbers, none of them NaN or infinite. float32 is trained in float32, all else in float64.
        y : None
            Ignored.

        Raises
        ------
        ValueError
            Data that are no such numbers, or a parameter outside its domain, as `fastae.errors.InputError`.
        Diverged
            The loss became NaN or infinite.
        """
        return self._train(X, new=True, epochs=self.epochs, schedule=self.schedule)

    def partial_fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Go on training, for one epoch of these samples; arguments and errors as `fit` has them."""
        return self._train(X, new=not hasattr(self, "model_"), epochs=1, schedule="constant")

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of samples, (n, n_features_out), in the dtype of the data that were trained on."""
        return self.model_.encode(np.clip(self._scaled(self._checked(X)), 0, 1))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the samples that codes stand for, (n, n_features), within the range of the training data."""
        check_is_fitted(self)
        codes = check_array(X, dtype=DTYPES, input_name="X")
        return self.model_.decode(codes) * self.data_range_ + self.data_min_

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean squared error of reconstructions, over samples and scaled features.

        Here nothing is clipped: what lies beyond the range of the training data is far from its reconstruction.
        """
        scaled = self._scaled(self._checked(X))
        error = self.model_.reconstruct(np.clip(scaled, 0, 1)) - scaled
        return -float(np.mean(np.square(error, dtype=np.float64)))

    @property
    def _n_features_out(self) -> int:
        return self.model_.sizes[-1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=DTYPES, reset=False)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return (X - self.data_min_) / self.data_range_

    def _train(self, X: Any, new: bool, epochs: int, schedule: str) -> "Autoencoder":
        X = validate_data(self, X, dtype=DTYPES, reset=new)
        if new:
            self.data_min_, self.data_range_ = _range(X, self.scaling)
        scaled = np.clip(self._scaled(X), 0, 1)
        if new:
            self._begin(scaled, SGD(self.learning_rate, self.momentum, schedule))
        self._trainer.optimizer = replace(self._trainer.optimizer, schedule=schedule)
        self._trainer.fit(scaled, epochs, progress=False)
        return self

    def _begin(self, scaled: np.ndarray, optimizer: SGD) -> None:
        seed = _seed(self.random_state)
        model = self._network(scaled, seed)
        trainer = Trainer(model, self.loss, optimizer, self.backend, self.batch_size, seed, self.threads)
        if trainer.optimizer.lr == "auto":
            trainer.optimizer = replace(optimizer, lr=_rate(scaled, trainer))
        self.model_, self.history_, self._trainer = model, trainer.history, trainer
        self.learning_rate_ = float(trainer.optimizer.lr)

    def _network(self, X: np.ndarray, seed: int) -> models.Autoencoder:
        features = X.shape[1]
        options: dict[str, Any] = {"seed": seed, "dtype": X.dtype.name, "activation": self.activation}
        layers: Any = self.layers
        if not isinstance(layers, Sequence | np.ndarray) or not len(layers):
            raise InputError(f"layers must be a sequence such as (256, 128); got {layers!r}")
        specs = [Dense(layer) if is_whole(layer) else layer for layer in layers]
        units: list[Any] = [spec.units if isinstance(spec, Dense) else None for spec in specs]
        if self.image_shape is None and all(is_whole(n) for n in units):
            return models.Autoencoder((features, *units), **options)
        model = models.Autoencoder(layers=specs, image_shape=self.image_shape, **options)
        if model.sizes[0] != features:
            raise InputError(
                f"samples have {features} features, but images of {model.image_shape} have {model.sizes[0]} numbers; "
                "give image_shape"
            )
        return model


def _seed(random_state: Any) -> int:
    return random_state if is_whole(random_state) else check_random_state(random_state).randint(2**31 - 1)


def _rate(scaled: np.ndarray, trainer: Trainer) -> float:
    """Return the learning rate for data that may have few features, where `suggest` has images in mind.

    How strongly a layer's weights act is the sum of the squares of its inputs: of features, or of the units before it,
    where a sigmoid's has some 0.3. Where all such sums are small the rate may be larger in proportion.
    """
    model = trainer.model
    square = float(np.mean(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64)))
    units = UNIT * max(model.sizes[1:]) if model.activation == "sigmoid" else 0.0
    found = suggest(scaled, model, trainer.loss, trainer.optimizer.momentum, trainer.batch_size)
    return float(f"{found.lr * max(1.0, SMALL / max(square, units, 1.0)):.2g}")


def _range(X: np.ndarray, scaling: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what becomes 0, and how far from it is what becomes 1, of each feature."""
    if isinstance(scaling, str) and scaling in ("feature", "global"):
        axis = 0 if scaling == "feature" else None
        low, high = X.min(axis=axis), X.max(axis=axis)
    else:
        try:
            low, high = (X.dtype.type(bound) for bound in scaling)
            ok = np.isfinite(low) and np.isfinite(high) and low < high
        except (TypeError, ValueError):
            ok = False
        if not ok:
            raise InputError(f"scaling must be 'feature', 'global' or (low, high) with low < high; got {scaling!r}")
    with np.errstate(over="ignore"):
        width = np.asarray(high - low)
    if not np.isfinite(width).all():
        raise InputError(f"the data are too far apart for {X.dtype}: from {X.min():g} to {X.max():g}; scale them first")
    features = X.shape[1]
    return np.full(features, low, X.dtype), np.full(features, np.where(width > 0, width, 1), X.dtype)
