"""Without the patches: a product for each pixel of the kernel (a tap), added to the others.

Idea: the sum over a patch is a sum over its 9 pixels, and one of these pixels of all patches is a slice of the
images. Its product with that pixel's 16 rows of the weights is a part of out; one call makes it, of a matrix for each
image. The memory for the patches is not needed, only that for one slice and one product.

Predicted: 0.7 times: 9 products of 0.8 MB are written, read, and added to out, which is read and written. With the
slices that is 44 MB instead of 15: 29 MB more, 1 ms at a cache's 30 GB/s, beside the 2.3 ms of before.

Hint: the pixels (i, j) of all patches, reshaped to a matrix for each image, of a row for each patch and a column for
each channel, times the rows of the weights from (i * kernel + j) * channels on, are added to sums.
"""

import numpy as np


def convolve(x, weights, height, width, kernel, stride, padding, out):
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = x.shape[1] // (height * width)
    images = x.reshape(len(x), height, width, channels)
    images = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    sums = out.reshape(len(x), rows * columns, out.shape[1])
    sums[:] = 0
    # idea
    for i in range(kernel):
        for j in range(kernel):
            pixels = images[:, i::stride, j::stride][:, :rows, :columns].reshape(len(x), rows * columns, channels)
            tap = (i * kernel + j) * channels
            sums += pixels @ weights[tap : tap + channels]
    # end
