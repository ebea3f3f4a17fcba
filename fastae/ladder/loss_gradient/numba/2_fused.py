"""One pass: each element is finished before the next one is started.

Idea: z and x are read once, out is written once and never read: three accesses to memory instead of ten. Array
compilers call this loop fusion; in a hand-written loop it comes for free.

Predicted: 3 times, if memory is the limit.

Hint: all four factors in one expression.
"""

from numba import njit


@njit(error_model="numpy")
def mse_gradient(z, x, scale, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            out[i, j] = 2 * scale * (z[i, j] - x[i, j]) * z[i, j] * (1 - z[i, j])
            # end
