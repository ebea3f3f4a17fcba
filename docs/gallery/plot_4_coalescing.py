"""
Coalesced and uncoalesced access
================================

A warp is 32 threads that ask for memory together, and the device moves whole sectors of 32 bytes. Two kernels copy the
same matrix. In one, neighbouring threads read neighbouring numbers of a row; in the other, of a column. The emulator
counted the sectors while it ran the kernels.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastae.backends.emulator import RawModule, counting, device

SIDE = 32
CODE = """
extern "C" __global__ void along(int n, const float* x, float* out) {
  const int row = blockIdx.x, column = threadIdx.x;
  out[row * n + column] = x[row * n + column];
}
extern "C" __global__ void down(int n, const float* x, float* out) {
  const int row = threadIdx.x, column = blockIdx.x;
  out[row * n + column] = x[row * n + column];
}
"""
module = RawModule(CODE, file="copy.cu")
x = device.array(np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
reads = {}
for name in ("along", "down"):
    out = device.array(np.zeros((SIDE, SIDE), np.float32))
    with counting() as counts:
        module.get_function(name)((SIDE,), (SIDE,), (np.int32(SIDE), x, out))
    assert np.array_equal(np.asarray(out), np.asarray(x))
    (reads[name],) = [entry for entry in counts if entry.action == "read"]
    entry = reads[name]
    print(f"{name}: {entry.requests} requests, {entry.transactions} sectors moved, {entry.best} would do")

# %%
# What the first warp asks for, and what has to be moved for it: a sector is eight floats of a row.
ink = plt.rcParams["text.color"]
figure, axes = plt.subplots(1, 2, figsize=(7, 3.9))
for axis, (name, entry) in zip(axes, reads.items()):
    asked = np.zeros((SIDE, SIDE), bool)
    asked[(0, slice(None)) if name == "along" else (slice(None), 0)] = True
    moved = np.repeat(asked.reshape(SIDE, SIDE // 8, 8).any(axis=2), 8, axis=1)
    rows, columns = np.nonzero(moved & ~asked)
    axis.scatter(columns, rows, s=13, marker="s", color="C1", alpha=0.45, label="moved for nothing")
    rows, columns = np.nonzero(asked)
    axis.scatter(columns, rows, s=13, marker="s", color="C0", label="asked for")
    for edge in range(0, SIDE + 1, 8):
        axis.axvline(edge - 0.5, color=ink, linewidth=0.5)
    a_warp = entry.transactions // entry.requests
    axis.set_title(f"{name}: {a_warp} sectors a request", fontsize=10)
    axis.set_xlim(-1, SIDE)
    axis.set_ylim(SIDE, -1)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_aspect("equal")
    axis.spines[:].set_visible(False)
handles, labels = axes[1].get_legend_handles_labels()
figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2, fontsize=9)
plt.show()

# %%
# The same with a stride: thread i reads number i · stride. From a stride of 8 on, each thread has a sector to itself.
STRIDED = """
extern "C" __global__ void strided(int stride, const float* x, float* out) {
  out[threadIdx.x] = x[threadIdx.x * stride];
}
"""
function = RawModule(STRIDED, file="strided.cu").get_function("strided")
strides = [1, 2, 3, 4, 6, 8, 12, 16, 32]
x, out = device.array(np.ones(32 * 32, np.float32)), device.array(np.zeros(32, np.float32))
sectors = []
for stride in strides:
    with counting() as counts:
        function((1,), (32,), (np.int32(stride), x, out))
    sectors += [entry.transactions for entry in counts if entry.action == "read"]
figure, axis = plt.subplots(figsize=(6.4, 2.8))
axis.plot(strides, sectors, "o-")
axis.axhline(4, color=ink, linestyle=":", linewidth=1)
axis.text(20, 5, "the fewest: 32 floats are 4 sectors", fontsize=9)
axis.set_xlabel("stride, in floats")
axis.set_ylabel("sectors a request")
axis.set_xticks([1, 4, 8, 12, 16, 32])
plt.show()
