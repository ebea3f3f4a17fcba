"""Why a training failed: figures of each epoch, and the cause that they show.

- ``measure``: the figures, on a small sample of the images
- ``case``: a training as its figures tell it
- ``causes``: the table of causes, and ``words`` and ``data_words``: what is said of them
- ``lines``: the figures as ``fastae train --verbose`` shows them
- here: `diagnose`
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastae.diagnosis import measure
from fastae.diagnosis.case import Broken, Case
from fastae.diagnosis.causes import CAUSES, Cause
from fastae.diagnosis.words import outcome
from fastae.errors import InputError

__all__ = ["Broken", "Diagnosis", "diagnose", "measure"]


class Diagnosis(NamedTuple):
    """Why a training failed.

    Attributes
    ----------
    cause : str
        Its name, such as ``"saturated at the start"``; ``"unknown"`` where the figures fit none.
    outcome : str
        What came of the training.
    sentence : str
        The cause, with the figures that show it.
    mend : str
        What to do, with its number.
    others : tuple of str
        Names of what would have to be mended as well.

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
        return f"{self.outcome}. {self.sentence}. To mend it: {self.mend}."


def diagnose(training: Any, broken: Broken | None = None) -> Diagnosis | None:
    """Return why a training failed, or None if its figures show no failure.

    A training has failed that ends no better than the mean image, or hardly; that has stopped far from what principal
    components give; whose loss goes up and down; or that is far worse on test images than on those that it has seen.
    What made a training diverge is told by the exception, as ``error.diagnosis``.

    Parameters
    ----------
    training : Trainer, mapping or path-like
        A trainer after its `fit`, or a run's history.json, as a dict or by its path.
    broken : Broken, optional
        Where it became NaN or infinite, of a training that did.

    Raises
    ------
    InputError
        Something else.

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
    found = [cause for cause in CAUSES if cause.holds(case) and (not broken or cause.kind in ("rate", "start"))]
    first = found[0]
    if not (first.kind or case.blob):
        return None  # it has come less far than it might, and nothing says why
    also = _also(case, found)
    sentence, mend = first.told(case), first.mend(case)
    if also:
        sentence += "".join(f"; and {cause.told(case)}" for cause in also)
        mend += "".join(f"; and {cause.mend(case)}" for cause in also)
    sentence = sentence[0].upper() + sentence[1:]
    return Diagnosis(first.name, outcome(case), sentence, mend, tuple(cause.name for cause in also))


def _also(case: Case, found: list[Cause]) -> list[Cause]:
    """Return the causes that would be left if the first were mended; of each kind the first."""
    also: list[Cause] = []
    for cause in found[1:]:
        if cause.also(case) and cause.kind not in {found[0].kind, *(other.kind for other in also)}:
            also.append(cause)
    return also if found[0].kind != "data" else []


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
