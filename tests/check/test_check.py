"""``fastae check``: right kernels in any style pass, wrong ones are called wrong and named."""

import re
import textwrap

import numpy as np
import pytest
from learner_files import CUDA, RIGHT, Write, problems
from sampling import sample

from fastae import cli
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check.calls import cases
from fastae.check.calls.evidence import Call
from fastae.check.cause import explain as causes
from fastae.check.cause import formulas


def test_right_cuda_kernels_pass(write: Write) -> None:
    assert problems(write(CUDA, "mine.cu")) == []


# Wrong ones that the gallery does not have: what is changed in the right file, and a word of the likely cause.
PYTHON_FAULTS = [
    ("product if beta == 0 else product + beta * out", "product + out if beta else product", "beta is left out"),
    ("(b.T if trans_b else b)", "b.reshape(b.shape[::-1] if trans_b else b.shape)", "trans_b"),
    ("alpha * ((a.T if trans_a else a) @ (b.T", "alpha * ((a.T if trans_a else a)[:, :-1] @ (b.T", None),
    ("-(z + bias)", "z + bias", "the exponent's sign is wrong"),
    ("-(z + bias)", "-z", "the bias is left out"),
    ("delta * y * (1 - y)", "delta * y", "1 − y is left out"),
    ("delta * y * (1 - y)", "y * (1 - y)", "delta is left out"),
    ("delta * y * (1 - y)", "delta; out *= y; out *= 1 - y; out[:, -1] = np.nan", "unwritten|NaN|last columns"),
    ("2 * scale * (z - x) * z", "scale * (z - x) * z", "the factor 2 is left out"),
    ("2 * scale * (z - x) * z * (1 - z)", "2 * scale * (z - x)", "σ′"),
    ("np.sum((z - x) ** 2, axis=1)", "np.fmax(np.sum((z - x) ** 2, axis=1), 0)", "hides NaN"),
    ("np.sum((z - x) ** 2, axis=1)", "np.sum((z.astype('f2') - x) ** 2, axis=1, dtype='f4')", "precision|factor"),
    ("-np.sum(x * p", "np.sum(x * p", "the sign is wrong"),
    ("delta.sum(axis=0)", "delta.mean(axis=0)", "the mean of the rows"),
    ("y += alpha * x", "y += x", "alpha is left out"),
    ("/ out.dtype.type(255)", "/ out.dtype.type(256)", "divides by 256"),
    ("first = cursor[0] + offset", "first = cursor[0]", "offset is left out"),
    ("cursor += n", "cursor[:] = n", "the cursor is set to n"),
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
