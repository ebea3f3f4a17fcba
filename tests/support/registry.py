"""Lets a test begin with no backend looked up."""

from fastae import backends
from fastae.backends.cupy_backend import diagnose


def forget_backends() -> None:
    """Empty the caches of `fastae.backends`, so that the next question is answered anew."""
    for cached in (backends._class_of, backends._probe, backends._instance, diagnose):
        cached.cache_clear()
