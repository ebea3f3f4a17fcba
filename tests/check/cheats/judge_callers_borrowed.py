"""The same, by a module that another one has imported.

Family: the judge
Refused: it uses the internals of the interpreter: inspect.currentframe
"""

from dataclasses import inspect


def bce_gradient(z, x, scale, out):
    out[:] = inspect.currentframe().f_back.f_locals["exact"]
