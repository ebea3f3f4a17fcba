"""The sum begins with what the output held before, not with 0.

fold adds, so it must begin from 0 itself: nobody clears the output for it. A gradient grows from step to step.

Cause: it adds to the old out
"""


def fold(x, height, width, kernel, stride, padding, out):
    m, rows = len(out), (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    patches = x.reshape(m, rows, columns, kernel, kernel, -1)
    images = out.reshape(m, height, width, -1)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride - padding, c * stride - padding
            i, j = max(0, -top), max(0, -left)
            part = images[:, top + i : max(0, top + kernel), left + j : max(0, left + kernel)]
            part += patches[:, r, c, i : i + part.shape[1], j : j + part.shape[2]]
