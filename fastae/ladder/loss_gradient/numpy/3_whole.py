"""All at once: the loop over rows is in NumPy too.

Idea: six calls for the batch instead of six for each row. Each makes a new array of the batch's size, which is 0.4 MB
at batch 128: unlike a row, it does not fit in the first-level cache.

Predicted: 5 times: a row's calls took 4 µs and its arithmetic half of one, which new memory may double.

Hint: the same formula, without a loop.
"""


def mse_gradient(z, x, scale, out):
    # idea
    out[:] = 2 * scale * (z - x) * z * (1 - z)
    # end
