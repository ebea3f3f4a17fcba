"""
The error map of a wrong kernel
===============================

Two wrong products. One works in blocks of eight rows and forgets the rest; the other rounds its inputs to ten bits of
mantissa, as a GPU's tensor cores do in TF32. First the report of ``fastae check``, then the error of each element.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from fastae.check.calls import cases
from fastae.check.learner import load
from fastae.check.verdict import examine

BLOCKS = """
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    a, b = a.T if trans_a else a, b.T if trans_b else b
    for top in range(0, max(len(a) - 7, 1), 8):
        rows = slice(top, top + 8)
        product = alpha * (a[rows] @ b)
        out[rows] = product if beta == 0 else product + beta * out[rows]
"""
ROUNDED = """
import numpy as np
from fastae.check.bounds import rounded

def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    a, b = a.T if trans_a else a, b.T if trans_b else b
    product = alpha * (rounded(a, 10) @ rounded(b, 10))
    out[:] = product if beta == 0 else product + beta * out
"""
folder = Path(tempfile.mkdtemp())
kernels = {}
for name, code in {"blocks": BLOCKS, "rounded": ROUNDED}.items():
    file = folder / f"{name}.py"
    file.write_text(code)
    kernels[name] = load(file)
    for problem in examine(kernels[name], "matmul", seed=1).problems:
        print(f"{name}: {problem.what}\n  with {problem.case}\n  likely: {'; '.join(problem.causes) or '?'}")

# %%
# On one shape: the error of each element over the bound that a correct kernel keeps. What was never written is NaN,
# which no bound admits.
arguments = cases.make("matmul", "float32", seed=1, m=29, k=70, n=48)
exact, bound = cases.expected("matmul", arguments, "float32")
figure, axes = plt.subplots(1, 2, figsize=(7.2, 3), sharey=True)
colours = plt.colormaps["viridis"].with_extremes(bad="C4")
for axis, (name, kernel) in zip(axes, kernels.items()):
    found = cases.call(kernel, "matmul", arguments).found
    share = np.ma.masked_invalid(np.abs(found - exact) / bound)
    picture = axis.imshow(share, cmap=colours, norm=LogNorm(1e-3, 1e3), aspect="auto")
    axis.set_title(f"{name}: up to {share.max():.2g} of the bound", fontsize=10)
    axis.set_xlabel("column")
axes[0].set_ylabel("row")
axes[0].text(24, 26, "never written: NaN", ha="center", va="center", color="white", fontsize=10)
figure.colorbar(picture, label="error / bound")
plt.show()
