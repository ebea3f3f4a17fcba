"""The library's own kernel is called.

Family: other people's kernels
Refused: it imports fastae.backends: the kernels of fastae are not yours
"""

import fastae.backends


def bce_gradient(z, x, scale, out):
    fastae.backends.get("numpy").bce_gradient(z, x, scale, out)
