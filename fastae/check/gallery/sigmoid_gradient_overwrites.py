"""The output is written before the input has been read.

Right as long as they are two arrays. The contract lets out be delta, and then delta is gone when it is needed.

Cause: read after it has been overwritten
"""


def sigmoid_gradient(delta, y, out):
    out[:] = y * (1 - y)
    out *= delta
