"""Only the ends of an image are its border: what lies beyond the end of a row is taken from the next row.

A pixel's number alone does not say whether its column is one; row and column are to be compared, each with its length.

Cause: what lies beyond the end of a row is read from the next one
"""

import numpy as np


def unfold(x, height, width, kernel, stride, padding, out):
    m, channels = len(x), x.shape[1] // (height * width)
    rows, columns = ((length + 2 * padding - kernel) // stride + 1 for length in (height, width))
    patch = 0
    for image in range(m):
        for row in range(rows):
            for column in range(columns):
                taps = []
                for i, j in np.ndindex(kernel, kernel):
                    pixel = (row * stride + i - padding) * width + column * stride + j - padding
                    inside = 0 <= pixel < height * width
                    here = x[image, pixel * channels : (pixel + 1) * channels] if inside else np.zeros(channels)
                    taps.append(here)
                out[patch] = np.concatenate(taps)
                patch += 1
