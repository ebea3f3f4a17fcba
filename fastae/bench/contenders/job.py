"""What all contenders share: the model, where it starts, the learning rate and the order of the images."""

import numpy as np

import fastae

SEED = 0
RATES = {"mse": 0.05, "bce": 0.01}  # small enough that no batch size saturates the units or diverges
STEPS_A_GRAPH = 16  # of what is captured into a CUDA graph: as many as fastae's own


def initial_parameters() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw the weights (inputs, outputs) and biases (outputs,) of 784-256-128-256-784 in float32, by layer."""
    model = fastae.Autoencoder(seed=SEED)
    return model.weights, model.biases


def epoch_order(epoch: int, n: int) -> np.ndarray:
    """Return the order of the n images in that epoch (from 0), int64 (n,)."""
    return np.random.default_rng([1, SEED, epoch]).permutation(n)
