"""Stochastic gradient descent: the learning rate, its schedule, and momentum."""

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
    lr : float
        Learning rate, positive and finite. The loss is a sum over pixels: what is 0.25 here would be 196 for a mean
        over 784 pixels, which is what ``torch.nn.MSELoss`` takes.
    momentum : float
        In [0, 1); as PyTorch defines it.
    schedule : {"constant", "cosine"}
        Whether every epoch has that rate, or the first alone and each later one a smaller; see `rate`.

    Raises
    ------
    InputError
        A value outside those bounds.
    """

    lr: float = 0.25
    momentum: float = 0.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        if not (_is_number(self.lr) and 0 < self.lr < math.inf):
            raise InputError(f"the learning rate must be positive and finite; got {self.lr!r}")
        if not (_is_number(self.momentum) and 0 <= self.momentum < 1):
            raise InputError(f"the momentum must be at least 0 and below 1; got {self.momentum!r}")
        if self.schedule not in SCHEDULES:
            raise InputError(f"unknown schedule {self.schedule!r}; the schedules are: {', '.join(SCHEDULES)}")

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch.

        A cosine takes it from ``lr`` in the first epoch towards 0 behind the last:
        lr · (1 + cos(π · epoch / epochs)) / 2. (Loshchilov and Hutter, SGDR: stochastic gradient descent with warm
        restarts, ICLR 2017; here without the restarts.)

        Parameters
        ----------
        epoch : int
            From 0.
        epochs : int
            Of the whole training.
        """
        if self.schedule == "constant":
            return float(self.lr)
        return float(self.lr) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _is_number(x: Any) -> bool:
    return isinstance(x, numbers.Real) and not isinstance(x, bool)
