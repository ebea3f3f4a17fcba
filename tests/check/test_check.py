"""``fastae check`` and ``train --kernels``: right kernels in any style pass, wrong ones are called wrong and named."""

import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample

import fastae
from fastae import cli
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check import learner, speed, verdict
from fastae.check.calls import cases
from fastae.check.calls.evidence import Call
from fastae.check.cause import explain as causes
from fastae.check.cause import formulas
from fastae.errors import InputError, gist

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def problems(path: Path, seed: int = 1) -> list[verdict.Problem]:
    k: Any = learner.load(path, "emulator" if path.suffix == ".cu" else "auto")
    found = [problem for name in k.kernels for problem in verdict.examine(k, name, seed).problems]
    return found or [p for p in [verdict.model_gradient(k, seed)] if p]


RIGHT = {
    "NumPy": """
        import numpy as np
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
            out[:] = product if beta == 0 else product + beta * out
        def bias_sigmoid(z, bias, out):
            with np.errstate(over="ignore"):
                out[:] = 1 / (1 + np.exp(-(z + bias)))
        def sigmoid_gradient(delta, y, out): out[:] = delta * y * (1 - y)
        def mse_gradient(z, x, scale, out): out[:] = 2 * scale * (z - x) * z * (1 - z)
        def bce_gradient(z, x, scale, out): out[:] = scale * (z - x)
        def mse_loss(z, x, out): out[:] = np.sum((z - x) ** 2, axis=1)
        def bce_loss(z, x, out):
            with np.errstate(divide="ignore"):
                p, q = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)
            out[:] = -np.sum(x * p + (1 - x) * q, axis=1)
        def column_sum(delta, out, alpha, beta):
            out[:] = alpha * delta.sum(axis=0) + (0 if beta == 0 else beta * out)
        def axpy(alpha, x, y): y += alpha * x
        def gather(images, order, cursor, offset, out):
            first = cursor[0] + offset
            out[:] = images[order[first : first + len(out)]] / out.dtype.type(255)
        def advance(cursor, n): cursor += n
        """,
    "einsum in float64": """
        import numpy as np
        def matmul(a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0):
            ab = np.einsum(f"{'ki' if trans_a else 'ik'},{'jk' if trans_b else 'kj'}", a, b, dtype=np.float64)
            out[...] = alpha * ab + (beta * out if beta else 0)
        def mse_loss(z, x, out):
            np.einsum("ij,ij->i", z - x, z - x, dtype=np.float64, out=out)
        """,
    "loops in Fortran's order": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            m, n = out.shape
            k = a.shape[0] if trans_a else a.shape[1]
            for j in range(n):
                for i in range(m):
                    s = 0.0
                    for l in range(k):
                        s += float(a[l, i] if trans_a else a[i, l]) * float(b[j, l] if trans_b else b[l, j])
                    out[i, j] = alpha * s if beta == 0 else alpha * s + beta * out[i, j]
        def column_sum(delta, out, alpha, beta):
            for j in range(delta.shape[1]):
                s = sum(float(x) for x in delta[:, j])
                out[j] = alpha * s if beta == 0 else alpha * s + beta * out[j]
        """,
    "Numba": """
        import math
        from numba import njit
        @njit
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            m, n = out.shape
            k = a.shape[0] if trans_a else a.shape[1]
            for i in range(m):
                for j in range(n):
                    s = 0.0
                    for l in range(k):
                        s += (a[l, i] if trans_a else a[i, l]) * (b[j, l] if trans_b else b[l, j])
                    out[i, j] = alpha * s if beta == 0 else alpha * s + beta * out[i, j]
        @njit(fastmath=False)
        def bias_sigmoid(z, bias, out):
            for i in range(z.shape[0]):
                for j in range(z.shape[1]):
                    t = z[i, j] + bias[j]
                    out[i, j] = 1 / (1 + math.exp(-t)) if t > -700 else math.exp(t)
        """,
}

CUDA = """
// launch matmul: grid (ceil(n / 8), ceil(m / 4)), block (8, 4)
extern "C" __global__ void matmul(real* out, long long out_stride, const real* a, long long a_stride, const real* b,
                                  long long b_stride, int cols, int rows, int depth, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  const int r = blockIdx.y * 4 + threadIdx.y, c = blockIdx.x * 8 + threadIdx.x;
  if (r >= rows || c >= cols) return;
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  real s = 0;
  for (int l = 0; l < depth; ++l)
    s += (trans_a ? a[l * a_stride + r] : a[r * a_stride + l]) * (trans_b ? b[c * b_stride + l] : b[l * b_stride + c]);
  out[r * out_stride + c] = beta == real(0) ? alpha * s : alpha * s + beta * out[r * out_stride + c];
}
// launch mse_loss: grid (m), block (64)
extern "C" __global__ void mse_loss(int m, int n, const real* z, long long z_stride, const real* x, long long x_stride,
                                    double* out) {
  __shared__ double part[64];
  double s = 0;
  for (int c = threadIdx.x; c < n; c += 64) {
    const real e = z[blockIdx.x * z_stride + c] - x[blockIdx.x * x_stride + c];
    s += e * e;
  }
  part[threadIdx.x] = s;
  for (int half = 32; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}
extern "C" __global__ void sigmoid_gradient(int m, int n, const real* delta, long long delta_stride, const real* y,
                                            long long y_stride, real* out, long long out_stride) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < m * n; i += gridDim.x * blockDim.x) {
    const real s = y[i / n * y_stride + i % n];
    out[i / n * out_stride + i % n] = delta[i / n * delta_stride + i % n] * s * (1 - s);
  }
}
"""


@pytest.mark.parametrize("style", sample(RIGHT, 4))
def test_a_right_kernel_in_any_style_passes(style: str, write: Write) -> None:
    assert problems(write(RIGHT[style])) == []


def test_right_cuda_kernels_pass(write: Write) -> None:
    assert problems(write(CUDA, "mine.cu")) == []


# Wrong ones: which kernel, what is changed in the right file, and a word of the likely cause.
PYTHON_FAULTS = [
    (
        "product if beta == 0 else product + beta * out",
        "product + beta * out",
        "the old out is read although beta is 0",
    ),
    ("product if beta == 0 else product + beta * out", "product", "beta · out is left out"),
    ("product if beta == 0 else product + beta * out", "product + out if beta else product", "beta is left out"),
    ("alpha * ((a.T", "((a.T", "alpha is left out"),
    ("(b.T if trans_b else b)", "b.reshape(b.shape[::-1] if trans_b else b.shape)", "trans_b"),
    ("alpha * ((a.T if trans_a else a) @ (b.T", "alpha * ((a.T if trans_a else a)[:, :-1] @ (b.T", None),
    ("-(z + bias)", "z + bias", "the exponent's sign is wrong"),
    ("-(z + bias)", "-z", "the bias is left out"),
    ("1 / (1 + np.exp(-(z + bias)))", "np.exp(z + bias) / (1 + np.exp(z + bias))", "overflows"),
    ("delta * y * (1 - y)", "delta * y", "1 − y is left out"),
    ("delta * y * (1 - y)", "y * (1 - y)", "delta is left out"),
    ("delta * y * (1 - y)", "delta; out *= y; out *= 1 - y; out[:, -1] = np.nan", "unwritten|NaN|last columns"),
    ("2 * scale * (z - x) * z", "scale * (z - x) * z", "the factor 2 is left out"),
    ("2 * scale * (z - x) * z * (1 - z)", "2 * scale * (z - x)", "σ′"),
    ("out[:] = scale * (z - x)\n", "out[:] = (z - x)\n", "scale is left out"),
    ("np.sum((z - x) ** 2, axis=1)", "np.mean((z - x) ** 2, axis=1)", "mean over pixels"),
    ("np.sum((z - x) ** 2, axis=1)", "np.fmax(np.sum((z - x) ** 2, axis=1), 0)", "hides NaN"),
    ("np.sum((z - x) ** 2, axis=1)", "np.sum((z.astype('f2') - x) ** 2, axis=1, dtype='f4')", "precision|factor"),
    ("np.maximum(np.log(z), -100)", "np.log(z)", "."),
    ("-np.sum(x * p", "np.sum(x * p", "the sign is wrong"),
    ("delta.sum(axis=0)", "delta.mean(axis=0)", "the mean of the rows"),
    ("y += alpha * x", "y[...] = alpha * x", "y is overwritten"),
    ("y += alpha * x", "y += x", "alpha is left out"),
    ("/ out.dtype.type(255)", "/ out.dtype.type(256)", "divides by 256"),
    ("first = cursor[0] + offset", "first = cursor[0]", "offset is left out"),
    ("cursor += n", "cursor[:] = n", "the cursor is set to n"),
    ("def mse_gradient(z, x, scale, out): o", "def mse_gradient(z, x, scale, out): x[0, -1] = 0.5; o", "scratch"),
    ("def axpy(alpha, x, y): y += alpha * x", "def axpy(alpha, x, y): y += alpha * x; return y", "returns"),
]


@pytest.mark.parametrize("fault", sample(PYTHON_FAULTS, 5, lambda fault: fault[1]))
def test_a_wrong_numpy_kernel_is_called_wrong_and_named(fault: tuple[str, str, str | None], write: Write) -> None:
    (old, new, words), right = fault, textwrap.dedent(RIGHT["NumPy"])
    assert right.count(old) == 1
    found = problems(write(right.replace(old, new)))
    assert found
    if words:
        told = " ".join([found[0].what, *found[0].causes])
        assert re.search(words, told), told


def test_a_kernel_that_raises_for_huge_numbers_is_wrong(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("""
        import math
        def bias_sigmoid(z, bias, out):
            for i in range(z.shape[0]):
                for j in range(z.shape[1]):
                    out[i, j] = 1 / (1 + math.exp(-(z[i, j] + bias[j])))
        """)
    assert cli.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "bias_sigmoid failed: OverflowError: math range error" in out
    assert "with NaN, infinities or huge numbers" in out


def test_a_stride_of_a_vector_may_be_asked_for(write: Write) -> None:
    path = write(
        """
        // launch axpy: grid (m), block (32)
        extern "C" __global__ void axpy(int n, real alpha, const real* alpha_at, const real* x, long long x_stride,
                                        real* y, long long y_stride) {
          for (int c = threadIdx.x; c < n; c += 32)
            y[blockIdx.x * y_stride + c] += (alpha_at ? *alpha_at : alpha) * x[blockIdx.x * x_stride + c];
        }
        """,
        "axpy.cu",
    )
    assert problems(path) == []


def test_a_kept_answer_is_found(write: Write) -> None:
    found = problems(
        write("""
        import numpy as np
        kept = {}
        def bce_gradient(z, x, scale, out):
            key = z.ctypes.data, z.shape
            if key not in kept:
                kept[key] = scale * (z - x)
            out[:] = kept[key]
        """)
    )
    assert "an answer is kept from an earlier call" in found[0].causes[0] or "wrong" in found[0].what


CUDA_FAULTS = [
    ("if (r >= rows || c >= cols) return;", "if (r >= rows || c > cols) return;", "out of bounds"),
    ("l < depth", "l < depth - 1", "the last term of the sum over k is left out"),
    ("r * out_stride + c] = beta", "r * cols + c] = beta", "stride|block|bounds"),
    ("alpha * s : alpha * s + beta", "s : s + beta", "alpha is left out"),
    ("    __syncthreads();\n", "", "a race between two threads|before it is written"),
    ("grid (ceil(n / 8), ceil(m / 4))", "grid (ceil(n / 16), ceil(m / 4))", "unwritten|last columns"),
    ("c < n; c += 64", "c < n - 1; c += 64", "the last pixel is left out"),
    ("  part[threadIdx.x] = s;\n", "  if (threadIdx.x < n) part[threadIdx.x] = s;\n", "before it is written"),
    ("* s * (1 - s)", "* s", "1 − y is left out"),
]


@pytest.mark.parametrize("fault", sample(CUDA_FAULTS, 4, lambda fault: fault[1]))
def test_a_wrong_cuda_kernel_is_called_wrong_and_named(fault: tuple[str, str, str], write: Write) -> None:
    old, new, words = fault
    assert CUDA.count(old) == 1
    found = problems(write(CUDA.replace(old, new), "mine.cu"))
    assert found
    told = " ".join([found[0].what, *found[0].causes])
    assert re.search(words, told), told


@pytest.mark.parametrize("name", sample([name for name in KERNELS if name != "advance"], 4))
def test_each_known_way_to_be_wrong_is_named_at_other_shapes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = {"m": 12, "n": 12, "k": 12, "...": 12, "alpha": 0.75}
    if name in ("matmul", "column_sum"):
        lengths["beta"] = -1.5
    if name in PATCHES:
        lengths |= {"m": 2, "height": 7, "width": 6, "kernel": 3, "stride": 2, "padding": 1, "channels": 2, "c": 3}
    arguments = cases.make(name, "float64", 77, **lengths)
    exact, bound = cases.expected(name, arguments, "float64")
    given = {"m": exact.shape[0], "n": exact.shape[-1]}
    with np.errstate(all="ignore"):
        known = list(formulas.named(name, cases.in_float64(arguments)))
    assert len(known) > 4
    monkeypatch.setattr(causes, "named", lambda *call: iter(known))  # the same for each of them
    for text, wrong in known:
        wrong = np.asarray(np.ma.filled(wrong, np.nan))
        if wrong.shape == exact.shape and np.isfinite(wrong).any() and not np.all(np.abs(wrong - exact) <= 8 * bound):
            assert text in causes.explain([Call(name, "float64", given, False, arguments, wrong, exact, bound)])


# The commands.


def test_the_verdict_in_words_and_as_json(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = (
        write("def sigmoid_gradient(delta, y, out): out[:] = delta * y * (1 - y)"),
        write("def bce_gradient(z, x, scale, out): out[:] = z - x", "w.py"),
    )
    assert cli.main(["check", str(right), "--seed", "3", "--no-speed"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^sigmoid_gradient: right in \d+ calls; largest error 0\.\d\d of what is allowed$", out, re.M)
    assert "the model: right" in out
    assert cli.main(["check", str(wrong), "--seed", "3"]) == 1
    out = capsys.readouterr().out
    assert "bce_gradient: WRONG" in out
    assert "  likely: scale is left out" in out
    assert f"to see it again: fastae check {wrong} --seed 3" in out
    assert cli.main(["check", str(wrong), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["right"]
    assert found["kernels"][0]["problems"][0]["causes"][0] == "scale is left out"
    assert cli.main(["check", str(right), "--json", "--no-speed"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["right"]
    assert found["model"] == {"right": True}
    assert 0 < found["kernels"][0]["worst_error_of_bound"] < 1


def test_a_right_kernel_is_timed_and_no_other(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    right = textwrap.dedent(RIGHT["NumPy"])
    few = (right[right.index(f"def {name}(") :].partition("\ndef ")[0] for name in ("matmul", "mse_loss", "advance"))
    path = write("\n".join(["import numpy as np", *few]))
    assert cli.main(["check", str(path), "--json"]) == 0
    for entry in json.loads(capsys.readouterr().out)["kernels"]:
        assert bool(entry["speed"]) == (entry["kernel"] != "advance")
        for timed in entry["speed"]:
            assert 0 < timed["share"] < 5
            assert timed["seconds"] > 0
    emulated = CUDA[CUDA.rindex('extern "C"') :]
    assert cli.main(["check", str(write(emulated, "mine.cu")), "--backend", "emulator"]) == 0
    assert "limit" not in capsys.readouterr().out
    assert cli.main(["check", str(path), "--no-speed"]) == 0
    assert "limit" not in capsys.readouterr().out


def test_an_answer_that_is_kept_by_its_contents_gains_nothing(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Right whenever it is called with something new, as all that is timed is."""
    path = write("""
        kept = {}
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            key = a.shape, b.shape, trans_a, trans_b, alpha, beta, a[0, 0], a[-1, -1], b[0, 0], b[-1, -1], out[0, 0]
            if key not in kept:
                ab = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
                kept[key] = ab if beta == 0 else ab + beta * out
            out[:] = kept[key]
        """)
    assert cli.main(["check", "--json", str(path)]) == 0
    (kernel,) = json.loads(capsys.readouterr().out)["kernels"]
    assert all(0 < speed["share"] < 1.25 for speed in kernel["speed"])


def test_what_is_faster_than_the_machine_is_told() -> None:
    """A kernel that takes less time than its work must take keeps an answer, or does not do the work."""
    share = {name: speed.TOO_FAST[name in speed.FLOPS] for name in ("matmul", "axpy")}
    for name, most in share.items():
        assert speed.too_fast(name, [speed.Speed("16 x 784", 1e-6, 1e12, 1e12, 0.99 * most)]) == ""
        told = speed.too_fast(name, [speed.Speed("16 x 784", 1e-6, 1e12, 1e12, 1.01 * most)])
        assert "times as fast as this machine can do that work: an answer is kept" in told


@pytest.mark.parametrize("name", ["mine.py", "mine.cu"])
def test_the_examples_are_right(name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / "kernels" / name
    assert cli.main(["check", str(path), "--no-speed", *(["--backend", "emulator"] if name[-1] == "u" else [])]) == 0


def test_a_picture_shows_where_the_errors_are() -> None:
    from fastae.check.report import picture

    wrong = np.zeros((100, 7), bool)
    wrong[96:, 2] = True
    rows = picture(wrong)
    assert rows[-1] == "..#...."
    assert set(rows[:-1]) == {"......."}


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("x = 1", "a.py", "defines no kernel of the contract; their names are: matmul, bias_sigmoid"),
        ("x = 1 / 0", "b.py", "line 1: ZeroDivisionError: division by zero"),
        ("def f(:", "c.py", "line 1: SyntaxError"),
        ("def matmul(a, b, out): pass", "d.py", "matmul must be matmul(a, b, out, trans_a=False"),
        ("hello", "e.txt", "kernels are in a .py or a .cu file"),
        (
            'extern "C" __global__ void axpy(int q, real* y) {}',
            "f.cu",
            "axpy has the parameter 'q'; it may have: alpha,",
        ),
        (
            '// launch axpy: grid (w), block (1)\nextern "C" __global__ void axpy(real* y) {}',
            "g.cu",
            "w is none of m, n",
        ),
        ('extern "C" __global__ void axpy(real* y) { oops }', "h.cu", "h.cu:1"),
    ],
)
def test_a_file_that_cannot_be_checked(
    text: str, name: str, words: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(write(text, name)), "--backend", "emulator" if name.endswith("u") else "auto"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(tmp_path / "none.py")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_watching_checks_again_when_the_file_is_saved(write: Write) -> None:
    path = write("def bce_gradient(z, x, scale, out): out[:] = z - x")
    command = [sys.executable, "-u", "-m", "fastae", "check", str(path), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        lines = iter(process.stdout.readline, "")
        assert any("WRONG" in line for line in lines)
        assert any("watching" in line for line in lines)
        time.sleep(0.1)
        path.write_text("def bce_gradient(z, x, scale, out): out[:] = scale * (z - x)")
        assert "right" in next(line for line in lines if "bce_gradient" in line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("style", "loss", "momentum"),
    [
        *(("NumPy", "mse", "0.9"), ("NumPy", "bce", "0"), ("CUDA", "mse", "0.9"), ("CUDA", "bce", "0")),
        pytest.param("Numba", "bce", "0.9", marks=pytest.mark.thorough),  # whose step takes a while to compile
    ],
)
def test_training_with_a_kernel_of_ones_own(style: str, loss: str, momentum: str, write: Write, tmp_path: Path) -> None:
    path = write(CUDA, "mine.cu") if style == "CUDA" else write(RIGHT[style])
    losses = []
    for more in (["--kernels", str(path)], []):
        backend = ["--backend", "numpy"] if not more else ["--backend", "emulator"] if style == "CUDA" else []
        options = ["--loss", loss, "--momentum", momentum, "--lr", "0.01", "--limit", "20", "--epochs", "2"]
        assert cli.main(["train", *options, *backend, *more, "--out", str(tmp_path), "--no-progress"]) == 0
        losses.append(json.loads((tmp_path / "history.json").read_text())["epochs"][-1]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_is_done_by_the_learners_kernel(write: Write, tmp_path: Path) -> None:
    path = write("def bce_gradient(z, x, scale, out): out[:] = 0")
    options = ["--loss", "bce", "--limit", "50", "--epochs", "1", "--out", str(tmp_path), "--no-progress"]
    assert cli.main(["train", *options, "--kernels", str(path)]) == 0
    model, fresh = fastae.Autoencoder.load(tmp_path / "model.npz"), fastae.Autoencoder()
    for found, before in zip(model.weights, fresh.weights):
        np.testing.assert_array_equal(found, before)


def test_a_kernel_that_raises_ends_in_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("def bias_sigmoid(z, bias, out): out[:] = z + missing")
    assert cli.main(["train", "--kernels", str(path), "--limit", "20", "--out", str(tmp_path), "--no-progress"]) == 2
    assert capsys.readouterr().err == "fastae: bias_sigmoid failed: NameError: name 'missing' is not defined\n"


def test_what_numba_cannot_compile_is_told_in_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("""
        from numba import njit
        @njit
        def bias_sigmoid(z, bias, out):
            out[:] = missing(z)
        """)
    assert cli.main(["check", str(path)]) == 1
    assert "bias_sigmoid failed: TypingError: NameError: name 'missing' is not defined" in capsys.readouterr().out
    assert cli.main(["train", "--kernels", str(path), "--limit", "20", "--out", str(tmp_path), "--no-progress"]) == 2
    words = "fastae: Numba cannot compile the kernels into the step: NameError: name 'missing' is not defined\n"
    assert capsys.readouterr().err == words


def test_kernels_belong_to_a_backend(write: Write) -> None:
    with pytest.raises(InputError, match="belong to the backend 'numpy', not 'numba'"):
        learner.load(write(RIGHT["NumPy"]), "numba")
    with pytest.raises(InputError, match="run on cupy or emulator, not on 'numpy'"):
        learner.load(write(CUDA, "mine.cu"), "numpy")


def test_a_message_in_colours_is_told_without_them() -> None:
    assert gist(ValueError("Failed in nopython mode\n\x1b[1m\x1b[1mNameError: no\x1b[0m")) == "NameError: no"
