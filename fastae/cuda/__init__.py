"""CUDA sources, as package data."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


def source(name: str) -> str:
    """Return the text of a ``.cu`` file of this folder with what it includes, each file once.

    A compiler's messages will call every file by its name and count its lines.
    """
    return _text(name, set())


def _text(name: str, seen: set[str]) -> str:
    text = (FOLDER / name).read_text(encoding="utf-8").replace("#pragma once", "")

    def included(match: re.Match[str]) -> str:
        if match[1] in seen:
            return ""
        seen.add(match[1])
        line = text.count("\n", 0, match.start()) + 2
        return f'{_text(match[1], seen)}\n#line {line} "{name}"'

    return f'#line 1 "{name}"\n' + INCLUDE.sub(included, text)
