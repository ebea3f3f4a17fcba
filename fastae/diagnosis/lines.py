"""The figures of a training as text, for ``fastae train --verbose``."""

from typing import Any

from fastae.activations import ACTIVATIONS


def beginning(start: dict[str, Any], activation: str) -> str:
    """Return two lines about the data and the untrained network, from `fastae.History.start`."""
    data = (
        f"data: {start['images']:,} images of {start['pixels']:,} pixels, of which {start['varying']:,} vary; mean "
        f"{start['mean']:.3f}, largest {start['largest']:.3g} of 255; {start['room']} principal components explain "
        f"{start['in_room']:.0%} of the variance; the mean image gives {start['mean_image_mse']:.4f} a pixel"
    )
    initial = start.get("initial")
    return data if initial is None else f"{data}\nbefore the first update: {network(initial, activation)}"


def epoch(found: dict[str, Any], activation: str) -> str:
    """Return one line about an epoch, given as an entry of `fastae.History.as_dicts`."""
    signs = found["signs"]
    parts, tested = signs["parts"], found["test_mse"]
    return (
        f"epoch {found['epoch']}: loss {found['train_loss']:.2f}, first tenth {parts[0]:.2f}, last {parts[-1]:.2f}"
        + ("" if tested is None else f"; test error {tested:.4f}")
        + f"; {network(signs, activation)}; weights moved {shares(signs['moved'])}"
    )


def network(signs: dict[str, Any], activation: str) -> str:
    """Return the figures of the network that both the untrained one and each epoch have."""
    flat = "off" if ACTIVATIONS[activation].dies else "saturated"
    return (
        f"{flat} {shares(signs['flat'])}, code varies by {signs['code_spread']:.2g}, "
        f"reconstructions by {signs['output_spread']:.2g}"
    )


def shares(found: list[float]) -> str:
    """Return the layers' shares in percent."""
    return " ".join(f"{share:.1%}" for share in found)
