"""Kernels with a declaration that CUDA refuses: with a result, or with a parameter that is a reference."""

import re
from collections.abc import Iterator

from fastae.backends.emulator.source import blanked, closing, kernels_of, split_at_commas, with_place

MARKS = re.compile(  # words beside the type of a function
    r'"[^"]*"|\[\[.*?\]\]|\b(?:__\w+__|alignas)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|'
    r"\b(?:__(?:global|host|device|forceinline|noinline|inline)__|static|inline|extern|constexpr|friend|typename)\b|"
    r"\b\w+\s*:(?!:)",
    re.DOTALL,
)
TEMPLATE = re.compile(r"\btemplate\s*(?:<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>)?")


def misdeclared(code: str, file: str, *others: str) -> str:
    """Return what is wrong with the first such kernel of a ``.cu`` file, with file and line; or ``""``.

    Parameters
    ----------
    code : str
    file : str
        Its name.
    *others : str
        Files that may define macros for it, which are left to the compiler.
    """
    macros = {name for text in (code, *others) for name in re.findall(r"#[ \t]*define[ \t]+(\w+)", text)}
    found = next(_misdeclared(blanked(code), macros), None)
    return with_place(code, found[0], found[1], file) if found else ""


def _misdeclared(plain: str, macros: set[str]) -> Iterator[tuple[int, str]]:
    for token in re.finditer(r"\b__global__\b", plain):
        begin = max(plain.rfind(mark, 0, token.start()) for mark in ";{}") + 1
        end = re.compile(r"[;{]|\Z").search(plain, token.end())
        declared = MARKS.sub(lambda match: " " * len(match[0]), plain[begin : end.start() if end else None])
        head, opened, _ = declared.partition("(")
        named = re.fullmatch(r"(.*?)\s*(?:\w+\s*::\s*)*\b(\w+)\s*(?:<.*>\s*)?", TEMPLATE.sub("", head), re.DOTALL)
        if not opened or named is None or len(head) < token.end() - begin:
            continue
        result, name = " ".join(named[1].split()), named[2]
        words = re.findall(r"\w+", result)
        loud = any(word.isupper() and len(word) > 1 for word in words)  # as macros are
        hidden = loud or macros & {name, *words} or name in ("void", "decltype")  # and a macro may be void
        hidden = hidden or not re.fullmatch(r"[\w\s:<>,*&]*", result)
        if result not in ("void", "auto") and not hidden:
            wrong = f"a kernel returns void, not {result}" if result else "a kernel returns void, which is not said"
            yield token.start(), f"{name} is marked __global__: {wrong}"
        closed = closing(declared, len(head) + 1)
        for parameter in split_at_commas(declared[len(head) + 1 : closed]):
            bare = parameter.partition("=")[0]
            while bare != (bare := re.sub(r"<[^<>]*>|\((?!\s*&)[^()]*\)", "", bare)):
                pass
            if "&" in bare:
                at = begin + declared.index(parameter, len(head)) + len(parameter) - len(parameter.lstrip())
                what = " ".join(parameter.split())
                yield (
                    at,
                    f"{name}: a kernel's parameter may not be a reference, as {what} is; take a value or a pointer",
                )


def lacking_kernel(name: str, code: str, names: list[str]) -> str:
    """Return why a ``.cu`` file that has kernels of these names has none of another name."""
    has = f"it has: {', '.join(names)}" if names else "it has no __global__ function"
    if name in kernels_of(code, templates=True):
        return f'{name} is a template, of which name_expressions takes instances: ("{name}<float>",)'
    if re.search(rf"\b{re.escape(name)}\s*\([^;{{}}]*\)\s*{{", blanked(code)):
        return f"the function {name} is not marked __global__; {has}"
    if not names and "__global__" in code:
        return f"{has} that is found: none is looked for in macros and comments"
    return has
