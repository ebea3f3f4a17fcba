"""Somebody else's computer is asked.

Family: other people's kernels
Refused: it uses the network
"""

import urllib.request


def bce_gradient(z, x, scale, out):
    urllib.request.urlopen("http://127.0.0.1:9/").read()
    out[:] = scale * (z - x)
