"""The tables of what the emulator has of CUDA: each row is made from the tests that are marked ``feature``.

So a feature that no test shows is not in the book, and a refusal is told in its own words.
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
    """Return a table in Markdown of what tests show; raises `ValueError` for a family that is none of `FAMILIES`."""
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
    """Return a table in Markdown of what is refused, by an example of each, and of the message."""
    lines = ["| for instance | message |", "| --- | --- |"]
    lines += [
        f"| {_code(example)} | {message.partition(': ')[2].replace('<', '&lt;')} |" for example, message in refusals()
    ]
    return "\n".join(lines)


def refusals() -> list[tuple[str, str]]:
    """Return the examples of the tests, and what is said of each."""
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
    """Yield the first parameter of each case."""
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[_, cases]):
                for case in ast.literal_eval(cases):
                    yield case if isinstance(case, str) else case[0]


def _in_words(tests: list[str]) -> str:
    """Put the names of tests in words, behind the file in which they are."""
    files: dict[str, list[str]] = {}
    for test in tests:
        file, _, name = test.partition(": ")
        files.setdefault(file, []).append(name.removeprefix("test_").replace("_", " "))
    return "; ".join(f"`{file}`: {', '.join(names)}" for file, names in files.items())


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def show(text: str) -> Any:
    """Show a table in the page whose code is running."""
    from IPython.display import Markdown

    return Markdown(text)
