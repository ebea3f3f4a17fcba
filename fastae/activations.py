"""The activations of hidden layers; the last layer's is always the sigmoid, since images are in [0, 1]."""

from typing import NamedTuple

from fastae.errors import InputError


class Activation(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    kernel, gradient : str
        The contract's kernels: the activation of z + bias, and the delta times its derivative, from its output alone.
    init : str
        How weights begin unless one says otherwise; see `fastae.Autoencoder`.
    """

    kernel: str
    gradient: str
    init: str


ACTIVATIONS = {
    "sigmoid": Activation("bias_sigmoid", "sigmoid_gradient", "glorot-sigmoid"),
    "tanh": Activation("bias_tanh", "tanh_gradient", "glorot"),
    "relu": Activation("bias_relu", "relu_gradient", "he"),
}


def activation_of(name: object) -> str:
    """Return the name of an activation that there is; raises `InputError`."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}; the activations are: {', '.join(ACTIVATIONS)}")
    return name
