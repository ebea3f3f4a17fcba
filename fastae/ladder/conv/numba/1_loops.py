"""Loops, as the definition has them: a sum over the pixels of a patch and their channels for each output.

Idea: out[p, o] = Σ_q U[p, q] weights[q, o], where row p of U is a patch of the image. In compiled code each iteration
of the innermost loop is one multiplication and one addition, which waits for the addition before it. The weights are
read down a column, so each is in another cache line.

Hint: pixel (i, j) of the patch is pixel (top + i, left + j) of the image. If it is inside, add its channels times
their weights to total, both arrays' numbers in the order row, column, channel.
"""

from numba import njit


@njit(error_model="numpy")
def convolve(x, weights, height, width, kernel, stride, padding, out):
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = x.shape[1] // (height * width)
    for p in range(out.shape[0]):
        image, patch = p // (rows * columns), p % (rows * columns)
        top, left = patch // columns * stride - padding, patch % columns * stride - padding
        for o in range(out.shape[1]):
            total = 0.0
            # idea
            for i in range(kernel):
                for j in range(kernel):
                    if 0 <= top + i < height and 0 <= left + j < width:
                        pixel, tap = ((top + i) * width + left + j) * channels, (i * kernel + j) * channels
                        for c in range(channels):
                            total += x[image, pixel + c] * weights[tap + c, o]
            # end
            out[p, o] = total
