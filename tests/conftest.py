"""What several test modules share: a way to register a backend as a third party's package would."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fastae import backends


def forget_backends() -> None:
    """Empty the caches of `fastae.backends`, so that the next question is answered anew."""
    for cached in (backends._class_of, backends._probe, backends._instance):
        cached.cache_clear()


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Callable[[], Any]], None]]:
    """Return a function that registers, for one test, an entry point of that name with that ``load``."""
    installed = backends.entry_points
    more = []
    monkeypatch.setattr(backends, "entry_points", lambda group: [*installed(group=group), *more])

    def add(name: str, load: Callable[[], Any]) -> None:
        more.append(SimpleNamespace(name=name, load=load))
        forget_backends()

    yield add
    forget_backends()
