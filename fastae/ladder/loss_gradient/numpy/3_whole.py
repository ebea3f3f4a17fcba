"""All at once: the loop over rows is in NumPy too.

Idea: six calls for the batch instead of six for a row. Each makes a new array of the batch's size, and at batch 128
that is 0.4 MB: the cache nearest to the core no longer holds them, as it did with rows.

Predicted: 5 times: a row's calls took 4 µs and its arithmetic half of one, which fresh memory may double.

Hint: the same formula, without a loop.
"""


def mse_gradient(z, x, scale, out):
    # idea
    out[:] = 2 * scale * (z - x) * z * (1 - z)
    # end
