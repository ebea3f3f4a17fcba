"""Whole numbers are divided: the fraction is lost.

Every pixel is 0, but for those that are 255. The images become black and white, and train well enough.

Cause: the fraction is lost|integer division
"""


def gather(images, order, cursor, offset, out):
    first = cursor[0] + offset
    out[:] = images[order[first : first + len(out)]] // 255
