"""What can go wrong, as exceptions. Every message says what was wrong, what was expected and what to do."""

import re
from typing import Any


def gist(error: BaseException) -> str:
    """Return the line of a message that says something; Numba's begin with where it was, not with what is wrong."""
    try:
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Numba's are coloured where colorama is installed
    except Exception:  # somebody else's, whose own method fails
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failed in")]
    return lines[0] if lines else type(error).__name__


class FastaeError(Exception):
    """Base of every error that fastae raises on purpose; the command line turns it into one line and exit status 2.

    Attributes
    ----------
    common : bool
        Whether all ranks of a training raise it, so that one of them need say it.

    Examples
    --------
    >>> issubclass(InputError, FastaeError)
    True
    """

    common = False


class InputError(FastaeError, ValueError):
    """An argument outside its domain: an unknown name, a size that is not positive, a rate that is not finite.

    Examples
    --------
    >>> import fastae
    >>> fastae.SGD(lr=-1)
    Traceback (most recent call last):
        ...
    fastae.errors.InputError: the learning rate must be positive and finite; got -1
    """


class DataError(FastaeError, ValueError):
    """A data set that cannot be read: missing, truncated, of another format, or at odds with itself.

    Examples
    --------
    >>> import fastae
    >>> try:
    ...     fastae.load_dataset("no such folder")
    ... except DataError as error:
    ...     print("no data")
    no data
    """


class BackendUnavailable(FastaeError, RuntimeError):
    """A backend that cannot run on this machine; the message gives the reason and the remedy.

    Examples
    --------
    >>> raise BackendUnavailable("the backend 'cupy' cannot run here: CuPy is not installed")
    Traceback (most recent call last):
        ...
    fastae.errors.BackendUnavailable: the backend 'cupy' cannot run here: CuPy is not installed
    """


class MissingPackage(FastaeError, ImportError):
    """A package that what was asked for needs, and that is not installed; the message says how to install it.

    Examples
    --------
    >>> issubclass(MissingPackage, ImportError)
    True
    """


class CheckpointError(FastaeError, ValueError):
    """A saved model or checkpoint that is damaged, or belongs to another model or other settings.

    Examples
    --------
    >>> import fastae
    >>> try:
    ...     fastae.Autoencoder.load("no such model.npz")
    ... except CheckpointError as error:
    ...     print("no model")
    no model
    """


class OutputError(FastaeError, OSError):
    """A result that cannot be written.

    Examples
    --------
    >>> import fastae
    >>> try:
    ...     fastae.Autoencoder((4, 2)).save("no such folder/model.npz")
    ... except OutputError as error:
    ...     print("not written")
    not written
    """


class Diverged(FastaeError, ArithmeticError):
    """A training loss that became NaN or infinite; the message names the epoch, the batch and what made it so.

    Attributes
    ----------
    diagnosis : fastae.Diagnosis
        The same in parts.

    Examples
    --------
    >>> import fastae
    >>> found = fastae.Diagnosis("learning rate too large", "the loss is NaN", "It grew", "take a smaller one")
    >>> Diverged(found).diagnosis.cause
    'learning rate too large'
    """

    common = True  # every rank has the same loss

    def __init__(self, diagnosis: Any) -> None:
        super().__init__(str(diagnosis))
        self.diagnosis = diagnosis
