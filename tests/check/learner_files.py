"""Right kernels as learners write them, in several styles, and what the check says of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastae.check import learner, verdict

Write = Callable[..., Path]


def loaded(path: Path) -> Any:
    return learner.load(path, "emulator" if path.suffix == ".cu" else "auto")


def first_problem(path: Path, seed: int) -> verdict.Problem:
    """Return what is wrong with the one kernel of a file."""
    k = loaded(path)
    (name,) = k.kernels
    found = verdict.examine(k, name, seed).problems
    assert found, "it is called right"
    return found[0]


def problems(path: Path, seed: int = 1) -> list[verdict.Problem]:
    k = loaded(path)
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
