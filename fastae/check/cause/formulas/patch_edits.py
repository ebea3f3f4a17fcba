"""One edit of the index arithmetic of unfold, fold and convolve."""

import ast
import copy
from collections.abc import Iterator
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from fastae.backends.contract import PATCHES
from fastae.check.cause.formulas.parts import Ways
from fastae.check.cause.formulas.syntax import Replaced

EXPRESSIONS = {  # where a number of a patch is in the image, in the order in which they are computed
    "channels": "pixels // (height * width)",
    "rows": "(height + 2 * padding - kernel) // stride + 1",
    "columns": "(width + 2 * padding - kernel) // stride + 1",
    "patch": "(image * rows + r) * columns + c",
    "y": "r * stride - padding + i",
    "z": "c * stride - padding + j",
    "number": "(i * kernel + j) * channels + channel",
    "pixel": "(y * width + z) * channels + channel",
}
LOOPS = {"image": "images", "r": "rows", "c": "columns", "i": "kernel", "j": "kernel", "channel": "channels"}
LENGTHS = ("channels", "rows", "columns")
MEANING = {
    "channels": "the number of channels",
    "rows": "the number of rows of patches",
    "columns": "the number of patches in a row",
    "patch": "the index of a patch",
    "y": "the image's row",
    "z": "the image's column",
    "number": "the index of a number in its patch",
    "pixel": "the index of a number in the image",
}
MOST = 20_000  # numbers of patches; larger calls are left out
SWAPS = {ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: ()}

Loops = dict[str, tuple[int, int]]  # what is left out at the beginning and at the end of each


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield each edit, and what it would write; NaN where nothing is written."""
    if name not in PATCHES:
        return
    right = {key: compile(text, "<index>", "eval") for key, text in EXPRESSIONS.items()}
    for text, key, code in _edits():
        yield from _tried(text, name, v, right | {key: code}, {})
    for loop, length in LOOPS.items():
        for which, skipped in (("last", (0, 1)), ("first", (1, 0))):
            over = {"image": "images", "r": "rows of patches", "c": "patches in a row"}.get(loop, f"{length} ({loop})")
            yield from _tried(f"the loop over {over} leaves out the {which}", name, v, right, {loop: skipped})


def _tried(text: str, name: str, v: dict[str, Any], codes: dict[str, CodeType], loops: Loops) -> Ways:
    try:
        written = _written(name, v, codes, loops)
    except (IndexError, ZeroDivisionError):  # such a kernel reads outside of an array, which is found in another way
        return
    if written is not None:
        yield text, written


def _written(name: str, v: dict[str, Any], codes: dict[str, CodeType], loops: Loops) -> np.ndarray | None:
    """Return what the loops write with these indices; None for a call that is too large."""
    values = {key: int(v[key]) for key in ("height", "width", "kernel", "stride", "padding")}
    image = v[PATCHES[name][0]]
    values |= {"pixels": image.shape[1], "images": len(image)}
    for key in LENGTHS:
        values[key] = int(eval(codes[key], {}, values))  # an expression of this file
    ranges = []
    for loop, length in LOOPS.items():
        before, after = loops.get(loop, (0, 0))
        ranges.append(np.arange(before, max(before, values[length] - after)))
    if np.prod([len(x) for x in ranges], dtype=float) > MOST:
        return None
    at: dict[str, Any] = values | dict(zip(LOOPS, np.meshgrid(*ranges, indexing="ij", sparse=True)))
    shape = tuple(len(x) for x in ranges)
    for key in EXPRESSIONS:
        if key not in LENGTHS:
            at[key] = np.asarray(eval(codes[key], {}, at))
    inside = (at["y"] >= 0) & (at["y"] < at["height"]) & (at["z"] >= 0) & (at["z"] < at["width"])
    index = {key: np.broadcast_to(at[key], shape).ravel() for key in ("image", "patch", "number", "pixel")}
    inside = np.broadcast_to(inside, shape).ravel()
    image_of, patch, number, pixel = (index[key] for key in ("image", "patch", "number", "pixel"))
    if name == "unfold":
        out = np.full(v["out"].shape, np.nan)
        read = np.zeros(len(inside))
        read[inside] = v["x"][image_of[inside], pixel[inside]]
        out[patch, number] = read
        return out
    out = np.zeros(v["out"].shape)
    image_of, patch, number, pixel = (x[inside] for x in (image_of, patch, number, pixel))
    if name == "fold":
        np.add.at(out, (image_of, pixel), v["x"][patch, number])
    else:
        np.add.at(out, patch, v["x"][image_of, pixel][:, None] * v["weights"][number])
    return out


@cache
def _edits() -> list[tuple[str, str, CodeType]]:
    """Return all edits: each in words, the expression that it is of, and compiled."""
    found = {}
    for key, expression in EXPRESSIONS.items():
        tree = ast.parse(expression, mode="eval")
        for i, node in enumerate(ast.walk(tree)):
            for k, _ in enumerate(_variants(node)):
                changed = copy.deepcopy(tree)
                old = list(ast.walk(changed))[i]
                new = list(_variants(old))[k]
                text = ast.unparse(Replaced(old, new).visit(changed))
                what = f"{MEANING[key]} is computed as {text}, not as {expression}"
                found[what.replace("*", "·").replace("-", "−")] = key, compile(text, "<index>", "eval")
    return [(text, key, code) for text, (key, code) in found.items()]


def _variants(node: ast.AST) -> Iterator[ast.expr]:
    """Yield nodes that may be in a node's place by mistake."""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield from (ast.BinOp(left, other(), right) for other in SWAPS[type(op)])
            yield from (left, right)
            if isinstance(op, ast.Sub):
                yield ast.BinOp(right, op, left)
        case ast.Constant(value=int(number)):
            yield from (ast.Constant(number - 1), ast.Constant(number + 1))
        case ast.Name(id="height"):
            yield ast.Name("width", ast.Load())
        case ast.Name(id="width"):
            yield ast.Name("height", ast.Load())
        case ast.Name(id="rows"):
            yield ast.Name("columns", ast.Load())
        case ast.Name(id="columns"):
            yield ast.Name("rows", ast.Load())
