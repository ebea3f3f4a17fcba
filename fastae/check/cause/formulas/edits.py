"""One edit of a kernel's formula: another sign, operand, constant or format."""

import ast
import copy
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from fastae.check.calls.cases import WRITTEN
from fastae.check.cause.formulas.parts import FORMATS, ROUNDED, Ways, log, sigmoid
from fastae.check.cause.formulas.sums import patches_of
from fastae.check.cause.formulas.syntax import Replaced

EXPRESSIONS = {  # the contract's formulas; `rows` are the images of a gather, `patches` those of a convolution
    "matmul": "alpha * (a @ b)",
    "bias_sigmoid": "1 / (1 + exp(-(z + bias)))",
    "sigmoid_gradient": "delta * y * (1 - y)",
    "bias_tanh": "tanh(z + bias)",
    "tanh_gradient": "delta * (1 - y ** 2)",
    "bias_relu": "relu(z + bias)",
    "relu_gradient": "delta * step(y)",
    "convolve": "patches @ weights",
    "mse_gradient": "2 * scale * (z - x) * z * (1 - z)",
    "bce_gradient": "scale * (z - x)",
    "mse_loss": "sum((z - x) ** 2)",
    "bce_loss": "-sum(x * log(z) + (1 - x) * log(1 - z))",
    "column_sum": "alpha * sum(delta)",
    "axpy": "y + alpha * x",
    "gather": "rows / 255",
}
SWAPS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Div, ast.Add, ast.Sub),
    ast.Div: (ast.Mult, ast.Sub),
    ast.MatMult: (),
    ast.Pow: (ast.Mult,),
}
CONSTANTS: dict[Any, tuple[float, ...]] = {1: (0, 2, -1), 2: (0, 1, 3, 4, 0.5), 255: (1, 127.5, 128, 254, 256)}
ROUNDINGS: dict[str, Callable[[Any], np.ndarray]] = {
    f"to_{text.split()[0]}": lambda x, convert=convert: convert(np.asarray(x, np.float64))  # type: ignore[misc]
    for text, (_, convert) in FORMATS.items()
}
APPLIED: dict[str, Any] = {"abs": np.abs, "sigmoid": sigmoid, "whole": np.trunc}  # to a part of a formula by mistake
FUNCTIONS: dict[str, Any] = {"exp": np.exp, "log": log, "tanh": np.tanh} | APPLIED | ROUNDINGS
FUNCTIONS |= {"relu": lambda t: np.maximum(t, 0), "step": lambda y: np.where(y > 0, 1.0, 0.0)}


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield each edit of a kernel's formula, and what it would write."""
    if name not in EXPRESSIONS:
        return
    written = WRITTEN.get(name, "out")
    has_beta = bool(v.get("beta"))
    values: dict[str, Any] = {key: x for key, x in v.items() if key != "out" or has_beta}
    if name == "matmul":
        values |= {key: v[key].T if v[f"trans_{key}"] else v[key] for key in "ab"}
    if name == "gather":
        first = int(v["cursor"][0]) + v["offset"]
        values["rows"] = v["images"][v["order"][first : first + len(v["out"])]].astype(np.float64)
    if name == "convolve":
        values["patches"] = patches_of(v)
    shape, axis = v[written].shape, 0 if name == "column_sum" else 1
    values["sum"] = lambda t: np.sum(np.broadcast_to(t, (v["z"] if "z" in v else v["delta"]).shape), axis=axis)
    for text, code in _edits(EXPRESSIONS[name] + " + beta * out" * has_beta):
        try:
            wrong = eval(code, FUNCTIONS | values)  # an expression of this file with one edit of this file
            yield text, np.broadcast_to(np.asarray(wrong, np.float64), shape)
        except ValueError:  # shapes that do not fit
            continue


@cache
def _edits(expression: str) -> list[tuple[str, CodeType]]:
    """Return all edits of an expression: each in words, and compiled."""
    tree = ast.parse(expression, mode="eval")
    nodes = list(ast.walk(tree))
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in functions})
    found = {}
    for i, node in enumerate(nodes):
        if not isinstance(node, ast.expr) or id(node) in functions:
            continue
        shown: ast.AST = node  # with what is around it: a name alone says little
        while isinstance(shown, ast.Name | ast.Constant) and isinstance(parents[id(shown)], ast.expr):
            shown = parents[id(shown)]
        at = nodes.index(shown)
        for k, _ in enumerate(_variants(node, names)):
            changed = copy.deepcopy(tree)
            copied = list(ast.walk(changed))
            new = list(_variants(copied[i], names))[k]
            if node is tree.body and ast.unparse(new).startswith("to_float16("):
                continue  # `amounts` recognises such results by their bits
            code = compile(ast.fix_missing_locations(Replaced(copied[i], new).visit(changed)), "<formula>", "eval")
            found[_in_words(ast.unparse(shown), ast.unparse(new if at == i else copied[at]))] = code
    for opening in (
        i for i, sign in enumerate(expression) if sign == "(" and (i == 0 or not expression[i - 1].isalpha())
    ):
        closing = _closing(expression, opening)
        inner = expression[opening + 1 : closing]
        text = f"{expression[:opening]}{inner}{expression[closing + 1 :]}"
        found[_pretty(f"the parentheses around {inner} are missing")] = compile(text, "<formula>", "eval")
    return list(found.items())


def _closing(expression: str, opening: int) -> int:
    """Return the index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for i in range(opening, len(expression)):
        depth += {"(": 1, ")": -1}.get(expression[i], 0)
        if depth == 0:
            return i
    raise AssertionError(expression)


def _variants(node: ast.AST, names: list[str]) -> Iterator[ast.expr]:
    """Yield nodes that may be in a node's place by mistake."""
    assert isinstance(node, ast.expr)
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield from (ast.BinOp(left, other(), right) for other in SWAPS[type(op)])
            yield from (left, right)
            if isinstance(op, ast.Sub | ast.Div | ast.Pow):
                yield ast.BinOp(right, op, left)
            if isinstance(op, ast.Mult) and isinstance(right, ast.BinOp):  # parentheses that were forgotten
                yield ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
            if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub | ast.Add) and not isinstance(op, ast.Add):
                yield ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=value):
            yield from (ast.Constant(other) for other in CONSTANTS.get(value, ()))
        case ast.Name(id=name):
            yield from (ast.Name(other, ast.Load()) for other in names if other != name)
        case ast.Call(args=[argument]):
            yield argument
    if not isinstance(node, ast.Constant):
        yield ast.UnaryOp(ast.USub(), node)
        yield from (ast.Call(ast.Name(function, ast.Load()), [node], []) for function in (*APPLIED, *ROUNDINGS))
        yield ast.BinOp(node, ast.Pow(), ast.Constant(2))


def _in_words(right: str, wrong: str) -> str:
    """Return an edit in words."""
    for function in ("whole", *ROUNDINGS):
        if wrong.count(f"{function}(") > right.count(f"{function}("):
            opening = wrong.index(f"{function}(") + len(function)
            inner = wrong[opening : _closing(wrong, opening) + 1]
            if function == "whole":
                return _pretty(f"{inner} is cut to a whole number, in {right}")
            return _pretty(f"{ROUNDED}: {inner} is rounded to {function[3:]}, in {right}")
    return _pretty(f"it computes {wrong} where {right} is asked for")


def _pretty(text: str) -> str:
    for plain, sign in (("**", "^"), ("*", "·"), ("-", "−")):
        text = text.replace(plain, sign)
    return text
