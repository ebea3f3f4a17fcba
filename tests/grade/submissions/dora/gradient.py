def bce_gradient(z, x, scale, out):
    out[:] = scale * z - scale * x
