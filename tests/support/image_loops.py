"""Right kernels for images in plain loops, as a learner writes them first; tests change one thing in them."""

HEAD = """
def {name}(x, {weights}height, width, kernel, stride, padding, out):
    channels = {images}.shape[1] // (height * width)
    rows = (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
{begin}    for image in range(len({images})):
        for r in range(rows):
            for c in range(columns):
                patch = (image * rows + r) * columns + c
                for i in range(kernel):
                    for j in range(kernel):
                        y = r * stride - padding + i
                        z = c * stride - padding + j
                        inside = 0 <= y < height and 0 <= z < width
                        for channel in range(channels):
                            number = (i * kernel + j) * channels + channel
                            pixel = (y * width + z) * channels + channel
{body}
"""
CLEAR = "    out[:] = 0\n"
UNFOLD = HEAD.format(
    name="unfold",
    weights="",
    images="x",
    begin="",
    body="                            out[patch, number] = x[image, pixel] if inside else 0",
)
FOLD = HEAD.format(
    name="fold",
    weights="",
    images="out",
    begin=CLEAR,
    body="                            if inside:\n"
    "                                out[image, pixel] += x[patch, number]",
)
CONVOLVE = HEAD.format(
    name="convolve",
    weights="weights, ",
    images="x",
    begin=CLEAR,
    body="                            if inside:\n"
    "                                out[patch] += x[image, pixel] * weights[number]",
)
LOOPS = {"unfold": UNFOLD, "fold": FOLD, "convolve": CONVOLVE}
SMALL = (  # m, height, width, channels, kernel, stride, padding: few numbers, and all that a kernel must tell apart
    (1, 1, 1, 1, 1, 1, 0),
    (2, 3, 4, 1, 2, 1, 0),
    (1, 4, 3, 2, 3, 1, 1),
    (2, 5, 4, 3, 1, 2, 0),
    (1, 7, 5, 2, 4, 3, 2),
    (2, 6, 6, 2, 3, 2, 1),
    (1, 5, 7, 2, 5, 1, 4),
)
