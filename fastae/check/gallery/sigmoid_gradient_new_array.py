"""What @vectorize makes returns a new array, and its third argument is an input like the others.

A ufunc writes into out only if it is given as out=: slope(delta, y, out=out), in a kernel around it.

Cause: what @vectorize makes returns a new array
"""

from numba import vectorize


@vectorize(["float32(float32, float32, float32)", "float64(float64, float64, float64)"])
def sigmoid_gradient(delta, y, out):
    return delta * y * (1 - y)
