"""CUDA sources, as package data."""

from pathlib import Path


def source(name: str) -> str:
    """Return the text of a ``.cu`` file of this folder."""
    return (Path(__file__).parent / name).read_text()
