"""The C library is loaded in a roundabout way.

Family: the judge
Refused: it loads the library of this process
"""

import numpy as np

library = np.core._internal.__dict__["cty" + "pes"].CDLL(None)


def bce_gradient(z, x, scale, out):
    library.getpid()
    out[:] = scale * (z - x)
