"""An index goes one row too far.

Numba does not look where an index leads: what lies behind the array is added. Often that is 0, now and then it is not.

Cause: out of bounds
"""

from numba import njit


@njit
def column_sum(delta, out, alpha, beta):
    for j in range(delta.shape[1]):
        s = 0.0
        for i in range(delta.shape[0] + 1):
            s += delta[i, j]
        out[j] = alpha * s if beta == 0 else alpha * s + beta * out[j]
