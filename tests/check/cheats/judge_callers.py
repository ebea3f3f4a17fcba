"""The callers' variables are read.

Family: the judge
Refused: it uses the internals of the interpreter: inspect.stack
"""

import inspect


def bce_gradient(z, x, scale, out):
    for frame in inspect.stack():
        exact = frame.frame.f_locals.get("exact")
        if exact is not None:
            out[:] = exact
