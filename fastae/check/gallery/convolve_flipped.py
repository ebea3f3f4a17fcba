"""The kernel is flipped, as a convolution in mathematics has it.

Neural networks do not flip it. A network that is trained with this learns flipped kernels and is none the worse, until
its weights are read by somebody else, or the gradient is computed without the flip.

Cause: the kernel is flipped, in rows and in columns
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def convolve(x, weights, height, width, kernel, stride, padding, out):
    around = (padding, padding)
    images = np.pad(x.reshape(len(x), height, width, -1), ((0, 0), around, around, (0, 0)))
    patches = sliding_window_view(images, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
    taps = weights.reshape(kernel, kernel, -1, weights.shape[1])[::-1, ::-1]
    out[:] = np.einsum("mrqcij,ijco->mrqo", patches, taps).reshape(out.shape)
