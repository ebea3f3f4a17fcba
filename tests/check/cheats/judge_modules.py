"""The judge's bounds are looked for among what is loaded.

Family: the judge
Refused: it uses the internals of the interpreter: sys.modules
"""

import sys

for name, module in list(sys.modules.items()):
    if name.endswith("bounds"):
        module.gamma = lambda n, dtype: 1e9


def bce_gradient(z, x, scale, out):
    out[:] = 1.5 * scale * (z - x)
