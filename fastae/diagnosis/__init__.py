"""Why a training failed: the figures of its epochs, and the cause that they show.

- ``measure``: computes the figures on a small sample of the images
- ``case``: one training: its figures, and what follows from them
- ``causes``: the table of causes. Each is a function in ``data``, ``start``, ``rate`` or ``network`` that looks at a
  case and returns a ``finding``, or None
- ``lines``: the figures as ``fastae train --verbose`` prints them

`diagnose` goes through the table. To add a cause, write its function and add its row.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastae.diagnosis import measure
from fastae.diagnosis.case import WORSE, Broken, Case
from fastae.diagnosis.causes import CAUSES
from fastae.diagnosis.finding import Finding, times
from fastae.diagnosis.network import unknown
from fastae.errors import InputError

__all__ = ["Broken", "Diagnosis", "diagnose", "measure"]


class Diagnosis(NamedTuple):
    """Why a training failed.

    Attributes
    ----------
    cause : str
        The name of the cause, such as ``"saturated at the start"``; ``"unknown"`` if the figures fit no single one.
    outcome : str
        How the training ended.
    sentence : str
        The cause, with the figures that show it.
    mend : str
        What to do, with the value to use.
    others : tuple of str
        Names of further causes, which are sure to remain when the first is mended.

    Examples
    --------
    >>> Diagnosis("unknown", "the loss did not fall", "nothing is known of it", "try another seed").others
    ()
    """

    cause: str
    outcome: str
    sentence: str
    mend: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.outcome}. {self.sentence}. To fix it: {self.mend}."


def diagnose(training: Any, broken: Broken | None = None) -> Diagnosis | None:
    """Return why a training failed, or None if its figures show no failure.

    A training has failed if its test error is hardly better than that of the mean image; if it has stopped learning
    far from what principal components give; if its loss goes up and down; or if it is far worse on test images than on
    training images. A training that diverges raises `fastae.errors.Diverged`, whose attribute ``diagnosis`` is what
    this function returns for it.

    Parameters
    ----------
    training : Trainer, mapping or path-like
        A trainer after its `fit`; or the ``history.json`` of a run, as a dict or by its path.
    broken : Broken, optional
        Where the loss or a weight became NaN or infinite, if the training diverged.

    Returns
    -------
    Diagnosis or None

    Raises
    ------
    InputError
        `training` is neither of these, or the file cannot be read.

    Examples
    --------
    >>> import fastae
    >>> images, _ = fastae.load_dataset(split="test")
    >>> trainer = fastae.Trainer(fastae.Autoencoder(init=1.0), backend="numpy")
    >>> history = trainer.fit(images[:500], 1, progress=False)
    >>> fastae.diagnose(trainer).cause
    'saturated at the start'
    """
    config, start, epochs = _read(training)
    epochs = [epoch for epoch in epochs if epoch.get("signs")]
    if not start or not (epochs or broken):
        return None  # of an older release
    case = Case(config, start, epochs, broken)
    if not case.failed:
        return None
    found = _causes(case)
    if not found:
        if not case.blob:
            return None  # it learned less than it could have, and the figures do not show why
        found = {"unknown": unknown(case)}
    first, *others = found
    sentence = "; and ".join(finding.sentence for finding in found.values())
    mend = "; and ".join(finding.mend for finding in found.values())
    return Diagnosis(first, _outcome(case), sentence[0].upper() + sentence[1:], mend, tuple(others))


def _causes(case: Case) -> dict[str, Finding]:
    """Return what the first cause found reports, by its name, and then what those report that are sure to remain.

    Of each kind only the first cause is returned. What is wrong with the data is always returned alone.
    """
    found: dict[str, Finding] = {}
    kinds: set[str] = set()
    for name, kind, find in CAUSES:
        if kind in kinds or (case.broken and kind not in ("rate", "start")):
            continue
        finding = find(case)
        if finding and (not found or finding.remains):
            found[name] = finding
            kinds.add(kind)
            if kind == "data":
                break
    return found


def _outcome(case: Case) -> str:
    """Return how the training ended, for the beginning of the diagnosis."""
    if case.broken:
        epoch, batch, layer = case.broken
        which = f" of layer {layer}" if layer else ""
        return f"the loss or a weight{which} became NaN or infinite in epoch {epoch}, batch {batch}"
    if not (case.mean_image and case.start["varying"]):
        return "The network has nothing to learn"
    if case.ratio > WORSE:
        return f"The network is {times(case.ratio)} times as far off as the mean image"
    if case.blob:
        return "The network has learned hardly more than the mean image: the same blob for every image"
    if case.shifted:
        return "The test error says little about the network"
    if case.forgets:
        worse = times(case.error / case.signs["sample_mse"])
        return f"The network is {worse} times worse on test images than on those that it has seen"
    if case.unstable:
        return "The training goes up and down"
    return f"The training stopped at {case.ratio:.0%} of the mean image's error"


def _read(training: Any) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    if hasattr(training, "history") and hasattr(training, "settings"):
        return training.settings(), training.history.start, training.history.as_dicts()
    if isinstance(training, str | os.PathLike):
        try:
            training = json.loads(Path(training).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{training}: not a history.json that can be read: {error}") from error
    if not isinstance(training, Mapping) or not {"config", "epochs"} <= set(training):
        raise InputError(f"expected a Trainer, a history.json or what it holds; got {type(training).__name__}")
    return training["config"], training.get("start", {}), training["epochs"]
