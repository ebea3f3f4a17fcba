"""Right kernels with one thing changed, by rule.

They are made of three right files: one in NumPy, one in loops (as for Numba, run by the interpreter), one in CUDA.
Those that compute the same in spite of the change are listed in `SAME`, with the reason.
"""

import ast
import copy
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import image_loops

NUMPY = """
    import numpy as np

    def matmul(a, b, out, trans_a, trans_b, alpha, beta):
        A = a.T if trans_a else a
        B = b.T if trans_b else b
        product = alpha * (A @ B)
        if beta == 0:
            out[:] = product
        else:
            out[:] = product + beta * out

    def bias_sigmoid(z, bias, out):
        t = z + bias
        out[:] = 1 / (1 + np.exp(-t))

    def sigmoid_gradient(delta, y, out):
        out[:] = delta * y * (1 - y)

    def bias_tanh(z, bias, out):
        t = z + bias
        out[:] = np.tanh(t)

    def tanh_gradient(delta, y, out):
        out[:] = delta * (1 - y * y)

    def bias_relu(z, bias, out):
        t = z + bias
        out[:] = np.maximum(t, 0)

    def relu_gradient(delta, y, out):
        out[:] = np.where(y > 0, delta, 0)

    def mse_gradient(z, x, scale, out):
        out[:] = 2 * scale * (z - x) * z * (1 - z)

    def bce_gradient(z, x, scale, out):
        out[:] = scale * (z - x)

    def mse_loss(z, x, out):
        out[:] = np.sum((z - x) ** 2, axis=1)

    def bce_loss(z, x, out):
        p = np.maximum(np.log(z), -100)
        q = np.maximum(np.log1p(-z), -100)
        out[:] = -np.sum(x * p + (1 - x) * q, axis=1)

    def column_sum(delta, out, alpha, beta):
        total = alpha * np.sum(delta, axis=0)
        out[:] = total if beta == 0 else total + beta * out

    def axpy(alpha, x, y):
        y += alpha * x

    def gather(images, order, cursor, offset, out):
        first = cursor[0] + offset
        out[:] = images[order[first : first + len(out)]] / out.dtype.type(255)

    def advance(cursor, n):
        cursor += n
    """

LOOPS = """
    import math

    def matmul(a, b, out, trans_a, trans_b, alpha, beta):
        m, n = out.shape
        k = a.shape[0] if trans_a else a.shape[1]
        for i in range(m):
            for j in range(n):
                s = 0.0
                for l in range(k):
                    p = a[l, i] if trans_a else a[i, l]
                    q = b[j, l] if trans_b else b[l, j]
                    s += float(p) * float(q)
                if beta == 0:
                    out[i, j] = alpha * s
                else:
                    out[i, j] = alpha * s + beta * out[i, j]

    def column_sum(delta, out, alpha, beta):
        for j in range(delta.shape[1]):
            s = 0.0
            for i in range(delta.shape[0]):
                s += float(delta[i, j])
            if beta == 0:
                out[j] = alpha * s
            else:
                out[j] = alpha * s + beta * out[j]

    def mse_loss(z, x, out):
        for i in range(z.shape[0]):
            s = 0.0
            for j in range(z.shape[1]):
                e = float(z[i, j]) - float(x[i, j])
                s += e * e
            out[i] = s

    def sigmoid_gradient(delta, y, out):
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                s = y[i, j]
                out[i, j] = delta[i, j] * s * (1 - s)

    def gather(images, order, cursor, offset, out):
        for i in range(out.shape[0]):
            row = order[cursor[0] + offset + i]
            for j in range(out.shape[1]):
                out[i, j] = images[row, j] / 255
    """

LOOPS += "".join(textwrap.indent(text, "    ") for text in image_loops.LOOPS.values())

CUDA = """
// launch matmul: grid (ceil(n / 8), ceil(m / 8)), block (8, 8)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  __shared__ real A[8][8], B[8][8];
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 8 + y, col = blockIdx.x * 8 + x;
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  real sum = 0;
  for (int first = 0; first < k; first += 8) {
    const int p = first + x, q = first + y;
    A[y][x] = row < m && p < k ? (trans_a ? a[p * a_stride + row] : a[row * a_stride + p]) : 0;
    B[y][x] = col < n && q < k ? (trans_b ? b[col * b_stride + q] : b[q * b_stride + col]) : 0;
    __syncthreads();
    for (int l = 0; l < 8; ++l) sum += A[y][l] * B[l][x];
    __syncthreads();
  }
  if (row < m && col < n) {
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
  }
}
"""

# What computes the same in spite of the change, and why.
SQUARED = "the difference is squared"
SAME = {
    "numpy mse_loss: z - x -> x - z": SQUARED,
    "loops mse_loss: float(z[i, j]) - float(x[i, j]) -> float(x[i, j]) - float(z[i, j])": SQUARED,
    "cuda matmul: first < k -> first <= k": "one slice more, all zeros",
    "loops column_sum: delta[i, j] -> delta[i - 1, j]": "the row before the first is the last: all are summed once",
}


class Mutant(NamedTuple):
    """A right file with one thing changed."""

    kernel: str
    change: str
    text: str


SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Eq: ast.NotEq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
}
CONSTANTS = {0: [1.0], 1: [0, 2], 2: [1, 3], 255: [256], 100: [99]}
CALLS = {"tanh": "sinh", "log1p": "log", "log": "log1p", "maximum": "minimum", "sum": "mean", "exp": "expm1"}


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)  # type: ignore[arg-type]
        yield node.left  # a term or a factor is dropped
        yield node.right
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow | ast.MatMult):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in SWAPS:
                other: Any = SWAPS[type(op)]()
                yield ast.Compare(node.left, [*node.ops[:i], other, *node.ops[i + 1 :]], node.comparators)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield from (ast.Constant(x) for x in CONSTANTS.get(node.value, []))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
        yield ast.Call(ast.Attribute(node.func.value, CALLS[node.func.attr], ast.Load()), node.args, node.keywords)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        yield ast.Call(node.func, [ast.BinOp(node.args[0], ast.Sub(), ast.Constant(1))], [])  # one too few
        yield ast.Call(node.func, [ast.Constant(1), node.args[0]], [])
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        first, second = node.slice.elts
        if isinstance(first, ast.Name) and isinstance(second, ast.Name):
            yield ast.Subscript(node.value, ast.Tuple([second, first], ast.Load()), node.ctx)
            for shifted in (ast.BinOp(first, ast.Sub(), ast.Constant(1)), ast.BinOp(first, ast.Add(), ast.Constant(1))):
                yield ast.Subscript(node.value, ast.Tuple([shifted, second], ast.Load()), node.ctx)
    elif isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.BinOp):
        for dtype in ("float16", "float32"):  # between two operations, as an array or as a number
            rounded = ast.parse(f"np.asarray(0).astype(np.{dtype})", mode="eval").body
            rounded.func.value.args[0] = node.value  # type: ignore[attr-defined]
            yield ast.Assign(node.targets, rounded, lineno=node.lineno)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
        for dtype in ("float16", "float32"):
            yield ast.Call(ast.Attribute(ast.Name("np", ast.Load()), dtype, ast.Load()), node.args, [])
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        yield ast.AugAssign(node.targets[0], ast.Add(), node.value)
        yield ast.Pass()


class Replaced(ast.NodeTransformer):
    """Puts one node in another's place."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def python_mutants(which: str, source: str) -> Iterator[Mutant]:
    tree = ast.parse(textwrap.dedent(source))
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import)]
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        seen, changes = {ast.unparse(function)}, Counter[str]()
        for i, node in enumerate(ast.walk(function)):
            for j, _ in enumerate(variants(node)):
                changed = copy.deepcopy(function)
                old = list(ast.walk(changed))[i]
                new = list(variants(old))[j]
                change = f"{which} {function.name}: {ast.unparse(old)} -> {ast.unparse(ast.fix_missing_locations(new))}"
                text = ast.unparse(ast.fix_missing_locations(Replaced(old, new).visit(changed)))
                if text not in seen:
                    seen.add(text)
                    changes[change] += 1
                    change += f" ({changes[change]})" * (changes[change] > 1)
                    yield Mutant(function.name, change, "\n".join(["import numpy as np", *imports, text]))


CUDA_CHANGES = [
    ("ceil(n / 8), ceil(m / 8)", ["ceil(m / 8), ceil(n / 8)", "ceil(n / 8), ceil((m - 7) / 8)"]),
    ("block (8, 8)", ["block (8, 4)", "block (4, 8)", "block (16, 8)"]),
    ("A[8][8], B[8][8]", ["A[8][7], B[8][8]", "A[8][8], B[7][8]"]),
    ("row = blockIdx.y * 8 + y", ["row = blockIdx.y * 8 + x", "row = blockIdx.x * 8 + y"]),
    ("col = blockIdx.x * 8 + x", ["col = blockIdx.x * 8 + y", "col = blockIdx.y * 8 + x"]),
    ("if (alpha_at) alpha = *alpha_at;", ["", "if (alpha_at) alpha *= *alpha_at;"]),
    ("if (beta_at) beta = *beta_at;", [""]),
    ("real sum = 0", ["real sum = 1", "float sum = 0"]),
    ("int first = 0", ["int first = 8"]),
    ("first < k", ["first <= k", "first < k - 1", "first + 8 <= k"]),
    ("first += 8", ["first += 16", "first += 7"]),
    ("p = first + x, q = first + y", ["p = first + y, q = first + x"]),
    ("row < m && p < k ?", ["row < m ?", "row < m && p <= k ?"]),
    ("col < n && q < k ?", ["col < n ?", "col < n && q <= k ?"]),
    ("(trans_a ?", ["(!trans_a ?", "(trans_b ?", "(0 ?"]),
    ("(trans_b ?", ["(!trans_b ?", "(trans_a ?"]),
    ("a[p * a_stride + row]", ["a[p * a_stride + col]", "a[p * m + row]", "a[row * a_stride + p]"]),
    ("a[row * a_stride + p]", ["a[row * k + p]", "a[row * b_stride + p]", "b[row * a_stride + p]"]),
    ("b[q * b_stride + col]", ["b[q * n + col]"]),
    ("    __syncthreads();\n    for", ["    for"]),
    ("    __syncthreads();\n  }", ["  }"]),
    ("l < 8", ["l < 7", "l <= 8", "l < k"]),
    ("sum += A[y][l] * B[l][x]", [
        "sum = A[y][l] * B[l][x]", "sum -= A[y][l] * B[l][x]", "sum += A[l][y] * B[l][x]", "sum += A[y][l] * B[x][l]",
        "sum += A[y][l]",
    ]),
    ("if (row < m && col < n)", ["if (row < m)", "if (row < m - 1 && col < n)"]),
    ("out + row * out_stride", ["out + row * n", "out + col * out_stride"]),
    ("*at = beta == real(0) ? alpha * sum : ", ["*at = ", "*at = beta == real(0) ? sum : "]),
    ("alpha * sum + beta * *at", ["alpha * sum + *at", "alpha * sum", "sum + beta * *at", "beta * sum + alpha * *at"]),
]  # fmt: skip


def cuda_mutants() -> Iterator[Mutant]:
    for old, news in CUDA_CHANGES:
        assert CUDA.count(old) == 1, old
        for new in news:
            change = re.sub(r"\s+", " ", f"cuda matmul: {old} -> {new}")
            yield Mutant("matmul", change, CUDA.replace(old, new))


MUTANTS = [*python_mutants("numpy", NUMPY), *python_mutants("loops", LOOPS)]
EMULATED = list(cuda_mutants())
