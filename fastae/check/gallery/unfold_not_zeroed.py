"""The padding is not zeroed: what the output held before is left there.

Only numbers inside the image are written. Right as long as the array is new and full of zeros, or nothing is padded.

Cause: the padding is not zeroed
"""


def unfold(x, height, width, kernel, stride, padding, out):
    channels = x.shape[1] // (height * width)
    rows = (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    for patch in range(out.shape[0]):
        image, rest = divmod(patch, rows * columns)
        top, left = rest // columns * stride - padding, rest % columns * stride - padding
        for tap in range(kernel**2):
            y, z = top + tap // kernel, left + tap % kernel
            if 0 <= y < height and 0 <= z < width:
                first = (y * width + z) * channels
                out[patch, tap * channels : (tap + 1) * channels] = x[image, first : first + channels]
