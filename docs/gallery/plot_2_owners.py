"""
Who owns what in a step
=======================

A team of two workers. Each owns a block of the units of every layer, and with it the columns of the weight matrix that
lead to them. Its columns lie in an array of its own, which no other core touches. The activations (thin bars) are
shared: every worker reads all of a layer's input and writes its own part of the output. A dotted line is a barrier.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

import fastae

images = np.zeros((16, 784), np.uint8)
model = fastae.Autoencoder()
session = fastae.Trainer(model, backend="numba", threads=2).session(images)
cuts = [session.owned(width) for width in session.widths]
for width, (first, second) in zip(session.widths, cuts):
    print(f"{width} units: worker 0 owns those before {first.stop}, worker 1 those from {second.start} on")

# %%
# Layers are cut at multiples of a vector's length, so that each worker computes whole vectors only.
ink = plt.rcParams["text.color"]
scale = 1 / 150
figure, axes = plt.subplots(figsize=(7.4, 3.9))
x = 0.0
highest = session.widths[0] * scale
for layer, (width, parts) in enumerate(zip(session.widths, cuts)):
    for worker, part in enumerate(parts):  # activations: a bar whose parts are written by their owners
        size = (part.stop - part.start) * scale
        bottom = highest / 2 + width * scale / 2 - part.stop * scale
        axes.add_patch(Rectangle((x, bottom), 0.16, size, facecolor=f"C{worker}", edgecolor=ink, linewidth=0.6))
    axes.text(x + 0.08, highest / 2 + width * scale / 2 + 0.12, f"{width}", ha="center", fontsize=9)
    if layer == 4:
        break
    following, next_parts = session.widths[layer + 1], cuts[layer + 1]
    left, bottom = x + 0.42, highest / 2 - width * scale / 2
    for worker, part in enumerate(next_parts):
        block = Rectangle(
            (left + part.start * scale, bottom), (part.stop - part.start) * scale, width * scale,
            facecolor=f"C{worker}", alpha=0.35, edgecolor=ink, linewidth=0.6,
        )  # fmt: skip
        axes.add_patch(block)
    across = following * scale
    axes.text(left + across / 2, bottom + width * scale / 2, f"W[{layer}]", ha="center", va="center", fontsize=9)
    axes.axvline(x + 0.29, color=ink, linestyle=":", linewidth=1.2)
    x = left + across + 0.26
axes.plot([], [], "s", color="C0", label="worker 0's")
axes.plot([], [], "s", color="C1", label="worker 1's")
axes.plot([], [], ":", color=ink, label="barrier")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=9)
axes.set_xlim(-0.1, x + 0.26)
axes.set_ylim(-0.1, highest + 0.5)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
