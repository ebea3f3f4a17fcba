"""What the package takes from Numba: one module of it imports Numba's inside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import fastae

PACKAGE = Path(fastae.__file__).parent
INTERNALS = PACKAGE / "backends" / "numba_backend" / "internals.py"
LEARNERS = [*(PACKAGE / "ladder").glob("*/numba/*.py"), *(PACKAGE / "check" / "gallery").glob("*.py")]
PROMISED = {"njit"}  # of what Numba promises, all that learners' files need


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, and for ``from a import b`` also a.b, which may be one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_numba(path: Path) -> set[str]:
    return {name for name in imported(path) if name.split(".")[0] in ("numba", "llvmlite")}


def test_one_module_imports_numba() -> None:
    users = {path for path in PACKAGE.rglob("*.py") if of_numba(path)}
    assert INTERNALS in users
    assert users - {INTERNALS} <= set(LEARNERS)


def test_learners_files_need_only_what_numba_promises() -> None:
    needed = set().union(*map(of_numba, LEARNERS))
    assert needed == {f"numba.{name}" for name in PROMISED}


def test_a_hidden_import_is_found(tmp_path: Path) -> None:
    """What the test above relies on: imports in functions, and submodules by ``from``."""
    source = tmp_path / "hidden.py"
    source.write_text("def f():\n    from numba import core\n    import llvmlite.ir as ir\n")
    assert of_numba(source) == {"numba.core", "llvmlite.ir"}
