"""
Patches, gathered in three ways
===============================

The rows of U are the patches of three images, of 6 × 6 pixels and a single channel, with a kernel of 3 × 3, a stride
of 2 and a padding of 1. A program copies some of these numbers at a time. The rungs of the convolution's ladder
differ in which numbers they copy together.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from fastae import backends
from fastae.layers import Geometry

g, images = Geometry(height=6, width=6, kernel=3, stride=2, padding=1), 3
pixels = 1 + np.arange(images * 36).reshape(images, 36)  # numbered from 1 on; 0 is padding
U = np.empty((images * g.rows * g.columns, g.kernel**2))
backends.get("numpy").unfold(pixels.astype(float), *g, U)
print(f"{pixels.size} pixels, {U.size} numbers in U, of which {np.sum(U == 0)} are padding")

# %%
# On the right, the part of U that is copied in one step is shaded; on the left, its pixels. *A patch*: a row of U is
# written at a time. *A tap of all patches*: a column is written, the numbers that all patches have at one place, which
# are every second pixel. *A patch's row in all images*: three neighbouring pixels of each image, which can be
# multiplied without a copy.
ink = plt.rcParams["text.color"]
patch, of_image = 4, g.rows * g.columns
ways = {
    "a patch": (slice(patch, patch + 1), slice(None)),
    "a tap of all patches": (slice(None), slice(5, 6)),
    "a patch's row in all images": (slice(patch, None, of_image), slice(3, 6)),
}
figure, panels = plt.subplots(3, 1, figsize=(7, 5.6))
for axes, (name, part), color in zip(panels, ways.items(), ("C0", "C1", "C2")):
    taken = np.zeros(U.shape, bool)
    taken[part] = True
    wide, high = 0.9, 6 / len(U)
    for image in range(images):
        for row, column in np.ndindex(6, 6):
            x, shaded = 7 * image + column, np.isin(pixels[image, row * 6 + column], U[taken])
            axes.add_patch(Rectangle((x, row), 1, 1, facecolor="none", edgecolor=ink, linewidth=0.5))
            if shaded:
                axes.add_patch(Rectangle((x, row), 1, 1, facecolor=color, alpha=0.75, linewidth=0))
    for row, column in np.ndindex(U.shape):
        x, y = 24 + wide * column, high * row
        axes.add_patch(Rectangle((x, y), wide, high, facecolor="none", edgecolor=ink, linewidth=0.25))
        if taken[row, column]:
            axes.add_patch(Rectangle((x, y), wide, high, facecolor=color, alpha=0.75, linewidth=0))
    for image in range(1, images):
        y = image * of_image * high
        axes.plot([24, 24 + wide * g.kernel**2], [y, y], color=ink, linewidth=1.2)
    for image in range(images):
        axes.text(7 * image + 3, 6.7, f"image {image}", ha="center", va="center", fontsize=8)
    axes.text(24 + wide * g.kernel**2 / 2, 6.7, f"U, {U.shape[0]} × {U.shape[1]}", ha="center", va="center", fontsize=8)
    axes.text(0, -0.5, name, fontsize=10, va="center")
    axes.text(22.2, 3, "→", ha="center", va="center", fontsize=14)
    axes.set_xlim(-0.2, 32.5)
    axes.set_ylim(7.1, -1)
    axes.set_aspect("equal")
    axes.set_axis_off()
plt.show()
