"""Wrong kernels outside the gallery: the likely cause comes first, and no cause is named that was ruled out."""

import re

import pytest
from learner_files import Write, first_problem
from sampling import sample

HEAD = """
import numpy as np
ops = lambda a, b, ta, tb: (a.T if ta else a, b.T if tb else b)
def rounded(x, bits):
    m, e = np.frexp(x.astype("f8"))
    return np.ldexp(np.rint(np.ldexp(m, bits)), e - bits)
def matmul_of(product):
    def matmul(a, b, out, trans_a, trans_b, alpha, beta):
        A, B = ops(a, b, trans_a, trans_b)
        P = alpha * product(A, B)
        out[:] = P if beta == 0 else P + beta * out
    return matmul
"""
MATMUL = "def matmul(a, b, out, trans_a, trans_b, alpha, beta):\n    A, B = ops(a, b, trans_a, trans_b)\n"
WRONG = {
    "TF32": (
        "matmul = matmul_of(lambda A, B: rounded(A, 11) @ rounded(B, 11))",
        "inputs are rounded to (TF32|float16)",
    ),
    "bfloat16": ("matmul = matmul_of(lambda A, B: rounded(A, 8) @ rounded(B, 8))", "inputs are rounded to bfloat16"),
    "one input in bfloat16": ("matmul = matmul_of(lambda A, B: A @ rounded(B, 8))", "b is rounded to bfloat16"),
    "float32 in float64": (
        "matmul = matmul_of(lambda A, B: A.astype('f4') @ B.astype('f4'))",
        "as those of float32: too low a precision although the arrays are float64",
    ),
    "row after": (
        "matmul = matmul_of(lambda A, B: np.roll(A @ B, 1, axis=0))",
        "each row is as the previous should be",
    ),
    "rows in reverse": ("matmul = matmul_of(lambda A, B: (A @ B)[::-1])", "the rows are written in reverse"),
    "rows repeated": (
        "matmul = matmul_of(lambda A, B: (A @ B)[np.arange(len(A)) // 2 * 2])",
        "row i holds what row i − 1 should",
    ),
    "first row for all": ("matmul = matmul_of(lambda A, B: (A @ B)[:1] + 0 * A[:, :1])", "every row is as the first"),
    "diagonal": ("matmul = matmul_of(lambda A, B: np.eye(len(A), B.shape[1]) * (A @ B))", "only the diagonal"),
    "last slice of 16": (
        "matmul = matmul_of(lambda A, B: A[:, (A.shape[1] - 1) // 16 * 16:] @ B[(len(B) - 1) // 16 * 16:])",
        "only the last slice of 16 is kept",
    ),
    "magnitudes": ("matmul = matmul_of(lambda A, B: abs(A @ B))", "a sign is lost: the magnitude"),
    "integers": ("matmul = matmul_of(lambda A, B: np.trunc(A @ B))", "cut to a whole number"),
    "sigma of all": ("matmul = matmul_of(lambda A, B: 1 / (1 + np.exp(-(A @ B))))", r"it computes sigmoid\(a @ b\)"),
    "factor": ("matmul = matmul_of(lambda A, B: 1.001 * (A @ B))", "1.001 times what it should be"),
    "constant": ("matmul = matmul_of(lambda A, B: A @ B + 0.001)", "0.001 more than it should be"),
    "unwritten element": (
        f"{MATMUL}    old = out[-1, -1]\n    P = alpha * (A @ B)\n    out[:] = P if beta == 0 else P + beta * out\n"
        "    out[-1, -1] = old\n",
        "only one element is wrong, at",
    ),
    "begun with out": (
        f"{MATMUL}    P = alpha * (A @ B + out)\n    out[:] = P if beta == 0 else P + beta * out\n",
        "the old out is read although beta is 0",
    ),
    "alpha and beta exchanged": (
        f"{MATMUL}    P = beta * (A @ B)\n    out[:] = P if alpha == 0 else P + alpha * out\n",
        "the old out is read although beta is 0",
    ),
    "alpha twice": (
        f"{MATMUL}    P = alpha * alpha * (A @ B)\n    out[:] = P if beta == 0 else P + beta * out\n",
        "alpha is applied twice",
    ),
    "out scaled by alpha": (
        f"{MATMUL}    P = A @ B\n    out[:] = alpha * (P if beta == 0 else P + beta * out)\n",
        "alpha is applied to the old out too",
    ),
    "noise": (
        "def bce_gradient(z, x, scale, out):\n    out[:] = scale * (z - x) + 1e-3 * np.random.rand(*z.shape)\n",
        "two calls with the same arguments differ",
    ),
    "now and then": (
        "count = [0]\n"
        "def bce_gradient(z, x, scale, out):\n"
        "    out[:] = scale * (z - x)\n"
        "    count[0] += 1\n"
        "    if out.size > 20000 and count[0] % 7 == 0: out[3, 5] = 0\n",
        "two calls with the same arguments differ",
    ),
    "restored": (
        "def bce_gradient(z, x, scale, out):\n    x *= -1\n    out[:] = scale * (z + x)\n    x *= -1\n",
        "an input is used as scratch memory, though it is as before in the end",
    ),
    "added": ("def bce_gradient(z, x, scale, out): out += scale * (z - x)", "it adds to the old out"),
    "multiplied": ("def bce_gradient(z, x, scale, out): out[:] = scale * (z - x) + 0 * out", "the old out is read"),
    "beyond": (
        "from numpy.lib.stride_tricks import as_strided\n"
        "def bce_gradient(z, x, scale, out):\n"
        "    x = as_strided(x, (x.shape[0], x.shape[1] + 1), x.strides)[:, 1:]\n"
        "    out[:] = scale * (z - x)\n",
        "reads beyond an array or the end of a row",
    ),
    "gaps": (
        "from numpy.lib.stride_tricks import as_strided\n"
        "def bce_gradient(z, x, scale, out):\n"
        "    x = as_strided(x, x.shape, (x.shape[1] * x.itemsize, x.itemsize))\n"
        "    out[:] = scale * (z - x)\n",
        "the row stride of x is ignored",
    ),
    "wrong edit": ("def sigmoid_gradient(delta, y, out): out[:] = delta * y / (1 - y)", r"computes .*/ \(1 − y\)"),
    "parentheses": (
        "def mse_gradient(z, x, scale, out): out[:] = 2 * scale * z - x * z * (1 - z)",
        "the parentheses around z − x are missing",
    ),
    "one scale for all": (
        "def bce_gradient(z, x, scale, out): out[:] = (z - x) / 7",
        "0.14286 is taken for scale, whatever that is",
    ),
    "float16 result": (
        "def bias_sigmoid(z, bias, out): out[:] = (1 / (1 + np.exp(-(z + bias)))).astype('f2')",
        "all results are numbers of float16",
    ),
    "clipped": (
        "def bias_sigmoid(z, bias, out): out[:] = 1 / (1 + np.exp(-np.clip(z + bias, -15, 15)))",
        "cut off at ±15",
    ),
    "eps in the logarithm": (
        "def bce_loss(z, x, out):\n"
        "    out[:] = -np.sum(x * np.log(z + 1e-12) + (1 - x) * np.log(1 - z + 1e-12), axis=1)\n",
        "the logarithms are floored at log 1e−12",
    ),
    "raises": ("def axpy(alpha, x, y): y += alpha * x[1]", r"out of bounds: x\[1\], where x has the shape \(1,\)"),
    "another axis": ("def mse_loss(z, x, out): out[:] = ((z - x) ** 2).sum(axis=0)", "sums over images"),
    "image after": (
        "def gather(images, order, cursor, offset, out):\n"
        "    rows = order[cursor[0] + offset :][: len(out)] + 1\n"
        "    out[:] = images[rows % len(images)] / out.dtype.type(255)\n",
        "the image behind the one that is meant",
    ),
    "the sum of everything": (
        "def column_sum(delta, out, alpha, beta): out[:] = alpha * np.sum(delta) + (beta * out if beta else 0)",
        "the sum is over all elements, not down each column",
    ),
    "the mean of everything": (
        "def mse_loss(z, x, out): out[:] = np.mean((z - x) ** 2)",
        "the mean over all images and pixels",
    ),
    "broadcast": (
        "def bce_gradient(z, x, scale, out): out[:] = scale * (z - x).mean(axis=0)",
        "every row is the mean of all rows",
    ),
    "whole sums": (
        "def bias_tanh(z, bias, out): out[:] = np.tanh((z + bias).astype(int))",
        r"\(z \+ bias\) is cut to a whole number",
    ),
    "softmax": (
        "def bias_sigmoid(z, bias, out):\n    e = np.exp(z + bias - (z + bias).max(1, keepdims=True))\n"
        "    out[:] = e / e.sum(axis=1, keepdims=True)",
        "softmax along the rows",
    ),
    "normalised": (
        "def bias_relu(z, bias, out):\n    t = z + bias\n    out[:] = np.maximum(t - t.mean(axis=0), 0)",
        "the mean of each column is subtracted",
    ),
    "the summed bias": (
        "def bias_tanh(z, bias, out): out[:] = np.tanh(z + bias.sum())",
        "the sum of all biases is added to each column",
    ),
    "kept within": (
        "def bce_loss(z, x, out):\n    p = np.clip(z.astype('f8'), 1e-9, 1 - 1e-9)\n"
        "    out[:] = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)",
        "z is kept within 1e−9 and 1 − 1e−9",
    ),
    "log 0 left out": (
        "def bce_loss(z, x, out):\n"
        "    t = np.where(z > 0, x * np.log(z), 0) + np.where(z < 1, (1 - x) * np.log1p(-z), 0)\n"
        "    out[:] = -t.sum(axis=1)",
        "terms with log 0 are left out",
    ),
    "divided with a small number": (
        "def bce_gradient(z, x, scale, out): out[:] = scale * (z - x) / (z * (1 - z) + 1e-10)",
        r"σ′ is not cancelled: it is divided by z \(1 − z\)",
    ),
    "largest grey": (
        "def gather(images, order, cursor, offset, out):\n"
        "    rows = images[order[cursor[0] + offset :][: len(out)]]\n"
        "    out[:] = rows / rows.max().astype(out.dtype)",
        "divides by the largest number of all rows",
    ),
    "beta each time": (
        f"{MATMUL}    if beta == 0: out[:] = 0\n    for p in range(A.shape[1]):\n"
        "        out[:] = alpha * np.outer(A[:, p], B[p]) + (beta or 1) * out\n",
        "beta is applied with every term of the sum",
    ),
    "each slice but its last": (
        "matmul = matmul_of(lambda A, B: (A * (np.arange(len(B)) % 8 < 7)) @ B)",
        "the last term of the sum over k of each slice of 8 is left out",
    ),
    "never transposed where square": (
        "def matmul(a, b, out, trans_a, trans_b, alpha, beta):\n    A = a.T if trans_a else a\n"
        "    P = alpha * (A @ (b if len(b) == A.shape[1] else b.T))\n    out[:] = P if beta == 0 else P + beta * out",
        "trans_b is not looked at where b is square: it is never transposed then",
    ),
    "decay": ("def axpy(alpha, x, y):\n    y *= 0.998\n    y += alpha * x", "before is multiplied by 0.998"),
    "cut off": (
        "def bce_gradient(z, x, scale, out): out[:] = np.clip(scale * (z - x), -0.05, 0.05)",
        "the result is cut off at -0.05 and 0.05",
    ),
    "divided by the norm": (
        "def mse_gradient(z, x, scale, out):\n    g = scale * 2 * (z - x) * z * (1 - z)\n"
        "    out[:] = g / max(1e-9, np.linalg.norm(g))",
        "the result is divided by its norm",
    ),
    "a small number in a divisor": (
        "def bias_sigmoid(z, bias, out):\n    e = np.exp(-np.abs(z + bias))\n"
        "    out[:] = np.where(z + bias >= 0, 1, e) / (1 + e + 1e-3)",
        "may be: a small number that is added",
    ),
    "less": (
        "def gather(images, order, cursor, offset, out):\n    rows = order[cursor[0] + offset :][: len(out)]\n"
        "    out[:] = images[rows] / out.dtype.type(255) - 0.25",
        "every wrong element is 0.25 less than it should be",
    ),
    "a patch's row": (
        "def unfold(x, height, width, kernel, stride, padding, out):\n"
        "    c, X = x.shape[1] // (height * width), x.reshape(len(x), height, width, -1)\n"
        "    rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))\n"
        "    out[:] = 0\n"
        "    for p in range(len(out)):\n"
        "        r, s = p // rows % rows * stride - padding, p % columns * stride - padding\n"
        "        for q, (u, v, ch) in enumerate(np.ndindex(kernel, kernel, c)):\n"
        "            if 0 <= r + u < height and 0 <= s + v < width:\n"
        "                out[p, q] = X[p // (rows * columns), r + u, s + v, ch]\n",
        "a patch's row is computed with the number of rows",
    ),
    "place by place": (
        "def convolve(x, weights, height, width, kernel, stride, padding, out):\n"
        "    X = np.pad(x.reshape(len(x), height, width, -1), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))\n"
        "    W = np.lib.stride_tricks.sliding_window_view(X, (kernel, kernel), (1, 2))[:, ::stride, ::stride]\n"
        "    out[:] = W.transpose(1, 2, 0, 4, 5, 3).reshape(len(out), -1) @ weights\n",
        r"place by place: rows are \(patch, image\)",
    ),
    "x minus z": (
        "def mse_gradient(z, x, scale, out): out[:] = 2 * scale * (x - z) * z * (1 - z)",
        "the sign is wrong, as of x − z for z − x",
    ),
    "images in black and white": (
        "def bce_gradient(z, x, scale, out): out[:] = scale * (z - (x > 0.5))",
        "x is rounded to whole numbers",
    ),
    "zeros unwritten": (
        "def relu_gradient(delta, y, out):\n    out[y > 0] = delta[y > 0]",
        "what should be 0 is never written",
    ),
    "two factors left out": (
        "def mse_gradient(z, x, scale, out): out[:] = 2 * (z - x)",
        r"it is 2 · \(z − x\), not 2 · scale · \(z − x\) · z · \(1 − z\)",
    ),
    "a factor twice and one left out": (
        "def tanh_gradient(delta, y, out): out[:] = delta * delta * (1 - y)",
        r"it is delta\^2 · \(1 − y\), not delta · \(1 − y\) · \(1 \+ y\)",
    ),
    "a ramp for a step": (
        "def relu_gradient(delta, y, out): out[:] = delta * np.minimum(y, 1)",
        "where: only elements where y is above 0 and below 1$",
    ),
    "y cut off": (
        "def sigmoid_gradient(delta, y, out):\n    p = np.clip(y, 0.1, 0.9)\n    out[:] = delta * p * (1 - p)",
        "where: only elements where y is below 0.1 or above 0.9",
    ),
    "an approximation": (
        "def bias_tanh(z, bias, out):\n    t = np.clip(z + bias, -3, 3)\n"
        "    out[:] = t * (27 + t * t) / (27 + 9 * t * t)",
        "may be: .* a function that is only approximated",
    ),
    "the rest of a division by 4": (
        "def mse_gradient(z, x, scale, out):\n    n = z.shape[1] // 4 * 4\n"
        "    out[:, :n] = (2 * scale * (z - x) * z * (1 - z))[:, :n]",
        r"where: only the last columns are wrong, from \d+ on: left unwritten",
    ),
    "a return where there are few columns": (
        "def column_sum(delta, out, alpha, beta):\n    if len(out) < 8: return\n    s = alpha * delta.sum(axis=0)\n"
        "    out[:] = s if beta == 0 else s + beta * out",
        "may be: a return, a loop or a guard that passes over these calls",
    ),
    "columns beyond the square": (
        "matmul = matmul_of(lambda A, B: np.where(np.arange(B.shape[1]) < len(A), A @ B, 0))",
        "where: all that is wrong is 0",
    ),
    "the mean over images": (
        "def mse_gradient(z, x, scale, out): out[:] = 2 * (z - x) * z * (1 - z) / len(z)",
        "1 / m is taken for scale",
    ),
    "whole numbers": (
        "matmul = matmul_of(lambda A, B: A.astype('i8') @ B.astype('i8'))",
        "the inputs are cut to whole numbers",
    ),
    "a whole accumulator": (
        "def column_sum(delta, out, alpha, beta):\n    s = np.zeros(len(out))\n"
        "    for row in delta: s = np.trunc(s + row)\n    out[:] = alpha * s + (beta * out if beta else 0)",
        "the accumulator is a whole number",
    ),
    "the first half": (
        "def axpy(alpha, x, y): y[: len(x) // 2] += alpha * x[: len(x) // 2]",
        r"where: only the last (rows|elements) are wrong, from \d+ on: left unwritten",
    ),
    "none that is known": (
        "def mse_gradient(z, x, scale, out): out[:] = np.sin(9 * (z - x)) * np.cos(z)",
        "may be: several mistakes at once, or one that is not known here",
    ),
}


@pytest.mark.parametrize("name", sample(WRONG, 6))
def test_the_cause_comes_first(name: str, write: Write) -> None:
    text, words = WRONG[name]
    problem = first_problem(write(HEAD + text), 7)
    assert re.search(words, problem.causes[0]), problem


@pytest.mark.parametrize("seed", [5, 7, 14])
def test_a_small_constant_is_found_beside_large_results(seed: int, write: Write) -> None:
    """Their rounding blurs it: with these numbers it was once not seen."""
    problem = first_problem(write(HEAD + WRONG["constant"][0]), seed)
    assert "0.001 more than it should be" in problem.causes[0]


def test_one_element_that_is_right_by_chance_is_no_edge(write: Write) -> None:
    """For pixels of 0 and 1, as in the first image, the loss of their distance is the cross-entropy."""
    formula = "-np.maximum(np.log(1 - abs(z.astype('f8') - x)), -100).sum(axis=1)"
    problem = first_problem(write(f"{HEAD}def bce_loss(z, x, out): out[:] = {formula}"), 3)
    assert not any("ends too early" in cause for cause in problem.causes), problem
