"""The package as a whole: quick to import, documented, and without paths of the machine that it was written on."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastae

ROOT, PACKAGE = Path(__file__).parents[1], Path(fastae.__file__).parent
MODULES = [
    "fastae",
    *(
        module.name
        for module in pkgutil.walk_packages(fastae.__path__, "fastae.")
        if not module.name.endswith(("__main__", "_peers", "torch_networks"))  # the peers' libraries may not be there
    ),
]


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_it_takes_less_than_three_tenths_of_a_second() -> None:
    """In a new process, NumPy included; the best of three, since the machine may be busy."""
    timed = "from time import perf_counter as now; t = now(); import fastae; print(now() - t)"
    assert min(float(python("-c", timed)) for _ in range(3)) < 0.3


@pytest.mark.parametrize("what", ["fastae", "fastae.cli", "fastae.model", "fastae.trainer"])
def test_importing_it_imports_no_backend_and_no_matplotlib(what: str) -> None:
    heavy = "{name.partition('.')[0] for name in sys.modules} & {'numba', 'llvmlite', 'cupy', 'matplotlib'}"
    assert python("-c", f"import sys, {what}; print(sorted({heavy}))").strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [("--help", []), ("--version", []), ("train --help", ["numpy"]), ("bench --help", ["numpy"])],
)
def test_a_command_imports_no_more_than_it_needs(arguments: str, allowed: list[str]) -> None:
    """Each of these modules takes from 0.1 s to 1 s to import, which is too long for these commands."""
    heavy = "{'numpy', 'numba', 'llvmlite', 'cupy', 'matplotlib', 'tqdm', 'fastae.check', 'fastae.ladder'}"
    script = f"""
import atexit, sys
atexit.register(lambda: print("\\n", sorted({heavy} & set(sys.modules))))
sys.argv[1:] = {arguments.split()}
from fastae.cli import main
main()"""
    assert python("-c", script).splitlines()[-1].strip() == str(allowed)


def test_all_names_resolve() -> None:
    assert {"SGD", "Autoencoder", "Trainer", "backends", "load_dataset"} <= set(fastae.__all__)
    for module in map(importlib.import_module, MODULES):
        for name in getattr(module, "__all__", []):
            assert getattr(module, name) is not None, f"{module.__name__}.{name}"
    for name in fastae.__all__:
        assert getattr(fastae, name).__name__ in (name, f"fastae.{name}")
    with pytest.raises(AttributeError, match="'fastae' has no attribute 'nope'"):
        fastae.nope  # noqa: B018


def test_the_version_is_the_one_of_pyproject() -> None:
    assert python("-m", "fastae", "--version") == f"fastae {fastae.__version__}\n"
    assert f'version = "{fastae.__version__}"' in (ROOT / "pyproject.toml").read_text()


def public(module: Any) -> Iterator[tuple[str, Any]]:
    """The functions and classes that a module defines and does not hide, and the methods of those classes."""
    for name, thing in vars(module).items():
        thing = getattr(thing, "py_func", thing)  # what Numba compiles is a function underneath
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if "<locals>" in getattr(thing, "__qualname__", ""):  # made by a function, which is documented
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module.__name__}.{name}", thing
        if inspect.isclass(thing):
            for key, member in vars(thing).items():
                member = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if not key.startswith("_") and inspect.isfunction(member) and member.__name__ != "<lambda>":
                    yield f"{module.__name__}.{name}.{key}", member


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip()
    things = dict(public(module))
    for path, thing in things.items():
        doc = (thing.__doc__ or "").strip()
        assert doc, path
        assert not doc.startswith(f"{thing.__name__}("), f"{path} has but the docstring that dataclass makes"
    if name == "fastae.trainer":
        assert {"fastae.trainer.Trainer.fit", "fastae.trainer.Trainer.resume"} <= set(things)
    if name == "fastae.history":
        assert {"fastae.history.Epoch", "fastae.history.History.as_dicts"} <= set(things)


def sources() -> Iterator[tuple[Path, str]]:
    """All text files that belong to the project."""
    folders = [PACKAGE, *(ROOT / name for name in ("tests", "examples", "benchmarks", "docs", ".ci"))]
    top = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # a worktree's is a file
    for path in [*top, *(path for folder in folders for path in folder.rglob("*"))]:
        if path.is_file() and not {"__pycache__", "_build"} & set(path.parts):
            try:
                yield path, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue  # pictures and arrays


def test_no_source_names_a_folder_of_somebodys_machine() -> None:
    folders = [f"/{name}/" for name in ("work", "home", "root", "Users")]
    found = {path: text for path, text in sources()}
    assert {ROOT / "pyproject.toml", PACKAGE / "cli.py", PACKAGE / "cuda" / "elementwise.cu"} <= set(found)
    assert [str(path) for path, text in found.items() if any(folder in text for folder in folders)] == []


def test_the_map_for_contributors_names_files_that_are_there() -> None:
    root = Path(__file__).parents[1]
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \|$", text, re.MULTILINE)[2:]
    named = {path for row in rows for path in re.findall(r"`([\w./]+/[\w./]*)`", row)}
    assert len(rows) >= 12
    assert len(named) > 25
    homes = [root, root / "fastae", root / "fastae" / "backends", root / "fastae" / "backends" / "emulator"]
    assert [path for path in sorted(named) if not any((home / path).exists() for home in homes)] == []
