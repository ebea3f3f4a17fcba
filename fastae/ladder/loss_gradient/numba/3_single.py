"""In the array's own precision: no operation mixes float64 and float32.

Idea: `scale` is a double, so that every product with it is one too: four conversions and arithmetic in double
precision for each element, with half as many numbers in a vector. Converting it once, before the loops, costs
nothing.

Predicted: 2 times: vectors of 16 numbers instead of 8, and no conversions.

Hint: factor = real(2 * scale) before the loops, and real(1) − z.
"""

from numba import njit


@njit(error_model="numpy")
def mse_gradient(z, x, scale, out):
    real = out.dtype.type
    factor = real(2 * scale)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            out[i, j] = factor * (z[i, j] - x[i, j]) * z[i, j] * (real(1) - z[i, j])
            # end
