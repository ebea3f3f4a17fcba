"""The registry of backends: get one by its name, or list which of them work on this machine.

A backend is a class derived from `fastae.backends.base.Backend` and named in the entry-point group
``fastae.backends``, fastae's own and third parties' alike. A backend is imported when it is first used.
"""

from functools import cache
from importlib import import_module
from typing import Any

from fastae.backends.base import Availability, Backend
from fastae.errors import BackendUnavailable, InputError

__all__ = ["Availability", "Backend", "availability", "get", "names"]

# Fastae's own are listed here: to search the entry points of all installed packages takes a while.
_OURS = {
    "numpy": "numpy_backend.NumpyBackend",
    "numba": "numba_backend.NumbaBackend",
    "cupy": "cupy_backend.CupyBackend",
    "emulator": "emulator.EmulatorBackend",
}


def _installed() -> list[Any]:
    """Return the entry points of the group, ours among them where fastae is installed."""
    from importlib.metadata import entry_points

    return list(entry_points(group="fastae.backends"))


def _others() -> dict[str, Any]:
    return {entry.name: entry for entry in _installed() if entry.name not in _OURS}


def names() -> list[str]:
    """Return the names of all registered backends, whether they work here or not.

    Examples
    --------
    >>> names()[:4]
    ['numpy', 'numba', 'cupy', 'emulator']
    """
    return [*_OURS, *sorted(_others())]


@cache
def _class_of(name: str) -> type[Backend]:
    if name in _OURS:
        module, _, kind = _OURS[name].partition(".")
        return getattr(import_module(f"fastae.backends.{module}"), kind)
    others = _others()
    if name not in others:
        raise InputError(f"unknown backend {name!r}; the backends are: auto, {', '.join([*_OURS, *sorted(others)])}")
    return others[name].load()


@cache
def _probe(name: str) -> Availability:
    try:
        return _class_of(name).availability()
    except Exception as error:  # a third party's backend must not hide the others, whatever is wrong with it
        reason = f"it does not load: {type(error).__name__}: {error}".splitlines()[0]
        return Availability(False, reason, "repair or uninstall the package that registers it")


def availability() -> dict[str, Availability]:
    """Tell for each backend whether it works on this machine, or why not and how to change that.

    Returns
    -------
    dict of str to Availability

    Examples
    --------
    >>> availability()["numpy"]
    Availability(ok=True, reason='', remedy='')
    """
    return {name: _probe(name) for name in names()}


@cache
def _instance(name: str) -> Backend:
    return _class_of(name)()


def get(name: str = "auto") -> Backend:
    """Return the backend of that name.

    Parameters
    ----------
    name : str
        One of `names`, or ``"auto"``: cupy where a GPU works, else numba.

    Raises
    ------
    InputError
        No backend has that name.
    BackendUnavailable
        It cannot run on this machine; the message says why and what to do.

    Examples
    --------
    >>> get("numpy").name
    'numpy'
    """
    if name == "auto":
        name = "cupy" if _probe("cupy").ok else "numba"
    if name not in _OURS and name not in names():
        _class_of(name)
    ok, reason, remedy = _probe(name)
    if not ok:
        raise BackendUnavailable(f"the backend {name!r} cannot run here: {reason} ({remedy})")
    return _instance(name)
