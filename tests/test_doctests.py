"""Every public function and class has an example in its docstring, and the examples give what they say."""

import doctest
import importlib
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import fastae
import fastae.backends
import fastae.layers

API = Path(__file__).parent.parent / "docs" / "api.md"
WITHOUT = {  # what an example would need
    "fastae.ranks.World": "mpiexec",
    "fastae.ranks.session.SharedSession": "mpiexec",
    "fastae.backends.cupy_backend.session.CupySession": "a GPU",
}


def public_names() -> list[str]:
    names = re.findall(r"~(fastae\.[\w.]+)", API.read_text(encoding="utf-8"))
    for module in (fastae, fastae.backends, fastae.layers):
        names += [f"{module.__name__}.{name}" for name in module.__all__]
    return list(dict.fromkeys(names))


def found(name: str) -> Any:
    home, _, last = name.rpartition(".")
    return getattr(importlib.import_module(home), last)


def documented() -> dict[str, Any]:
    """Return the public functions and classes by name, without modules and tables."""
    objects = {name: found(name) for name in public_names()}
    return {name: inspect.unwrap(x) for name, x in objects.items() if inspect.isclass(x) or inspect.isfunction(x)}


def test_every_public_name_has_an_example() -> None:
    lacking = [name for name, x in documented().items() if ">>>" not in (x.__doc__ or "")]
    assert sorted(lacking) == sorted(WITHOUT)


@pytest.mark.parametrize("module", sorted({x.__module__ for x in documented().values()}))
def test_examples_give_what_they_say(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, in which they may write."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
