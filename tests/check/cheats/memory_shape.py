"""An answer is kept by the shape of what was asked.

Family: memory
Wrong: an answer is kept
"""

kept = {}


def bce_gradient(z, x, scale, out):
    if z.shape not in kept:
        kept[z.shape] = scale * (z - x)
    out[:] = kept[z.shape]
