"""What nvcc refuses and a C++ compiler takes: host functions in a kernel, and kernels that are called."""

import re
from collections.abc import Iterator, Sequence, Set
from functools import cache
from typing import NamedTuple

from fastae.backends.emulator.compiler import RUNTIME
from fastae.backends.emulator.source import blanked, closing
from fastae.run.rewrite import plain

DEFINED = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?!\()((?:[^\n\\]|\\.)*)", re.MULTILINE | re.DOTALL)
NAMESPACE = re.compile(r"\bnamespace\b[\s\w:]*\Z|\bextern\s*(?:\"C\"\s*)?\Z")
NO_NAME = re.compile(r"(?:__\w+__|alignas|decltype|noexcept|__attribute__)\s*\Z")  # before a parenthesis
HOST_ONLY = re.compile(
    r"\bstd\s*::\s*(?:c(?:out|err|in)|endl|vector|string|map|unordered_\w+|set|list|deque|sort|function|mutex|thread|"
    r"(?:unique|shared)_ptr|s?rand)\b|(?<![\w.>:])(?:s?rand|exit|fprintf|fopen|getenv|scanf|time)(?=\s*\()|"
    r"\bthrow\b(?!\s*\()|\btry\b(?=\s*\{)"
)
INITIAL = re.compile(r"\b__shared__\b[^;{}()=]*?\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:=|\{)")


class Misplaced(NamedTuple):
    """A line of a text, and what is wrong there."""

    line: int
    what: str


class Function(NamedTuple):
    """A function at its definition or declaration: its name, what is before it, its parameters and its body."""

    name: str
    head: str
    parameters: str
    body: range


def marks_in(texts: Sequence[str]) -> dict[str, str]:
    """Return the macros of a program for ``__device__`` and its like, with their replacements."""
    found = {name: words for text in texts for name, words in DEFINED.findall(text)}
    return {name: words for name, words in found.items() if re.search(r"__(?:device|host|global|constant)__", words)}


def misplaced(texts: Sequence[str]) -> tuple[int, Misplaced] | None:
    """Return the first such place in the texts of a program, with the number of the text; or None.

    A call is one of a host function only if all functions of this name are host functions. Types are not known here: a
    call that may be of another function is left to the compiler.
    """
    marks = marks_in(texts)
    bare = [blanked(text) for text in texts]
    found = [list(_functions(text)) for text in bare]

    def has(head: str, mark: str) -> bool:
        return mark in head or any(mark in marks.get(word, "") for word in re.findall(r"\w+", head))

    everything = [function for of_text in found for function in of_text]
    marked = {f.name for f in everything if has(f.head, "__device__") or has(f.head, "__global__")}
    launched = {f.name for f in everything if has(f.head, "__global__")} - {
        f.name for f in everything if not has(f.head, "__global__")
    }
    of_host = {f.name for f in everything if f.body and "constexpr" not in f.head} - marked
    for number, (text, functions) in enumerate(zip(bare, found)):
        wrong = list(_initialised(text))
        for f in functions:
            for at, name in _calls(text, f, launched, r"[\w.>~]"):
                wrong.append((at, f"{name} is a kernel, which is launched by <<<grid, block>>>"))
            if f.body and not has(f.head, "__host__") and (has(f.head, "__device__") or has(f.head, "__global__")):
                kind = "a kernel" if has(f.head, "__global__") else "a function of the device"
                wrong += _of_host(text, f, kind, of_host)
        if wrong:
            at, what = min(wrong)
            return number, Misplaced(text.count("\n", 0, at) + 1, what)
    return None


def _initialised(text: str) -> Iterator[tuple[int, str]]:
    for shared in INITIAL.finditer(text):
        if not re.search(r"\b(?:struct|union|class|enum)\b", shared[0]):  # which is defined there
            what = (
                f"{shared[1]} is shared memory, which has no initial value: let threads store it, then __syncthreads()"
            )
            yield shared.start(), what


def _of_host(text: str, function: Function, kind: str, of_host: Set[str]) -> Iterator[tuple[int, str]]:
    """Yield places in a device function that name what only the host has."""
    body = text[function.body.start : function.body.stop]
    for match in HOST_ONLY.finditer(body):
        what = f"{''.join(match[0].split())} is the host's alone, and {function.name} is {kind}"
        yield function.body.start + match.start(), what
    for at, name in _calls(text, function, of_host, r"[\w.:>~]"):
        if name not in _known():
            what = (
                f"{name}() is a function of the host, and {function.name}, which calls it, {kind}: mark it __device__"
            )
            yield at, what


def _calls(text: str, function: Function, names: Set[str], before: str) -> Iterator[tuple[int, str]]:
    """Yield where a function calls one of these names, not after such a letter, unless it may be another name."""
    body, own = text[function.body.start : function.body.stop], set(re.findall(r"\w+", function.parameters))
    for call in re.finditer(rf"(?<!{before})(\w+)\s*(?:<[^<>;(){{}}]*>\s*)?\(", body):
        name = call[1]
        if name not in names or name in own:
            continue
        declares = re.search(r"\b(?!return\b|else\b|do\b)\w+\s*[*&]?\s*\Z", body[: call.start()][-80:])
        if not declares and not re.search(rf"[\w>*&]\s+[*&]*{name}\s*[=;{{,)]", body):
            yield function.body.start + call.start(), name


@cache
def _known() -> frozenset[str]:
    """Return all words of the emulator's headers: functions that overload them are not judged."""
    words = set[str]()
    for path in RUNTIME:
        if path.suffix in ("", ".h"):
            words.update(re.findall(r"\w+", plain(path.read_text(encoding="utf-8")).code))
    return frozenset(words)


def _functions(text: str) -> Iterator[Function]:
    """Yield functions of namespaces, and marked ones of classes, in a text without comments and strings."""
    begin, at = 0, 0
    while token := re.compile(r"[{};(]").search(text, at):
        at = token.end()
        if token[0] != "(":
            if (
                token[0] == "{"
                and not NAMESPACE.search(text, begin, token.start())
                and not _is_class(text, token.start())
            ):
                at = _end_of_body(text, token.start())
            begin = at
            continue
        before = text[begin : token.start()]
        closed = closing(text, at)
        at = closed + 1
        name = re.search(r"(\w+)\s*\Z", before)
        if name is None or NO_NAME.search(before) or re.search(r"[=]", before):
            continue
        opened = re.compile(r"[{;,]").search(text, at)
        if opened is None:
            return
        head, inside = before[: name.start()], text[token.end() : closed]
        if ":" in text[at : opened.start()]:  # a constructor's initialisers, which may have braces
            opened = re.compile(r"[;{](?=\s*(?:\}|\w|[*&(:]|\Z))").search(text, at) or opened
        if opened[0] == "{":
            end = _end_of_body(text, opened.start())
            yield Function(name[1], head, inside, range(opened.start(), end))
            begin = at = end
        elif opened[0] == ";":
            yield Function(name[1], head, inside, range(0))
            begin = at = opened.end()


def _is_class(text: str, at: int) -> bool:
    """Tell whether a brace opens a class."""
    head = re.split(r"[;{}]", text[max(0, at - 2000) : at])[-1]
    return re.search(r"\b(?:struct|class|union)\b", head) is not None and "(" not in re.sub(
        r"\b(?:alignas|__align__|__attribute__)\s*\([^()]*\)", "", head
    )


def _end_of_body(text: str, at: int) -> int:
    depth = 0
    for match in re.finditer(r"[{}]", text[at:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return at + match.end()
    return len(text)
