"""The optimizer, stochastic gradient descent: learning rate, schedule and momentum."""

import math
import numbers
from dataclasses import dataclass
from typing import Any

from fastae.errors import InputError

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, W ← W − lr · v with v ← momentum · v + gradient.

    Parameters
    ----------
    lr : float or "auto"
        The learning rate, positive and finite. The loss is a sum over pixels, so a rate of 0.25 here corresponds to 196
        for a mean over 784 pixels, as in ``torch.nn.MSELoss``. With ``"auto"`` a `Trainer` uses the rate that
        `fastae.rates.suggest` returns for the network, the loss and the images of its first `fit`.
    momentum : float
        In [0, 1), as PyTorch defines it.
    schedule : {"constant", "cosine"}
        Whether the rate is the same in every epoch, or decreases from epoch to epoch; see `rate`.

    Raises
    ------
    InputError
        A value is out of range.

    Examples
    --------
    >>> sgd = SGD(0.1, momentum=0.9, schedule="cosine")
    >>> [round(sgd.rate(epoch, 4), 3) for epoch in range(4)]
    [0.1, 0.085, 0.05, 0.015]
    """

    lr: float | str = 0.25
    momentum: float = 0.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        lr: Any = self.lr
        if lr != "auto" and not (_is_number(lr) and 0 < lr < math.inf):
            raise InputError(f"the learning rate must be positive and finite; got {lr!r}")
        if not (_is_number(self.momentum) and 0 <= self.momentum < 1):
            raise InputError(f"the momentum must be at least 0 and below 1; got {self.momentum!r}")
        if self.schedule not in SCHEDULES:
            raise InputError(f"unknown schedule {self.schedule!r}; the schedules are: {', '.join(SCHEDULES)}")

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch.

        With the schedule "cosine" it decreases from ``lr`` in the first epoch towards 0 after the last one:
        lr · (1 + cos(π · epoch / epochs)) / 2 (Loshchilov and Hutter, SGDR: stochastic gradient descent with warm
        restarts, ICLR 2017; here without the restarts).

        Parameters
        ----------
        epoch : int
            From 0.
        epochs : int
            The number of epochs of the whole training.

        Returns
        -------
        float

        Raises
        ------
        InputError
            The learning rate is still ``"auto"``.
        """
        if self.lr == "auto":
            raise InputError("lr='auto' has no value before a trainer's first fit; give a number, or fit first")
        if self.schedule == "constant":
            return float(self.lr)
        return float(self.lr) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _is_number(x: Any) -> bool:
    return isinstance(x, numbers.Real) and not isinstance(x, bool)
