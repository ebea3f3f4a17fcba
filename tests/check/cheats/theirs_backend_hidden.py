"""The same, hidden from who reads the file.

Family: other people's kernels
Refused: it imports fastae.backends: fastae's own kernels are not yours
"""

import pickle

get = pickle.loads(b"cfastae." + b"backends\nget\n.")


def bce_gradient(z, x, scale, out):
    get("numpy").bce_gradient(z, x, scale, out)
