"""A template for your own kernels for the numpy backend; check them with ``fastae check examples/kernels/mine.py``.

Every function has the name and the parameters of a kernel of the contract (``fastae/backends/contract.py``). It writes
its result into ``out``, which contains NaN before the call. All other kernels come from the backend. With Numba's
``@njit`` before each function they are compiled into the step: ``fastae train --kernels examples/kernels/mine.py``.
"""

import numpy as np


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    """Write alpha · op(a) op(b) + beta · out; with beta = 0 the old out must not be read."""
    product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    out[:] = product if beta == 0 else product + beta * out


def bias_sigmoid(z, bias, out):
    """Write σ(z + bias); out may be z."""
    with np.errstate(over="ignore"):  # e^∞ = ∞ is what makes σ(−∞) = 0
        out[:] = 1 / (1 + np.exp(-(z + bias)))
