"""
A transposed convolution adds patches
=====================================

The way back of a convolution of 3 × 3 with stride 2 and padding 1: from 3 × 3 pixels to 6 × 6. Every pixel of the input
becomes a patch of the output, the kernel times the pixel, and where patches overlap they are added. What falls outside
of the image, where the convolution had its padding, is dropped.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from fastae import backends
from fastae.layers import Geometry

g = Geometry(height=6, width=6, kernel=3, stride=2, padding=1)
ones = np.ones((g.rows * g.columns, g.kernel**2))
patches_of = np.empty((1, 36))
backends.get("numpy").fold(ones, *g, patches_of)  # adds a 1 for each patch that a pixel is in
patches_of = patches_of.reshape(6, 6).astype(int)
print(patches_of)

# %%
# Three pixels of the input and their patches in colour. Where two colours mix both patches are added; what is faint is
# dropped. On the right, how many of all nine patches a pixel is in: one, two or four, kernel² / stride² = 2¼ on average
# where no border is near. A kernel whose size is a multiple of its stride covers all pixels alike, but for those at the
# border.
ink = plt.rcParams["text.color"]
chosen = {0: "C0", 4: "C1", 7: "C2"}


def grid(axes: Axes, x: float, y: float, side: int, faint: bool = False) -> None:
    """Draw the outlines of side × side pixels."""
    style = {"linestyle": ":", "alpha": 0.6} if faint else {}
    for row in range(side):
        for column in range(side):
            pixel = Rectangle((x + column, y + row), 1, 1, fill=False, edgecolor=ink, linewidth=0.6, **style)
            axes.add_patch(pixel)


figure, axes = plt.subplots(figsize=(7.4, 3.3))
at_input, at_output, at_counts = -6.4, 0, 8.6
grid(axes, at_input, 1.5, 3)
grid(axes, at_output - 1, -1, 8, faint=True)
grid(axes, at_output, 0, 6)
for patch, color in chosen.items():
    row, column = divmod(patch, g.columns)
    axes.add_patch(Rectangle((at_input + column, 1.5 + row), 1, 1, facecolor=color, alpha=0.6, linewidth=0))
    top, left = row * g.stride - g.padding, column * g.stride - g.padding
    for (y, x), _ in np.ndenumerate(np.ones((3, 3))):
        dropped = not (0 <= top + y < g.height and 0 <= left + x < g.width)
        corner = at_output + left + x, top + y
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=color, alpha=0.08 if dropped else 0.38, linewidth=0))
    frame = Rectangle((at_output + left + 0.06, top + 0.06), 2.88, 2.88, fill=False, edgecolor=color, linewidth=2.2)
    axes.add_patch(frame)
    of_input = (at_input + column + 0.5, 2 + row)
    arrow = {"arrowstyle": "->", "color": color, "linewidth": 1.3, "shrinkB": 3}
    axes.annotate("", (at_output + left + 0.1, top + 1.5), of_input, arrowprops=arrow)
grid(axes, at_counts, 0, 6)
for (row, column), count in np.ndenumerate(patches_of):
    pixel = Rectangle((at_counts + column, row), 1, 1, facecolor="C3", alpha=0.16 * count, linewidth=0)
    axes.add_patch(pixel)
    axes.text(at_counts + column + 0.5, row + 0.53, f"{count}", ha="center", va="center", fontsize=9)
for x, text in [(-4.9, "input, 3 × 3"), (3, "output, 6 × 6"), (11.6, "patches that a pixel is in")]:
    axes.text(x, -1.5, text, ha="center", fontsize=9)
axes.set_xlim(-6.7, 15)
axes.set_ylim(7.3, -2.4)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
