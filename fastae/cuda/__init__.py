"""CUDA sources, as package data."""

from pathlib import Path


def source(name: str) -> str:
    """Return the text of a ``.cu`` file of this folder, by whose name a compiler's messages will call it."""
    return f'#line 1 "{name}"\n' + (Path(__file__).parent / name).read_text()
