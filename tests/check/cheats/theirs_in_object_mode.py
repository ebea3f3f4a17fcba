"""Compiled code goes back to the interpreter for the library's own kernel.

Family: other people's kernels
Refused: it imports fastae.backends
"""

from numba import njit, objmode


@njit
def bce_gradient(z, x, scale, out):
    with objmode():
        from fastae.backends import get

        get("numpy").bce_gradient(z, x, scale, out)
