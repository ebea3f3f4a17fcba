"""CUDA sources, as package data."""

from pathlib import Path

from fastae.cuda.includes import included

FOLDER = Path(__file__).parent


def source(name: str) -> str:
    """Return the text of a ``.cu`` file of this folder with what it includes, each file once.

    A compiler's messages will call every file by its name and count its lines.
    """
    text = (FOLDER / name).read_text(encoding="utf-8")
    return f'#line 1 "{name}"\n{included(text, name, FOLDER)}'
