"""The activations of hidden layers; the last layer's is always the sigmoid, since images are in [0, 1].

A new activation is a row here, the error bounds of its two kernels in ``check/bounds.py`` and, in each backend that
shall have it, the two kernels; CONTRIBUTING says in which files.
"""

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
    writes, gradient_writes : str
        The two kernels' formulas.
    flops, gradient_flops : int
        Arithmetic operations for each number; a sigmoid or a tanh counts as four.
    flat : (float, float)
        Outputs below the first or above the second lie where the slope is below 4% of the steepest, so that learning
        stops; (-inf, inf) for an activation that has no such part, or that learns there.
    dies : bool
        It is 0 with a slope of 0 for all negative inputs, so that a unit may be 0 for all images. `fastae.diagnose`
        then counts such units instead of flat outputs.
    rates : dict
        The learning rate that suits MNIST at batch size 16, by kind of network and loss, as measured in
        docs/learning-rate.md. To begin with, take those of the most similar activation.
    module, operator : str
        Its names in ``torch.nn`` and in ONNX.

    Examples
    --------
    >>> ACTIVATIONS["tanh"].kernel, ACTIVATIONS["tanh"].writes
    ('bias_tanh', 'tanh(z + bias)')
    """

    kernel: str
    gradient: str
    init: str
    writes: str
    gradient_writes: str
    flops: int
    gradient_flops: int
    flat: tuple[float, float]
    dies: bool
    rates: dict[str, dict[str, float]]
    module: str
    operator: str


ACTIVATIONS = {
    "sigmoid": Activation(
        kernel="bias_sigmoid",
        gradient="sigmoid_gradient",
        init="glorot-sigmoid",
        writes="σ(z + bias)",
        gradient_writes="delta · y · (1 − y)",
        flops=5,
        gradient_flops=3,
        flat=(0.01, 0.99),
        dies=False,
        rates={"dense": {"mse": 0.25, "bce": 0.05}, "conv": {"mse": 0.02, "bce": 0.01}},
        module="Sigmoid",
        operator="Sigmoid",
    ),
    "tanh": Activation(
        kernel="bias_tanh",
        gradient="tanh_gradient",
        init="glorot",
        writes="tanh(z + bias)",
        gradient_writes="delta · (1 − y²)",
        flops=5,
        gradient_flops=3,
        flat=(-0.98, 0.98),
        dies=False,
        rates={"dense": {"mse": 0.03, "bce": 0.01}, "conv": {"mse": 0.02, "bce": 0.004}},
        module="Tanh",
        operator="Tanh",
    ),
    "relu": Activation(
        kernel="bias_relu",
        gradient="relu_gradient",
        init="he",
        writes="max(0, z + bias)",
        gradient_writes="delta where y > 0, else 0",
        flops=2,
        gradient_flops=1,
        flat=(0.0, float("inf")),
        dies=True,
        rates={"dense": {"mse": 0.02, "bce": 0.004}, "conv": {"mse": 0.005, "bce": 0.0015}},
        module="ReLU",
        operator="Relu",
    ),
}


def activation_of(name: object) -> str:
    """Return the name of an activation that there is; raises `InputError`.

    Examples
    --------
    >>> activation_of("relu")
    'relu'
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}; the activations are: {', '.join(ACTIVATIONS)}")
    return name
