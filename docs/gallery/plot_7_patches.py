"""
Patches of an image become rows
===============================

A convolution with a kernel of 3 × 3, stride 2 and padding 1. The image has 6 × 6 pixels, numbered from 1 on, and a ring
of zeros around it. Its nine patches are copied into the rows of a matrix, by the library's ``unfold``; the rows times
the kernels, which are columns, are the output.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from fastae import backends
from fastae.layers import Geometry

g = Geometry(height=6, width=6, kernel=3, stride=2, padding=1)
image = np.arange(1.0, 37).reshape(1, 36)
rows = np.empty((g.rows * g.columns, g.kernel**2))
backends.get("numpy").unfold(image, *g, rows)
print(rows.astype(int))

# %%
# Three of the patches in colour. The first begins one pixel outside the image, so five of its nine numbers are zeros of
# the padding. Neighbours are two pixels apart and three wide, so they share a row or a column of pixels.
ink = plt.rcParams["text.color"]
chosen = {0: "C0", 4: "C1", 5: "C2"}


def cell(axes: Axes, x: float, y: float, text: str, color: str = "none", faint: bool = False) -> None:
    """Draw a square with a number in it."""
    style = {"linestyle": ":", "alpha": 0.7} if faint else {}
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor="none", edgecolor=ink, linewidth=0.6, **style))
    if color != "none":
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, alpha=0.3, linewidth=0))
    axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", fontsize=8, alpha=0.7 if faint else 1)


figure, axes = plt.subplots(figsize=(7.4, 3.6))
for row in range(-1, 7):
    for column in range(-1, 7):
        inside = 0 <= row < 6 and 0 <= column < 6
        cell(axes, column, row, f"{image[0, row * 6 + column]:.0f}" if inside else "0", faint=not inside)
for patch, color in chosen.items():
    top, left = (n * g.stride - g.padding for n in divmod(patch, g.columns))
    axes.add_patch(Rectangle((left, top), 3, 3, facecolor=color, alpha=0.2, linewidth=0))
    frame = Rectangle((left + 0.06, top + 0.06), 2.88, 2.88, fill=False, edgecolor=color, linewidth=2.2)
    axes.add_patch(frame)

at_rows, at_weights, at_out, high = 9.0, 19.4, 22.8, -1.5
for patch, numbers in enumerate(rows):
    color = chosen.get(patch, "none")
    for i, number in enumerate(numbers):
        cell(axes, at_rows + i, high + patch, f"{number:.0f}", color)
    for channel in range(2):
        cell(axes, at_out + channel, high + patch, "", color)
for i in range(9):
    for channel in range(2):
        cell(axes, at_weights + channel, high + i, "")
for x, text in [(8, "→"), (18.7, "×"), (22.1, "=")]:
    axes.text(x, 3, text, ha="center", va="center", fontsize=14)
names = [(3, "image, and its padding"), (13.5, "U(x), a row for each patch"), (20.4, "W"), (23.8, "output")]
for x, text in names:
    axes.text(x, -2.1, text, ha="center", fontsize=9)
axes.text(20.4, 8.3, "a column for\neach channel", ha="center", va="center", fontsize=7.5)
axes.text(23.8, 8.3, "a row for\neach pixel", ha="center", va="center", fontsize=7.5)
axes.set_xlim(-1.2, 25)
axes.set_ylim(8.9, -3)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()

# %%
# The same along one axis: where the three taps of a kernel fall on a row of eight pixels. The pixel where two patches
# meet is in both of them; the padding on the right is not reached, since 8 + 2 · 1 − 3 is not a multiple of the stride.
line = Geometry(height=1, width=8, kernel=3, stride=2, padding=1)
figure, axes = plt.subplots(figsize=(7.4, 2.9))
in_patches = [0] * line.width
for pixel in range(-1, 9):
    inside = 0 <= pixel < line.width
    cell(axes, pixel, 0, f"x{pixel}" if inside else "0", faint=not inside)
for patch in range(line.columns):
    left, y, color = patch * line.stride - line.padding, 1.5 + 0.85 * patch, f"C{patch}"
    for tap in range(line.kernel):
        axes.add_patch(Rectangle((left + tap + 0.04, y), 0.92, 0.62, facecolor=color, alpha=0.35, linewidth=0))
        axes.text(left + tap + 0.5, y + 0.33, f"w{tap}", ha="center", va="center", fontsize=8)
        if 0 <= left + tap < line.width:
            in_patches[left + tap] += 1
    axes.text(9.3, y + 0.33, f"output {patch}", va="center", fontsize=9, color=color)
for pixel in range(line.width + 1):
    axes.plot([pixel, pixel], [1, 5], color=ink, linewidth=0.5, linestyle=":")
for pixel, count in enumerate(in_patches):
    axes.text(pixel + 0.5, -0.45, f"{count}", ha="center", va="center", fontsize=9)
axes.text(9.3, 0.5, "pixels", va="center", fontsize=9)
axes.text(9.3, -0.45, "patches that a pixel is in", va="center", fontsize=9)
axes.set_xlim(-1.3, 14)
axes.set_ylim(5.2, -0.9)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
