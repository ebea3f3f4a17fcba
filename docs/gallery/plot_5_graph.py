"""
The captured graph of a step
============================

What the cupy backend records when it captures one training step. The graph is read from the emulator, which can list
the nodes of a captured graph. A box is a launch of a kernel. It waits for the launches from which arrows lead to it.
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
(graph,) = (graph for (part, _, steps), graph in session.graphs.items() if (part, steps) == ("step", 1))
for number, node in enumerate(graph.nodes):
    print(f"{number:2} {node.name:18} after {sorted(node.after)}")

# %%
# Updates are branches of their own: nothing else in this step needs what they write. The losses, their sum, the cursor
# and the batch are one branch, on which the next step's batch is gathered too. Arrows that follow from others are left
# out.
ink = plt.rcParams["text.color"]
LANES = {"update": (2.3, "C1", "updates")} | dict.fromkeys(
    ("gather", "mse_loss", "column_sum", "advance"), (-2.3, "C2", "the branch ahead")
)
MAIN = 0.0, "C0", "the session's stream"
depth: list[int] = []
for node in graph.nodes:
    depth.append(1 + max((depth[i] for i in node.after), default=-1))
place: list[tuple[float, int]] = []
for node, level in zip(graph.nodes, depth):
    x = LANES.get(node.name, MAIN)[0]
    place.append((x + 1.3 * ((x, -level) in place), -level))
figure, axis = plt.subplots(figsize=(6.4, 5.6))
for i, node in enumerate(graph.nodes):
    implied = set().union(*(ancestors(graph.nodes, graph.nodes[j].after) for j in node.after))
    for before in node.after - implied:
        (x0, y0), (x1, y1) = place[before], place[i]
        side = (x1 > x0) - (x1 < x0)
        axis.annotate(
            "", (x1 - 0.5 * side, y1 + 0.33 * (side == 0)), (x0 + 0.62 * side, y0 - 0.33 * (side == 0)),
            arrowprops={"arrowstyle": "->", "color": ink, "linewidth": 1, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
for node, (x, y) in zip(graph.nodes, place):
    axis.text(x, y, node.name, ha="center", va="center", fontsize=9,
              bbox={"boxstyle": "round", "facecolor": "none", "edgecolor": LANES.get(node.name, MAIN)[1],
                    "linewidth": 1.6})  # fmt: skip
for x, colour, name in {MAIN, *LANES.values()}:
    axis.text(x + 0.65 * (name == "updates"), 0.9, name, ha="center", fontsize=10, color=colour)
axis.set_xlim(-3.2, 4.3)
axis.set_ylim(-max(depth) - 0.6, 1.3)
axis.set_axis_off()
plt.show()
print(f"{len(graph.nodes)} launches; the longest chain has {max(depth) + 1}")
