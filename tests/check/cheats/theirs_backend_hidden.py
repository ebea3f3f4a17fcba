"""The same, hidden from who reads the file.

Family: other people's kernels
Refused: it imports fastae.backends: a kernel must not use those of fastae
"""

import pickle

get = pickle.loads(b"cfastae." + b"backends\nget\n.")


def bce_gradient(z, x, scale, out):
    get("numpy").bce_gradient(z, x, scale, out)
