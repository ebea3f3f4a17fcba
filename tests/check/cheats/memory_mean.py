"""An answer is kept by a number that different images share.

Family: memory
Wrong: wrong
"""

kept = {}


def bce_gradient(z, x, scale, out):
    key = z.shape, z.dtype.str, round(float(z.mean()), 1)
    if key not in kept:
        kept[key] = scale * (z - x)
    out[:] = kept[key]
