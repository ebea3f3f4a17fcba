"""
Tiles of a matrix product
=========================

The first layer's forward product at batch size 128, (128, 784) by (784, 256), as the CUDA kernel of `fastae/cuda` cuts
it. A block of threads computes one tile of the result; it goes through the summed dimension in slices and copies one
slice after another into shared memory. A number of A is then read from global memory once for a whole row of a tile,
instead of once for each of its elements.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from fastae import backends
from fastae.backends.cupy_backend.launcher import tiles

m, k, n, chosen = 128, 784, 256, 5
launcher = backends.get("emulator").launcher
chosen_tile = launcher.tile(m, n, k, np.dtype(np.float32))
tile, slice_ = chosen_tile.side, 2048 // chosen_tile.side
print(f"{tiles(m, n, chosen_tile)} tiles of {tile} × {tile} for a GPU of {launcher.multiprocessors} multiprocessors")

# %%
# The tile depends on the device: it is the one that should take the least time. The emulated device is small.
ink = plt.rcParams["text.color"]
row, column = divmod(chosen, n // tile)
figure, axes = plt.subplots(figsize=(7, 5.6))


def matrix(x: float, y: float, rows: int, columns: int, name: str) -> None:
    """Draw an outline with its name and its size."""
    axes.add_patch(Rectangle((x, y), columns, rows, fill=False, edgecolor=ink, linewidth=1.2))
    axes.text(x + columns / 2, y - 14, f"{name}  {rows} × {columns}", ha="center", va="bottom", fontsize=9)


at_b, at_out = (k + 50, -k - 60), (k + 50, 0)
matrix(0, 0, m, k, "A: images")
matrix(*at_b, k, n, "B: weights")
matrix(*at_out, m, n, "out")
for x in range(0, n, tile):
    for y in range(0, m, tile):
        axes.add_patch(Rectangle((at_out[0] + x, y), tile, tile, fill=False, edgecolor=ink, linewidth=0.5))
axes.add_patch(Rectangle((0, row * tile), k, tile, facecolor="C0", alpha=0.25))
axes.add_patch(Rectangle((at_b[0] + column * tile, at_b[1]), tile, k, facecolor="C1", alpha=0.25))
axes.add_patch(Rectangle((at_out[0] + column * tile, row * tile), tile, tile, facecolor="C2", alpha=0.8))
for x in range(0, k, slice_):
    axes.plot([x, x], [row * tile, (row + 1) * tile], color="C0", linewidth=0.4)
    axes.plot([at_b[0] + column * tile, at_b[0] + (column + 1) * tile], [at_b[1] + x] * 2, color="C1", linewidth=0.4)
at = 20 * slice_
axes.add_patch(Rectangle((at, row * tile), slice_, tile, facecolor="C0"))
axes.add_patch(Rectangle((at_b[0] + column * tile, at_b[1] + at), tile, slice_, facecolor="C1"))
story = """one block computes the green tile:
for each slice, it copies the blue and the
orange piece into shared memory, waits,
and adds their product to its sums"""
axes.text(k / 2, -360, story, ha="center", fontsize=10)
axes.set_xlim(-10, k + n + 60)
axes.set_ylim(m + 20, at_b[1] - 60)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
