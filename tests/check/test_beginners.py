"""Beginners' mistakes in how a kernel is written: the cause and its line are named, at odd shapes too."""

import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, start
from learner_files import Write, loaded
from sampling import sample

from fastae import cli
from fastae.check import verdict
from fastae.check.calls import cases, shapes
from fastae.check.calls.evidence import MAYBE, WHEN, WHERE
from fastae.check.cause import habits
from fastae.check.file import failure
from fastae.check.file import text as source
from fastae.errors import InputError

HEAD = "import math\nimport numpy as np\nfrom numba import guvectorize, njit, prange, types, vectorize\n"  # 3 lines
LOOPS = "    for i in range(out.shape[0]):\n        for j in range(out.shape[1]):\n            "

# The file after HEAD, and what the likeliest cause must say.
NUMPY = {
    "returned": ("def bias_tanh(z, bias, out): return np.tanh(z + bias)", r"returned, not written.*\(line 4\)"),
    "returned, and wrong": ("def bias_tanh(z, bias, out): return np.tanh(z - bias)", "what is returned is wrong too"),
    "returned from a copy": (
        "def mse_loss(z, x, out):\n    loss = out.copy()\n    for i in range(len(z)):\n"
        "        loss[i] = ((z[i] - x[i]) ** 2).sum()\n    return loss",
        r"returned, not written.*\(line 8\)",
    ),
    "renamed": (
        "def relu_gradient(delta, y, out):\n    out = np.where(y > 0, delta, 0)", r"only gives the name.*line 5"
    ),
    "renamed by a sum": ("def axpy(alpha, x, y): y = y + alpha * x", "y = ... only gives the name y"),
    "renamed in a pair": (
        "def bias_relu(z, bias, out): out, _ = np.maximum(z + bias, 0), 1", "only gives the name out"
    ),
    "renamed, where beta is not 0": (
        "def column_sum(delta, out, alpha, beta):\n    total = alpha * delta.sum(axis=0)\n    if beta == 0:\n"
        "        out[:] = total\n    else:\n        out = total + beta * out",
        "only gives the name out",
    ),
    "rows renamed": (
        "def sigmoid_gradient(delta, y, out):\n    for d, s, row in zip(delta, y, out):\n        row = d * s * (1 - s)",
        "nothing is written|only gives the name row",
    ),
    "rows renamed, counted": (
        "def bias_tanh(z, bias, out):\n    for i, row in enumerate(out):\n        row = np.tanh(z[i] + bias)",
        r"only gives the name row .*\(line 6\)",
    ),
    "renamed in a helper": (
        "def put(to, what):\n    to = what\ndef mse_loss(z, x, out): put(out, ((z - x) ** 2).sum(axis=1))",
        r"only gives the name to .*\(line 5\)",
    ),
    "into a copy": (
        "def relu_gradient(delta, y, out):\n    flat = out.flatten()\n    flat[:] = np.where(y > 0, delta, 0).ravel()",
        r"out.flatten\(\) is a copy: .*\(line 5\)",
    ),
    "into a copy where rows have gaps": (
        "def tanh_gradient(delta, y, out): np.multiply(delta.ravel(), 1 - y.ravel() ** 2, out=out.reshape(-1))",
        r"out.reshape\(-1\) is a copy where rows have gaps .*\(line 4\)",
    ),
    "into a mask's copy": (
        "def bias_relu(z, bias, out):\n    t = z + bias\n    out[t > 0][:] = t[t > 0]\n    out[t <= 0][:] = 0",
        r"out\[t <= 0\] is a copy",
    ),
    "cursor renamed": ("def advance(cursor, n): cursor = cursor + n", "cursor = ... only gives the name"),
    "np.dot into a block": (
        "def matmul(a, b, out, trans_a, trans_b, alpha, beta):\n    old = out.copy()\n"
        "    np.dot(a.T if trans_a else a, b.T if trans_b else b, out=out)\n    out *= alpha\n"
        "    if beta: out += beta * old",
        r"np.dot\(out=\) wants an array without gaps.*\(line 6\)",
    ),
    "nan_to_num": ("def mse_gradient(z, x, scale, out):\n    out[:] = np.nan_to_num(2 * scale * (z - x) * z * (1 - z))",
                   r"it hides NaN: nan_to_num.*\(line 5\)"),
    "nansum": ("def mse_loss(z, x, out): out[:] = np.nansum((z - x) ** 2, axis=1)", "it hides NaN: nansum"),
    "where": ("def bias_relu(z, bias, out):\n    t = z + bias\n    out[:] = np.where(t > 0, t, 0)",
              r"it hides NaN: a comparison .*\(line 6\)"),
    "fmax": ("def bias_relu(z, bias, out): np.fmax(z + bias, 0, out=out)", "it hides NaN: fmax"),
    "σ' of the pre-activation": (
        "def sigmoid_gradient(delta, y, out):\n    s = np.exp(-y)\n    out[:] = delta * s / (1 + s) ** 2",
        "σ is applied to y, which is a σ already",
    ),
    "σ' twice": ("def sigmoid_gradient(delta, y, out): out[:] = delta * (y * (1 - y)) ** 2", "applied twice"),
    "σ' twice in the loss": (
        "def mse_gradient(z, x, scale, out):\n    d = z * (1 - z)\n    out[:] = 2 * scale * (z - x) * d * d",
        "σ′ = z .* is applied twice",
    ),
    "bias by rows": ("def bias_tanh(z, bias, out): out[:] = np.tanh(z + bias.reshape(-1, 1))", "taken by row"),
    "bias by rows, loops": (
        f"def bias_relu(z, bias, out):\n{LOOPS}out[i, j] = max(z[i, j] + bias[i], 0)",
        r"out of bounds: bias\[i\] with i = \d+, where bias has the shape|taken by row",
    ),
    "mean for a sum": (
        "def bce_loss(z, x, out):\n    p, q = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)\n"
        "    out[:] = -(x * p + (1 - x) * q).mean(axis=1)", "mean over pixels"
    ),
    "whole numbers": (
        "def gather(images, order, cursor, offset, out):\n    i = cursor[0] + offset\n"
        "    out[:] = images[order[i : i + len(out)]] // 255",
        "whole",
    ),
}  # fmt: skip

COMPILED = {
    "a new array is returned": (
        f"@njit\ndef bias_relu(z, bias, out):\n    new = np.empty_like(z)\n{LOOPS}"
        "t = z[i, j] + bias[j]\n            new[i, j] = 0 if t < 0 else t\n    return new",
        "returned, not written",
    ),
    "float64 alone": (
        f'@njit("void(f8[:, :], f8[:, :], f8[:, :])")\ndef tanh_gradient(delta, y, out):\n{LOOPS}'
        "out[i, j] = delta[i, j] * (1 - y[i, j] ** 2)",
        r"the explicit signature lacks float32: leave it out.*\(line 4\)",
    ),
    "float32 alone, as types": (
        "F = types.float32[:, :]\n@njit([types.void(F, types.float32[:, :], F)])\n"
        f"def tanh_gradient(delta, y, out):\n{LOOPS}"
        "out[i, j] = delta[i, j] * (1 - y[i, j] ** 2)",
        "the explicit signature lacks float64",
    ),
    "other whole numbers": ("@njit('void(int32[:], int64)')\ndef advance(cursor, n): cursor[0] += n",
                            "signature lacks the types of these arguments"),
    "vectors alone": (
        "@njit(['void(float32, float32[:], float32[:])', 'void(float64, float64[:], float64[:])'])\n"
        "def axpy(alpha, x, y):\n    for i in range(len(x)): y[i] += alpha * x[i]",
        "signature lacks matrices",
    ),
    "without gaps": (
        '@njit(["void(f4[:, ::1], f4[:, ::1], f4[:, ::1])", "void(f8[:, ::1], f8[:, ::1], f8[:, ::1])"])\n'
        f"def relu_gradient(delta, y, out):\n{LOOPS}out[i, j] = delta[i, j] if y[i, j] > 0 else 0",
        "the explicit signature lacks rows with gaps",
    ),
    "a frozen global": (
        "length = 0\n@njit\ndef core(z, x, out):\n    for i in range(z.shape[0]):\n        out[i] = 0\n"
        "        for j in range(length):\n            out[i] += (z[i, j] - x[i, j]) ** 2\n"
        "def mse_loss(z, x, out):\n    global length\n    length = z.shape[1]\n    core(z, x, out)",
        r"the global length is a constant in compiled code.*\(line 9\)",
    ),
    "a global that is written": (
        "buffer = np.zeros(4)\n@njit\ndef mse_loss(z, x, out):\n    for i in range(z.shape[0]):\n"
        "        buffer[0] = 0\n        for j in range(z.shape[1]):\n"
        "            buffer[0] += (z[i, j] - x[i, j]) ** 2\n        out[i] = buffer[0]",
        "a global array is a constant",
    ),
    "a sum of all threads": (
        "@njit(parallel=True)\ndef mse_loss(z, x, out):\n    s = 0.0\n    for i in prange(z.shape[0]):\n"
        "        for j in range(z.shape[1]):\n            s += (z[i, j] - x[i, j]) ** 2\n        out[i] = s",
        r"a race: all iterations of the prange sum in s.*\(line 10\)",
    ),
    "max hides NaN": (
        f"@njit\ndef bias_relu(z, bias, out):\n{LOOPS}out[i, j] = max(0.0, z[i, j] + bias[j])",
        "it hides NaN: max compares|hides NaN",
    ),
}  # fmt: skip

RIGHT = {
    "a guvectorized kernel returns its own out": (
        '@guvectorize(["f4[:], f4[:], f4[:]", "f8[:], f8[:], f8[:]"], "(n),(n)->(n)")\n'
        "def tanh_gradient(delta, y, out):\n    for j in range(delta.shape[0]):\n"
        "        out[j] = delta[j] * (1 - y[j] * y[j])"
    ),
    "NumPy's functions return theirs": (
        "def relu_gradient(delta, y, out): return np.multiply(delta, y > 0, out=out) if np.isfinite(delta).all() else "
        "np.copyto(out, np.where(y > 0, delta, 0))"
    ),
    "only the interpreter overflows": (
        f"@njit\ndef bias_sigmoid(z, bias, out):\n{LOOPS}out[i, j] = 1 / (1 + math.exp(-(z[i, j] + bias[j])))"
    ),
}


@pytest.fixture(autouse=True)
def _other_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MATRICES", ((1, 1), (2, 7), (7, 2), (5, 5), (9, 13), (20, 31)))
    monkeypatch.setattr(shapes, "PRODUCTS", ((1, 1, 1), (2, 5, 3), (7, 4, 1), (6, 6, 6), (11, 9, 13)))


def examined(text: str, write: Write) -> list[verdict.Problem]:
    k = loaded(write(f"{HEAD}{text}\n"))
    return verdict.examine(k, k.kernels[0], 11).problems


def likely(problem: verdict.Problem) -> str:
    """Return the causes that are called likely, and what was found out."""
    sure = [cause for cause in problem.causes if not cause.startswith((MAYBE, WHERE, WHEN))]
    return " | ".join([*sure[:1], problem.what])


@pytest.mark.parametrize("what", [*sample(NUMPY, 1), *sample(COMPILED, 3)])
def test_a_habit_is_named(what: str, write: Write) -> None:
    text, words = (NUMPY | COMPILED)[what]
    problem = examined(text, write)[0]
    assert re.search(words, likely(problem)), problem


@pytest.mark.parametrize("what", sample(RIGHT, 2))
def test_what_harms_nobody_is_right(what: str, write: Write) -> None:
    assert examined(RIGHT[what], write) == []


def test_a_race_is_looked_for_with_two_threads(write: Write) -> None:
    path = write(
        HEAD + "@njit(parallel=True)\ndef column_sum(delta, out, alpha, beta):\n    for j in range(out.shape[0]):\n"
        "        out[j] = 0 if beta == 0 else beta * out[j]\n    for i in prange(delta.shape[0]):\n"
        "        for j in range(out.shape[0]):\n            out[j] += alpha * delta[i, j]\n"
    )
    child = start("check", path, "--no-speed", script=["-m", "fastae"], env=os.environ | {"NUMBA_NUM_THREADS": "1"})
    out, err = child.communicate()
    assert child.returncode == 1, out + err
    assert "likely: a race: every iteration of the prange writes out[j] (line 10)\n" in out, out
    text = path.read_text()
    assert source.environment(text, {"NUMBA_NUM_THREADS": "1"}) == {"NUMBA_NUM_THREADS": "2"}
    assert source.environment(text, {"NUMBA_NUM_THREADS": "3"}) == {}
    assert source.environment(text.replace("parallel=True", ""), {"NUMBA_NUM_THREADS": "1"}) == {}


def test_without_scipy_nothing_is_said_of_the_kernel(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)  # an import fails
    text = "@njit\ndef matmul(a, b, out, trans_a, trans_b, alpha, beta):\n    np.dot(a, b, out)\n"
    with pytest.raises(InputError, match="need SciPy, which is not installed here: pip install scipy"):
        examined(text, write)


CACHED = f"{HEAD}@njit(cache=True)\ndef axpy(alpha, x, y): y += alpha * x\n"


def test_a_cache_that_nobody_can_write_is_explained(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from numba.core import caching

    def refuse(*_: Any) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)
    told = refused(capsys, "train", "--kernels", write(CACHED), "--limit", 32, "--epochs", 1, "--out", tmp_path)
    assert "line 4: RuntimeError: Numba can write into no folder to cache it: leave out cache=True" in told


@pytest.mark.thorough
def test_the_judge_gives_a_cache_a_folder(write: Write) -> None:
    assert cli.main(["check", "--no-speed", str(write(CACHED))]) == 0


def test_read_only_inputs_that_a_signature_lacks_are_named(write: Write) -> None:
    path = write(
        f'{HEAD}@njit("void(f8[:, :], f8[:, :], f8[:, :])")\ndef tanh_gradient(delta, y, out):\n    out[:] = 0\n'
    )
    k = loaded(path)
    call = verdict.judged(
        "tanh_gradient", "float64", {}, True, cases.make("tanh_gradient", "float64", m=2, n=3), np.empty(0)
    )
    with pytest.raises(failure.KernelFailed) as caught:
        cases.call(k, "tanh_gradient", call.arguments, frozen=True)
    call.fault, call.failure = str(caught.value), caught.value.failure
    facts = source.facts(path.read_text(), "tanh_gradient")
    (cause,) = habits.of_calls(facts, [call], call, False, [])
    assert "lacks read-only inputs" in cause


# Messages: the decisive line, and where in the learner's file.
MESSAGES = {
    "NumPy's": ("def axpy(alpha, x, y):\n    y += alpha * x[:, None, :2, None]",
                r"axpy failed: IndexError: too many.*\(line 5\)"),
    "a name": ("@njit\ndef axpy(alpha, x, y):\n    y += alhpa * x",
               r"axpy failed: .*name 'alhpa' is not defined \(line 6\)"),
    "what Numba lacks": ("@njit\ndef axpy(alpha, x, y):\n    y += np.einsum('...->...', x)",
                         r"failed: TypingError: Use of unsupported NumPy function 'numpy.einsum'.* \(line 6\)"),
    "indices": ("@njit\ndef bias_relu(z, bias, out):\n    out[0, 0] = bias[0, 0]",
                r"cannot index array\(float32, 1d, C\) with 2.* \(line 6\)|mine.py, line 6: too many indices"),
    "no such operation": ("@njit\ndef bias_relu(z, bias, out):\n    out[:] = z + 'bias'",
                          r"failed: TypingError: Numba has no add\(array.* \(line 6\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", sample(MESSAGES, 2))
def test_a_message_is_cut_to_the_decisive_line(what: str, write: Write) -> None:
    text, words = MESSAGES[what]
    problem = examined(text, write)[0]
    assert re.search(words, problem.what), problem
    assert "\n" not in problem.what


# The facts alone.


def test_facts_are_of_the_kernel_and_of_what_it_calls() -> None:
    text = textwrap.dedent("""
        from numba import njit, prange
        table = [0]

        @njit("void(f8[:], f8[:])", fastmath={"nnan"}, parallel=True)
        def core(x, y):
            total = 0.0
            for i in prange(len(x)):
                row = x[i]
                for j in range(table[0]):
                    y[i] += max(row, 0)
                    y[j] = 1
                    if i == 0:
                        y[j] += row
                total += row
            y[0] = total

        @njit
        def other(x): return x

        def axpy(alpha, x, y):
            table[0] = len(x)
            core(alpha * x, y)
            return y
    """)
    facts = source.facts(text, "axpy")
    assert [d.name for d in facts.decorators] == ["njit"]
    assert facts.signatures == ["void(f8[:], f8[:])"]
    assert facts.option("fastmath") == {"nnan"}
    assert facts.returns_out
    assert [place.line for place in facts.races] == [12, 14]
    assert facts.lost_updates == []  # all write the same, or but one does
    assert [p.line for p in source.facts(text.replace("if i == 0", "with x"), "axpy").lost_updates] == [14]
    assert {(place.line, place.text) for place in facts.frozen} == {(10, "table")}
    assert any(place.text == "max(row, 0)" and place.line == 11 for place in facts.calls)
    assert source.is_parallel(text)


def test_what_is_no_python_has_no_facts_but_its_calls() -> None:
    facts = source.facts('extern "C" __global__ void axpy() {\n  y[0] = fmaxf(x[0], 0);\n}', "axpy")
    assert source.Place(2, "fmaxf") in facts.calls
    assert not facts.decorators
    assert source.facts("", "axpy").calls == []


def test_what_is_returned_is_described() -> None:
    out = np.zeros((2, 3))
    assert cases.describe_return(None, out) is None
    assert cases.describe_return(out, out) == cases.Returned("ndarray", True, None)
    assert cases.describe_return(out[:], out) == cases.Returned("ndarray", True, None)
    found = cases.describe_return(out[:1], out)
    assert found == cases.Returned("ndarray", False, None)  # of another shape
    found = cases.describe_return(out + 1, out)
    assert found
    assert found.value is not None
    assert np.array_equal(found.value, np.ones((2, 3)))
    assert cases.describe_return(3.0, out) == cases.Returned("float", False, None)
