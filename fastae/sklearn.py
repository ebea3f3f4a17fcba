"""The autoencoder as a scikit-learn estimator, for pipelines, parameter searches and data frames.

Import it with ``from fastae.sklearn import Autoencoder``; it needs ``fastae[sklearn]``.
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
SMALL, UNIT = 45, 0.3  # the sum of squares below which the learning rate is larger; a sigmoid unit's part of the sum


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder for arbitrary numerical data, with one sample in each row.

    The network works on values in [0, 1]. Features are scaled to this range by their minimum and maximum in the data of
    `fit`, or of the first `partial_fit`; `inverse_transform` reverses the scaling. Later values outside of this range
    are clipped.

    Parameters
    ----------
    layers : sequence of int, Dense or Conv2d
        The layers of the encoder; an int is a dense layer with that many units. The last layer is the code. The decoder
        mirrors the encoder.
    image_shape : (height, width) or (height, width, channels), optional
        The shape of the samples if they are images, stored row by row with the channels last. `fastae.Conv2d` needs it.
    activation : {"sigmoid", "tanh", "relu"}
        The activation of all layers but the last, which is a sigmoid. The default is tanh, which needs fewer epochs on
        small data.
    loss : {"mse", "bce"}
        Squared error or cross-entropy of the scaled data.
    learning_rate : float or "auto"
        The loss is a sum over features. ``"auto"`` uses the learning rate of `fastae.rates.suggest`, and a larger one
        if samples have few features.
    momentum : float
        Momentum of SGD, at least 0 and below 1.
    schedule : {"cosine", "constant"}
        Whether the learning rate decreases from epoch to epoch of a `fit`; in `partial_fit` it is constant.
    epochs : int
        The number of passes over the data in `fit`.
    batch_size : int
        The number of samples in each update.
    scaling : {"feature", "global"} or (low, high)
        How features are scaled to [0, 1]: each by its own minimum and maximum, or all by those of the whole data, which
        suits images, or by given numbers such as (0, 255).
    backend : str
        One of `fastae.backends.names`. ``"numpy"`` starts at once; ``"numba"`` compiles for some seconds to a minute,
        once for each kind of network, and then trains several times faster.
    threads : int, optional
        Workers of the numba backend; by default their number is chosen from the available cores.
    random_state : int, RandomState or None
        Determines the initial parameters and the order of the samples. An int is used as the ``seed`` of
        `fastae.Autoencoder` and of `fastae.Trainer`.

    Attributes
    ----------
    model_ : fastae.Autoencoder
        The model, which is trained on scaled data; its dtype is that of the data, float32 or float64.
    history_ : fastae.History
        All epochs, with their losses.
    learning_rate_ : float
        The learning rate of the first epoch.
    data_min_, data_range_ : ndarray, (n_features,)
        Scaled data are ``(X - data_min_) / data_range_``. The range of a constant feature is 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if the data have column names.

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
            Finite numbers. float32 data are trained in float32, all others in float64.
        y : None
            Ignored.

        Returns
        -------
        Autoencoder
            The estimator itself.

        Raises
        ------
        ValueError
            The data are not finite numbers, or a parameter is outside its domain (`fastae.errors.InputError`).
        Diverged
            The loss became NaN or infinite.
        """
        return self._train(X, new=True, epochs=self.epochs, schedule=self.schedule)

    def partial_fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Train for one more epoch, on these samples; arguments, result and errors are those of `fit`."""
        return self._train(X, new=not hasattr(self, "model_"), epochs=1, schedule="constant")

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of samples, (n, n_features_out), in the dtype of the training data."""
        return self.model_.encode(np.clip(self._scaled(self._checked(X)), 0, 1))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decode codes, (n, n_features_out), to samples, (n, n_features), within the range of the training data."""
        check_is_fitted(self)
        codes = check_array(X, dtype=DTYPES, input_name="X")
        return self.model_.decode(codes) * self.data_range_ + self.data_min_

    def score(self, X: Any, y: Any = None) -> float:
        """Return the negative mean squared error of the reconstructions, over samples and scaled features.

        The error is computed from values that are not clipped, so values outside the range of the training data lower
        the score.
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
    """Return the learning rate for data that may have few features; `suggest` is meant for images.

    The effect of a layer's weights grows with the sum of the squares of its inputs. These are features or the outputs
    of the layer before, where each sigmoid adds about 0.3. If all these sums are small, the rate is larger in
    proportion.
    """
    model = trainer.model
    square = float(np.mean(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64)))
    units = UNIT * max(model.sizes[1:]) if model.activation == "sigmoid" else 0.0
    found = suggest(scaled, model, trainer.loss, trainer.optimizer.momentum, trainer.batch_size)
    return float(f"{found.lr * max(1.0, SMALL / max(square, units, 1.0)):.2g}")


def _range(X: np.ndarray, scaling: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each feature, the value that is scaled to 0, and its distance to the value that is scaled to 1."""
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
