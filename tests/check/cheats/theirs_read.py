"""The library's own kernel is read from its file.

Family: other people's kernels
Refused: it reads fastae's own file backends
"""

from pathlib import Path

import fastae

text = (Path(fastae.__file__).parent / "backends" / "numpy_backend" / "__init__.py").read_text()


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
