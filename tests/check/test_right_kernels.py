"""Right kernels in many styles pass, whatever the data."""

import textwrap
from typing import Any

import numpy as np
import pytest
from image_loops import LOOPS, SMALL
from learner_files import RIGHT, Write, loaded
from sampling import SEEDS, sample

from fastae.check import bounds, verdict
from fastae.check.calls import cases, shapes, special
from fastae.check.calls.evidence import judged

PYTHON = RIGHT | {
    "float64 accumulators": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = (a.T if trans_a else a).astype("f8"), (b.T if trans_b else b).astype("f8")
            out[:] = alpha * (A @ B) if beta == 0 else alpha * (A @ B) + beta * out
        def column_sum(delta, out, alpha, beta):
            s = delta.sum(axis=0, dtype="f8")
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def mse_loss(z, x, out):
            e = z.astype("f8") - x
            out[:] = (e * e).sum(axis=1)
        """,
    "blocks of rows, columns and terms by np.dot": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            T = 5
            for i in range(0, out.shape[0], T):
                for j in range(0, out.shape[1], T):
                    block = out[i : i + T, j : j + T]
                    if beta == 0:
                        block[:] = 0
                    else:
                        block *= beta
                    for l in range(0, A.shape[1], T):
                        block += alpha * np.dot(A[i : i + T, l : l + T], B[l : l + T, j : j + T])
        """,
    "alpha into a factor, and outer products": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = alpha * (a.T if trans_a else a), b.T if trans_b else b
            if beta == 0:
                out[:] = 0
            else:
                out *= beta
            for l in range(A.shape[1]):
                out += np.outer(A[:, l], B[l])
        """,
    "einsum": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            ab = np.einsum("ki,kj->ij" if trans_a else "ik,kj->ij", a, b.T if trans_b else b)
            out[:] = alpha * ab if beta == 0 else alpha * ab + beta * out
        def column_sum(delta, out, alpha, beta):
            s = np.einsum("ij->j", delta)
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def bce_loss(z, x, out):
            p, q = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)
            out[:] = -np.einsum("ij,ij->i", x, p) - np.einsum("ij,ij->i", 1 - x, q)
        """,
    "Kahan's sums": """
        def kahan(terms):
            s = np.zeros_like(terms[0])
            c = np.zeros_like(s)
            for t in terms:
                y = t - c
                u = s + y
                c = (u - s) - y
                s = u
            return s
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = kahan([np.outer(A[:, l], B[l]) for l in range(A.shape[1])])
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def column_sum(delta, out, alpha, beta):
            s = kahan(list(delta))
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def mse_loss(z, x, out):
            out[:] = kahan(list(((z - x) ** 2).T))
        """,
    "pairwise sums": """
        def pairs(t):
            while len(t) > 1:
                t = np.concatenate([t[0:-1:2] + t[1::2], t[len(t) - len(t) % 2 :]])
            return t[0]
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = pairs(A.T[:, :, None] * B[:, None, :])
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def column_sum(delta, out, alpha, beta):
            s = pairs(delta)
            out[:] = alpha * s if beta == 0 else alpha * s + beta * out
        def bce_loss(z, x, out):
            p, q = np.maximum(np.log(z), -100), np.maximum(np.log(1 - z), -100)
            out[:] = -pairs((x * p + (1 - x) * q).T)
        """,
    "from the last to the first": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = A[:, ::-1] @ B[::-1]
            out[:] = alpha * s if beta == 0 else beta * out + s * alpha
        def column_sum(delta, out, alpha, beta):
            s = delta[::-1].sum(axis=0)
            out[:] = s * alpha if beta == 0 else beta * out + s * alpha
        """,
    "a sigmoid of two branches by np.where": """
        def bias_sigmoid(z, bias, out):
            t = z + bias
            e = np.exp(-np.abs(t))
            out[:] = np.where(t >= 0, 1 / (1 + e), e / (1 + e))
        """,
    "a sigmoid by expm1": """
        def bias_sigmoid(z, bias, out):
            out[:] = 1 / (2 + np.expm1(-(z + bias)))
        """,
    "a sigmoid in float64": """
        def bias_sigmoid(z, bias, out):
            out[:] = 1 / (1 + np.exp(-(z + bias).astype("f8")))
        """,
    "other orders of the factors": """
        def sigmoid_gradient(delta, y, out): out[:] = (1 - y) * delta * y
        def mse_gradient(z, x, scale, out): out[:] = (z - x) * (scale * 2) * (1 - z) * z
        def bce_gradient(z, x, scale, out): out[:] = (x - z) * -scale
        def mse_loss(z, x, out): out[:] = [np.dot(e, e) for e in x - z]
        def axpy(alpha, x, y): y -= -alpha * x
        def gather(images, order, cursor, offset, out):
            for i in range(len(out)):
                out[i] = images[order[cursor[0] + offset + i]]
            out /= 255
        def advance(cursor, n): cursor[0] = n + cursor[0]
        """,
    "tanh by exponentials of what is small": """
        def bias_tanh(z, bias, out):
            t = z + bias
            e = np.expm1(-2 * np.abs(t))
            out[:] = np.sign(t) * -e / (2 + e) + np.where(np.isnan(t), t, 0)
        def tanh_gradient(delta, y, out): out[:] = delta * (1 - y) * (1 + y)
        """,
    "tanh in float64, and its derivative in two terms": """
        def bias_tanh(z, bias, out): out[:] = np.tanh(z.astype("f8") + bias)
        def tanh_gradient(delta, y, out): out[:] = delta - delta * y * y
        """,
    "relu by a maximum, and its derivative by a product": """
        def bias_relu(z, bias, out): np.maximum(0, z + bias, out=out)
        def relu_gradient(delta, y, out): np.multiply(delta, y > 0, out=out)
        """,
    "relu by a choice, and its derivative by a copy": """
        def bias_relu(z, bias, out):
            t = z + bias
            out[:] = np.where(t < 0, 0, t)
        def relu_gradient(delta, y, out):
            np.copyto(out, delta)
            out[y == 0] = 0
        """,
    "relu's derivative by its sign": """
        def relu_gradient(delta, y, out): out[:] = np.sign(y) * delta
        """,
    "windows of a padded image": """
        from numpy.lib.stride_tricks import sliding_window_view
        def windows(x, h, w, k, s, p):
            padded = np.pad(x.reshape(len(x), h, w, -1), ((0, 0), (p, p), (p, p), (0, 0)))
            return sliding_window_view(padded, (k, k), (1, 2))[:, ::s, ::s].transpose(0, 1, 2, 4, 5, 3)
        def unfold(x, height, width, kernel, stride, padding, out):
            out[:] = windows(x, height, width, kernel, stride, padding).reshape(out.shape)
        def convolve(x, weights, height, width, kernel, stride, padding, out):
            patches = windows(x, height, width, kernel, stride, padding).astype("f8")
            taps = weights.reshape(kernel, kernel, -1, weights.shape[1])
            out[:] = np.einsum("mrqijc,ijco->mrqo", patches, taps).reshape(out.shape)
        """,
    "patches added one after another, from the last to the first": """
        def fold(x, height, width, kernel, stride, padding, out):
            k, s, p = kernel, stride, padding
            rows, columns = (height + 2 * p - k) // s + 1, (width + 2 * p - k) // s + 1
            patches = x.reshape(len(out), rows, columns, k, k, -1)
            padded = np.zeros((len(out), height + 2 * p, width + 2 * p, patches.shape[-1]), x.dtype)
            for r in reversed(range(rows)):
                for c in reversed(range(columns)):
                    padded[:, r * s : r * s + k, c * s : c * s + k] += patches[:, r, c]
            out[:] = padded[:, p : p + height, p : p + width].reshape(out.shape)
        """,
    "taps of a kernel, each a product": """
        def convolve(x, weights, height, width, kernel, stride, padding, out):
            p, s = padding, stride
            padded = np.pad(x.reshape(len(x), height, width, -1), ((0, 0), (p, p), (p, p), (0, 0)))
            taps = weights.reshape(kernel, kernel, -1, weights.shape[1])
            high, wide = height + 2 * p - kernel + 1, width + 2 * p - kernel + 1
            out[:] = sum(
                padded[:, i : i + high : s, j : j + wide : s] @ taps[i, j] for i, j in np.ndindex(kernel, kernel)
            ).reshape(out.shape)
        """,
    "by the reciprocal of 255": """
        def gather(images, order, cursor, offset, out):
            rows = np.take(images, order[cursor[0] + offset :][: len(out)], axis=0)
            out[:] = rows.astype(out.dtype) * out.dtype.type(1 / 255)
        """,
}

NUMBA = """
    import math
    import numpy as np
    from numba import njit, prange

    TILE = %d

    @njit
    def matmul(a, b, out, trans_a, trans_b, alpha, beta):
        A, B = a.T if trans_a else a, b.T if trans_b else b
        m, n = out.shape
        k = A.shape[1]
        for i0 in range(0, m, TILE):
            for j0 in range(0, n, TILE):
                for i in range(i0, min(m, i0 + TILE)):
                    for j in range(j0, min(n, j0 + TILE)):
                        out[i, j] = 0 if beta == 0 else beta * out[i, j]
                for l0 in range(0, k, TILE):
                    for l in range(l0, min(k, l0 + TILE)):
                        for i in range(i0, min(m, i0 + TILE)):
                            s = alpha * A[i, l]
                            for j in range(j0, min(n, j0 + TILE)):
                                out[i, j] += s * B[l, j]

    @njit(parallel=True)
    def mse_loss(z, x, out):
        for i in prange(z.shape[0]):
            s = 0.0
            for j in range(z.shape[1]):
                s += (z[i, j] - x[i, j]) ** 2
            out[i] = s

    @njit
    def column_sum(delta, out, alpha, beta):
        for j in range(out.size):
            out[j] = 0 if beta == 0 else beta * out[j]
        for i in range(delta.shape[0]):
            for j in range(out.size):
                out[j] += alpha * delta[i, j]

    @njit(fastmath={"contract", "reassoc", "nsz"})
    def bce_loss(z, x, out):
        for i in range(z.shape[0]):
            s = 0.0
            for j in range(z.shape[1]):
                p = max(math.log(z[i, j]), -100.0) if z[i, j] > 0 else (-100.0 if z[i, j] == 0 else z[i, j])
                q = max(math.log1p(-z[i, j]), -100.0) if z[i, j] < 1 else (-100.0 if z[i, j] == 1 else z[i, j])
                s -= x[i, j] * p + (1 - x[i, j]) * q
            out[i] = s
    """

PRODUCT = """
// launch matmul: grid %s, block %s
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b,
                                  long long b_stride, real* out, long long out_stride, int trans_a, int trans_b,
                                  real alpha, const real* alpha_at, real beta, const real* beta_at) {
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
%s
}
"""
ELEMENT = """
    real sum = 0;
    for (int l = 0; l < k; ++l)
      sum += (trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) *
             (trans_b ? b[col * b_stride + l] : b[l * b_stride + col]);
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
"""
SQUARE = """
  const int row = blockIdx.y * blockDim.y + threadIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
  if (row < m && col < n) {%s}
"""
STRIDED = """
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < m * n; i += gridDim.x * blockDim.x) {
    const int row = i / n, col = i - row * n;
    %s
  }
"""
WARP = """
  const int row = blockIdx.x, lane = threadIdx.x;  // one warp for a row of the output
  for (int col = 0; col < n; ++col) {
    real sum = 0;
    for (int l = lane; l < k; l += 32)
      sum += (trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) *
             (trans_b ? b[col * b_stride + l] : b[l * b_stride + col]);
    for (int half = 16; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half);
    if (lane == 0) {
      real* at = out + row * out_stride + col;
      *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
    }
  }
"""
TILED = """
  __shared__ real A[%d][%d + 1], B[%d][%d];
  const int T = %d, x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * T + y, col = blockIdx.x * T + x;
  real sum = 0;
  for (int first = 0; first < k; first += T) {
    const int p = first + x, q = first + y;
    A[y][x] = row < m && p < k ? (trans_a ? a[p * a_stride + row] : a[row * a_stride + p]) : 0;
    B[y][x] = col < n && q < k ? (trans_b ? b[col * b_stride + q] : b[q * b_stride + col]) : 0;
    __syncthreads();
    for (int l = 0; l < T && first + l < k; ++l) sum += A[y][l] * B[l][x];
    __syncthreads();
  }
  if (row < m && col < n) {
    real* at = out + row * out_stride + col;
    *at = beta == real(0) ? alpha * sum : alpha * sum + beta * *at;
  }
"""
CUDA = {
    "blocks of 8 x 32": PRODUCT % ("(ceil(n / 32), ceil(m / 8))", "(32, 8)", SQUARE % ELEMENT),
    "blocks of 32 x 2": PRODUCT % ("(ceil(n / 2), ceil(m / 32))", "(2, 32)", SQUARE % ELEMENT),
    "one block, which strides": PRODUCT % ("(1)", "(96)", STRIDED % ELEMENT),
    "many small blocks, which stride": PRODUCT % ("(5)", "(7)", STRIDED % ELEMENT),
    "a warp for each row": PRODUCT % ("(m)", "(32)", WARP),
    "tiles of 4": PRODUCT % ("(ceil(n / 4), ceil(m / 4))", "(4, 4)", TILED % (4, 4, 4, 4, 4)),
    "tiles of 16": PRODUCT % ("(ceil(n / 16), ceil(m / 16))", "(16, 16)", TILED % (16, 16, 16, 16, 16)),
}


def assert_right(k: Any, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first seed have all shapes, the others a few."""
    for seed in range(seeds):
        if seed == 1:
            monkeypatch.setattr(shapes, "PRODUCTS", ((1, 9, 2), (5, 7, 3), (17, 33, 18)))
            monkeypatch.setattr(shapes, "MATRICES", ((1, 3), (5, 4), (9, 150)))
            monkeypatch.setattr(shapes, "IMAGES", SMALL)
            monkeypatch.setattr(special, "REPEATED", 1)
        for name in k.kernels:
            assert verdict.examine(k, name, seed).problems == [], (name, seed)


@pytest.mark.larger
@pytest.mark.parametrize("style", sample(PYTHON, 9))
def test_right_kernels_in_numpy_pass(style: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_right(loaded(write("import numpy as np\n" + textwrap.dedent(PYTHON[style]))), SEEDS, monkeypatch)


@pytest.mark.thorough
@pytest.mark.parametrize("tile", [1, 5, 32])
def test_right_kernels_in_numba_pass(tile: int, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    k = loaded(write(NUMBA % tile))
    if tile != 5:
        k.kernels = ("matmul",)  # the others have no tiles
    assert_right(k, SEEDS, monkeypatch)


@pytest.mark.thorough
def test_right_kernels_for_images_in_numba_pass(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("from numba import njit\n" + "".join(f"@njit{LOOPS[name]}" for name in ("unfold", "fold")))
    assert_right(loaded(path), min(SEEDS, 2), monkeypatch)


@pytest.mark.larger
@pytest.mark.parametrize("style", sample(CUDA, 7))
def test_right_kernels_in_cuda_pass(style: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_right(loaded(write(CUDA[style], "right.cu")), SEEDS, monkeypatch)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("bias_sigmoid", "0.5 * (1 + np.tanh((z + bias) / 2))"),
        ("bias_sigmoid", "1 - 1 / (1 + np.exp(z + bias))"),
        ("bias_tanh", "2 / (1 + np.exp(-2 * (z + bias))) - 1"),
        ("bias_tanh", "(np.exp(2 * (z + bias)) - 1) / (np.exp(2 * (z + bias)) + 1)"),
        ("sigmoid_gradient", "delta * (y - y * y)"),
        ("mse_gradient", "2 * scale * (z - x) * (z - z * z)"),
    ],
)
def test_what_cancels_is_not_the_same(name: str, formula: str) -> None:
    """Right on paper, but where a difference is small few of its digits are: outside of the contract's bound."""
    shown = {"bias_sigmoid": {"m": 33, "n": 65}}.get(name, {"m": 33, "n": 65})
    arguments = cases.make(name, "float32", 1, **shown)
    values = {key: np.float32(x) if isinstance(x, float) else x for key, x in arguments.items()}
    with np.errstate(all="ignore"):
        found = eval(formula, {"np": np}, values)
    call = judged(name, "float32", shown, False, arguments, found)
    assert call.wrong.any()
    assert call.verdict == "imprecise"
    # Not by much: within a few roundings of 1.
    size = np.abs(arguments["delta"]) if "delta" in arguments else 1.0
    assert np.all(np.abs(call.found - call.exact) <= 8 * bounds.unit_roundoff("float32") * size)
