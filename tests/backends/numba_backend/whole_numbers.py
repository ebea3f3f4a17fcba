"""Numbers whose sums of products are exact in any order."""

import numpy as np


def whole_numbers(*shape: int) -> np.ndarray:
    """Return random ones, whose products are exact, as floats; none is 0."""
    rng = np.random.default_rng(shape)
    return rng.integers(1, 5, shape) * rng.choice([-1.0, 1.0], shape)
