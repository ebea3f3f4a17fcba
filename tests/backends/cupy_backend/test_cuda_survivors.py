"""What the other tests of CUDA's kernels let pass: found by `tests/attacks/mutate_kernels.py`."""

import copy
from typing import Any

import numpy as np
import pytest
import test_step
from test_cupy import run
from test_modes import bits, epochs, session

from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.cupy_backend.branches import Branches
from fastae.backends.cupy_backend.operations import make_operations
from fastae.backends.emulator import EmulatorBackend, checking, streams
from fastae.check.calls.cases import make

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("blocks", [1, 2])
def test_cuda_trains_on_a_device_of_one_multiprocessor(cupy: CupyBackend, blocks: int, monkeypatch: Any) -> None:
    """A persistent kernel of one block has no other to wait for, or to leave work to."""
    if cupy.launcher.cupy.cuda is streams:  # the stand-in's; a GPU has as many as it has
        monkeypatch.setattr(cupy.launcher, "multiprocessors", blocks)
    found = [session(cupy, mode) for mode in ("eager", "persistent")]
    assert epochs(found[0]) == epochs(found[1])
    assert bits(found[0]) == bits(found[1])
    assert found[1]._train[0].cursor[0] == found[0]._train[0].cursor[0]


def test_cudas_persistent_kernel_gathers_every_pixel(cupy: CupyBackend) -> None:
    """Of more than one block's worth of them, of which the last block has a single one."""
    assert 27 * 19 % 256 == 1
    found = []
    for mode in ("eager", "persistent"):
        s = cupy.session(test_step.start((19, 6), "float32"), test_step.images(19, 54), batch_size=27, mode=mode)
        s.start(np.arange(54))
        with checking():  # by the stand-in: nor does it write a pixel too many
            s.run(2)
        found.append(bits(s))
    assert found[0] == found[1]


@pytest.mark.parametrize("most", [1, 3])
def test_cuda_grids_of_few_blocks_do_all_the_work(cupy: CupyBackend, most: int, monkeypatch: Any) -> None:
    """Blocks go on where there is more to do than the grid has: more than 4,096 images, or elements by the million."""
    sizes = {"m": 40, "k": 70, "n": 90}
    calls = {name: make(name, "float32", **sizes) for name in KERNELS if name not in ("axpy", "advance", *PATCHES)}
    x, y = np.random.default_rng(0).normal(size=(2, 40, 70)).astype("float32")
    calls["axpy"] = {"alpha": 0.5, "x": x, "y": y}
    found = []
    for blocks in (launcher.MOST_BLOCKS, most):
        monkeypatch.setattr(launcher, "MOST_BLOCKS", blocks)
        s = session(cupy, "eager")
        kernels = [run(cupy, name, copy.deepcopy(arguments)).tobytes() for name, arguments in calls.items()]
        found.append([*kernels, epochs(s, 1), bits(s)])
    assert found[0] == found[1]


@pytest.mark.parametrize("side", [16, 32, 64])
def test_cudas_tensor_cores_read_only_what_is_there(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warp with no piece of a small tile left would read shared memory that nobody has written."""
    k = EmulatorBackend()
    tf32 = k.launcher_for(True, np.dtype(np.float32))
    monkeypatch.setattr(tf32, "tile", lambda *product: launcher.Tile(side))
    a, W, b, y = (k.asarray(np.ones(shape, np.float32)) for shape in ((33, 70), (70, 41), (41,), (33, 41)))
    with checking():
        make_operations(k, tf32, "mse", Branches(k.launcher.cupy.cuda))["forward"](a, W, b, y)
    assert np.all(k.to_host(y) == 1)  # σ(71)


@pytest.mark.parametrize("name", ["mse_loss", "bce_loss", "column_sum"])
@pytest.mark.parametrize("order", ["forward", "random"])
def test_cudas_sums_by_one_block_after_another_have_no_race(
    name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread may write its part of the next sum while another still reads those of this one."""
    monkeypatch.setattr(launcher, "MOST_BLOCKS", 1)
    with checking(order):
        run(EmulatorBackend(), name, make(name, "float32", m=5, n=90))
