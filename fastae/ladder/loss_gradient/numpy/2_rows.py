"""A row at a time: the loop over columns is in NumPy.

Idea: the interpreter executes six operations for a row of 784 elements, instead of a dozen for each of them.

Predicted: 100 times: nine calls of some 0.4 µs a row, instead of 784 elements of half a microsecond.

Hint: the same formula, with rows z[i] and x[i].
"""


def mse_gradient(z, x, scale, out):
    for i in range(out.shape[0]):
        # idea
        out[i] = 2 * scale * (z[i] - x[i]) * z[i] * (1 - z[i])
        # end
