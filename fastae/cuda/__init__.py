"""CUDA sources, as package data."""

from pathlib import Path

from fastae.cuda.includes import included

FOLDER = Path(__file__).parent


def source(name: str) -> str:
    """Return the text of a ``.cu`` file of this folder with the files that it includes, each once.

    A compiler's messages name every file and count its own lines.
    """
    text = (FOLDER / name).read_text(encoding="utf-8")
    return f'#line 1 "{name}"\n{included(text, name, FOLDER)}'
