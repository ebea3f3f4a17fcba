"""It is the derivative of the sigmoid, y (1 − y), not that of tanh, 1 − y².

tanh's outputs are negative as often as not, and there y (1 − y) has the wrong sign: half of the units go uphill.

Cause: the derivative of the sigmoid
"""


def tanh_gradient(delta, y, out):
    out[:] = delta * y * (1 - y)
