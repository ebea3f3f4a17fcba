"""The backends, by name: ``get`` one, or ask which of them work here.

A backend is a class derived from `fastae.backends.base.Backend` and named in the entry-point group
``fastae.backends``, ours and a third party's alike. Nothing is imported before it is asked for.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from fastae.backends.base import Availability, Backend
from fastae.errors import BackendUnavailable, InputError

__all__ = ["Availability", "Backend", "availability", "get", "names"]

# A checkout on PYTHONPATH has no installed entry points, so our own are named here too.
_OURS = {
    "numpy": "fastae.backends.numpy_backend:NumpyBackend",
    "numba": "fastae.backends.numba_backend:NumbaBackend",
    "cupy": "fastae.backends.cupy_backend:CupyBackend",
    "emulator": "fastae.backends.emulator:EmulatorBackend",
}


def _entries() -> dict[str, EntryPoint]:
    ours = {name: EntryPoint(name, value, "fastae.backends") for name, value in _OURS.items()}
    return {entry.name: entry for entry in entry_points(group="fastae.backends")} | ours


def names() -> list[str]:
    """Return the names of all registered backends, whether they work here or not."""
    return list(_OURS) + sorted(set(_entries()) - set(_OURS))


@cache
def _class_of(name: str) -> type[Backend]:
    entries = _entries()
    if name not in entries:
        raise InputError(f"unknown backend {name!r}; the backends are: auto, {', '.join(names())}")
    return entries[name].load()


@cache
def _probe(name: str) -> Availability:
    try:
        return _class_of(name).availability()
    except Exception as error:  # somebody else's backend: whatever is wrong with it must not hide the others
        reason = f"it does not load: {type(error).__name__}: {error}".splitlines()[0]
        return Availability(False, reason, "repair or uninstall the package that registers it")


def availability() -> dict[str, Availability]:
    """Tell for each backend whether it works on this machine, or why not and what mends it.

    Returns
    -------
    dict of str to Availability
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
    """
    if name == "auto":
        name = "cupy" if _probe("cupy").ok else "numba"
    if name not in names():
        _class_of(name)
    ok, reason, remedy = _probe(name)
    if not ok:
        raise BackendUnavailable(f"the backend {name!r} cannot run here: {reason} ({remedy})")
    return _instance(name)
