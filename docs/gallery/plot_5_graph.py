"""
The captured graph of a step
============================

What the cupy backend records when it captures one training step, read from the emulator, where a captured graph can be
looked into. A box is a launch of a kernel, an arrow that it must wait.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastae
from fastae.backends.emulator.streams import ancestors

images, _ = fastae.load_dataset()
trainer = fastae.Trainer(fastae.Autoencoder(), backend="emulator")
session = trainer.session(images[:32])
session.start(np.arange(32))
session.run(2)  # the first step is launched, the second captured and replayed
(graph,) = (graph for (part, _, steps), graph in session._graphs.items() if (part, steps) == ("step", 1))
for number, node in enumerate(graph.nodes):
    print(f"{number:2} {node.name:18} after {sorted(node.after)}")

# %%
# Updates and the sum of the losses are on a branch of their own: nothing on the main path needs them in this step. An
# arrow that follows from others is left out.
ink = plt.rcParams["text.color"]
depth: list[int] = []
for node in graph.nodes:
    depth.append(1 + max((depth[i] for i in node.after), default=-1))
branch = [node.name in ("update", "column_sum") for node in graph.nodes]
place = [(1.9 * side, -level) for side, level in zip(branch, depth)]
figure, axis = plt.subplots(figsize=(4.8, 6.6))
for i, node in enumerate(graph.nodes):
    implied = set().union(*(ancestors(graph.nodes, graph.nodes[j].after) for j in node.after))
    for before in node.after - implied:
        (x0, y0), (x1, y1) = place[before], place[i]
        axis.annotate(
            "", (x1 + 0.3 * (x1 < x0) - 0.3 * (x1 > x0), y1 + 0.33 * (x1 == x0)),
            (x0 + 0.3 * (x1 > x0) - 0.35 * (x1 < x0), y0 - 0.33 * (x1 == x0)),
            arrowprops={"arrowstyle": "->", "color": ink, "linewidth": 1, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
for node, (x, y), side in zip(graph.nodes, place, branch):
    label = node.name.replace("mse_loss_gradient", "loss_gradient")
    colour = "C1" if side else "C0"
    axis.text(x, y, label, ha="center", va="center", fontsize=9,
              bbox={"boxstyle": "round", "facecolor": "none", "edgecolor": colour, "linewidth": 1.6})  # fmt: skip
axis.text(0, 0.9, "the session's stream", ha="center", fontsize=10, color="C0")
axis.text(1.9, 0.9, "the branch", ha="center", fontsize=10, color="C1")
axis.set_xlim(-1, 2.9)
axis.set_ylim(-max(depth) - 0.6, 1.3)
axis.set_axis_off()
plt.show()
print(f"{len(graph.nodes)} launches; the longest chain has {max(depth) + 1}")
