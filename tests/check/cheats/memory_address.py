"""An answer is kept by the address of the arrays.

Family: memory
Wrong: an answer is kept|wrong
"""

kept = {}


def bce_gradient(z, x, scale, out):
    where = z.__array_interface__["data"], x.__array_interface__["data"], z.shape, z.strides, z.dtype.str
    if where not in kept:
        kept[where] = scale * (z - x)
    out[:] = kept[where]
