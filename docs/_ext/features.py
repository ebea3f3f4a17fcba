"""The tables of the CUDA features that the emulator has, made from the tests that are marked ``feature``.

A feature without a test is not in the book. A refusal is quoted as the emulator words it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = (
    "language", "types", "memory", "barriers and fences", "warp operations", "atomics", "mathematics",
    "cooperative groups", "half precision", "tensor cores", "inline PTX", "asynchronous copies",
    "output and assertions", "host programs", "tracing", "learners' files",
)  # fmt: skip
REFUSALS = "test_what_is_not_emulated_is_refused_by_name_and_line", "test_headers_of_what_is_not_emulated_are_refused"


def shown() -> dict[str, dict[str, list[str]]]:
    """Return the features that tests are marked with, by family, and the tests of each as ``file: name``."""
    found: dict[str, dict[str, list[str]]] = {}
    for file, test in _tests():
        for decorator in test.decorator_list:
            match decorator:
                case ast.Call(func=ast.Attribute(attr="feature"), args=[ast.Constant(family), ast.Constant(feature)]):
                    found.setdefault(family, {}).setdefault(feature, []).append(f"{file}: {test.name}")
                case ast.Call(func=ast.Attribute(attr="feature")):
                    raise ValueError(f"{file}, {test.name}: feature takes two strings, a family and what it has")
    return found


def table() -> str:
    """Return the table of features in Markdown; raises `ValueError` for a family that is not in `FAMILIES`."""
    found = shown()
    if unknown := set(found) - set(FAMILIES):
        raise ValueError(f"tests are marked with {sorted(unknown)}; a family is one of: {', '.join(FAMILIES)}")
    lines = ["| family | feature | shown by |", "| --- | --- | --- |"]
    for family in FAMILIES:
        first = f"**{family}**"
        for feature, tests in found.get(family, {}).items():
            lines.append(f"| {first} | {feature} | {_in_words(tests)} |")
            first = ""
    return "\n".join(lines)


def refused() -> str:
    """Return the table of refusals in Markdown: an example, and its message."""
    lines = ["| for instance | message |", "| --- | --- |"]
    lines += [
        f"| {_code(example)} | {message.partition(': ')[2].replace('<', '&lt;')} |" for example, message in refusals()
    ]
    return "\n".join(lines)


def refusals() -> list[tuple[str, str]]:
    """Return the examples in the tests, and the message for each."""
    from fastae.backends.emulator.refusals import not_emulated

    found = []
    for _, test in _tests():
        if test.name in REFUSALS:
            for example in _examples(test):
                code = f"#include <{example}>" if test.name == REFUSALS[1] else example
                found.append((code, not_emulated(code, "mine.cu")))
    return found


def _tests() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.feature(" in text or any(name in text for name in REFUSALS):
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield path.name, node


def _examples(test: ast.FunctionDef) -> Iterator[str]:
    """Yield the first parameter of each case of a parametrised test."""
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[_, cases]):
                for case in ast.literal_eval(cases):
                    yield case if isinstance(case, str) else case[0]


def _in_words(tests: list[str]) -> str:
    """Return the names of tests in words, by file."""
    files: dict[str, list[str]] = {}
    for test in tests:
        file, _, name = test.partition(": ")
        files.setdefault(file, []).append(name.removeprefix("test_").replace("_", " "))
    return "; ".join(f"`{file}`: {', '.join(names)}" for file, names in files.items())


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def show(text: str) -> Any:
    """Show Markdown in the page whose code runs."""
    from IPython.display import Markdown

    return Markdown(text)
