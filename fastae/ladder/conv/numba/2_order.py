"""Another order of the loops: the innermost one runs along the kernels, in the order of weights and outputs in memory.

Idea: the outputs of a patch are neighbours in memory, and so are the weights by which one number of the patch is
multiplied for them. No addition waits for the one before it, so LLVM can vectorise the innermost loop. The row of
outputs is loaded and stored again for every number of the patch.

Predicted: 8 times, the floats of a vector, where a vector has 32 bytes.

Hint: for each number x[image, pixel + c] of the patch, add it times row tap + c of the weights to row p of out.
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
            out[p, o] = 0
        for i in range(kernel):
            for j in range(kernel):
                if 0 <= top + i < height and 0 <= left + j < width:
                    pixel, tap = ((top + i) * width + left + j) * channels, (i * kernel + j) * channels
                    # idea
                    for c in range(channels):
                        number = x[image, pixel + c]
                        for o in range(out.shape[1]):
                            out[p, o] += number * weights[tap + c, o]
                    # end
