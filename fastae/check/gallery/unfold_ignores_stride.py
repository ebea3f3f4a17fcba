"""The stride is ignored: patches begin one pixel apart.

Right for a stride of 1. With 2 the patches cover a quarter of the image, and the rest is not looked at.

Cause: the stride is ignored
"""

from numba import njit


@njit
def unfold(x, height, width, kernel, stride, padding, out):
    channels = x.shape[1] // (height * width)
    rows = (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    for patch in range(out.shape[0]):
        image, rest = divmod(patch, rows * columns)
        top, left = rest // columns - padding, rest % columns - padding
        for number in range(out.shape[1]):
            tap, channel = divmod(number, channels)
            y, z = top + tap // kernel, left + tap % kernel
            inside = 0 <= y < height and 0 <= z < width
            out[patch, number] = x[image, (y * width + z) * channels + channel] if inside else 0
