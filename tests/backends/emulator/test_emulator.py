"""The emulator: right kernels run under every order of the threads, and each fault is named with its line."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_kernels import ORDERS, SUM, arrays, changed, fault_of, in_order, line_with, run, sum_arguments
from sampling import sample

import fastae
from fastae import backends, cli
from fastae.backends.cupy_backend.launcher import TILES, Tile
from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator.source import CompileError
from fastae.backends.emulator.toolchain import find_compiler
from fastae.check import bounds
from fastae.cuda import source

WARP_SUM = """extern "C" __global__ void warp_sum(const float* x, float* out) {
  float v = x[threadIdx.x];
  for (int by = 16; by > 0; by /= 2) v += __shfl_down_sync(0xffffffffu, v, by);
  const float total = __shfl_sync(0xffffffffu, v, 0);
  out[threadIdx.x] = total + __shfl_xor_sync(0xffffffffu, (float)threadIdx.x, 1);
}"""

# Right kernels.


@pytest.mark.parametrize("order", ORDERS)
def test_a_sum_with_barriers_and_an_atomic_is_right_in_every_order(order: str | None) -> None:
    with in_order(order):
        _, out = run(SUM, 5, 64, np.int32(1000), np.arange(1000, dtype="f4"), np.zeros(1, "f4"))
    assert out[0] == 499500


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_warp_exchanges_values(order: str) -> None:
    with checking(order):
        _, out = run(WARP_SUM, 1, 32, np.arange(32, dtype="f4"), np.zeros(32, "f4"))
    np.testing.assert_array_equal(out, 496 + (np.arange(32) ^ 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("trans_a", "trans_b"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("m", [1, 33])
def test_matmul_is_right_and_keeps_to_its_memory(dtype: str, trans_a: bool, trans_b: bool, m: int) -> None:
    """Views of larger arrays, whose rest is NaN: nothing outside is read, and no two threads meet."""
    k = backends.get("emulator")
    generator = np.random.default_rng(m)
    for n, depth, order in ((5, 17, "forward"), (40, 3, "reverse"), (1, 16, "random")):
        shapes = {"a": (depth, m) if trans_a else (m, depth), "b": (n, depth) if trans_b else (depth, n), "out": (m, n)}
        views = {}
        for name, (rows, cols) in shapes.items():
            frame = device.array(np.full((rows + 2, cols + 3), np.nan, dtype))
            views[name] = frame[1:-1, 1:-2]
            views[name][:] = generator.standard_normal((rows, cols))
        a, b, out = views["a"], views["b"], views["out"]
        old, A, B = (np.array(x, np.float64) for x in (out, a.T if trans_a else a, b.T if trans_b else b))
        with checking(order):
            k.matmul(a, b, out, trans_a, trans_b, -0.5, 2.0)
        bound = bounds.matmul(A, B, old, -0.5, 2.0, dtype)
        assert bounds.accepts(np.asarray(out), -0.5 * A @ B + 2 * old, bound)
        out[:] = np.nan
        k.matmul(a, b, out, trans_a, trans_b)  # beta = 0: the old out is not read
        assert bounds.accepts(np.asarray(out), A @ B, bounds.matmul(A, B, old, 1.0, 0.0, dtype))


@pytest.mark.parametrize("order", sample(ORDERS[1:], 3))
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_a_whole_step_has_no_fault(loss: str, order: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 37), dtype=np.uint8)
    weights = []
    for backend in ("emulator", "numpy"):
        model = fastae.Autoencoder((37, 20, 5), dtype="float64")
        trainer = fastae.Trainer(model, loss, fastae.SGD(0.1, 0.9), backend, batch_size=4)
        with checking(order):
            trainer.fit(images, epochs=1, test_images=images, progress=False)
        weights.append(np.concatenate([W.ravel() for W in model.weights]))
    np.testing.assert_allclose(*weights, rtol=0, atol=1e-13)


@pytest.mark.thorough
def test_a_hundred_steps_of_the_real_network_agree_with_numpy() -> None:
    images = fastae.load_dataset()[0][:1600]
    losses = []
    for backend in ("emulator", "numpy"):
        trainer = fastae.Trainer(fastae.Autoencoder(), optimizer=fastae.SGD(0.05), backend=backend, batch_size=16)
        losses.append(trainer.fit(images, epochs=1, progress=False).epochs[0].train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_command_line_trains_on_it(tmp_path: Path) -> None:
    histories = []
    for backend in ("emulator", "numpy"):
        out = tmp_path / backend
        options = ["--limit", "64", "--epochs", "2", "--no-progress", "--out", str(out)]
        assert cli.main(["train", "--backend", backend, *options]) == 0
        histories.append(json.loads((out / "history.json").read_text())["epochs"])
        assert (out / "reconstructions.png").exists()
    for mine, theirs in zip(*histories):
        for key in ("train_loss", "test_mse"):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-4)


# Wrong ones.


def test_a_missing_barrier_is_a_race() -> None:
    code = changed(SUM, "    __syncthreads();  // before the next half\n", "")
    fault = fault_of(code, 1, 64, *sum_arguments())
    assert "a race between two threads of a block" in str(fault)
    assert line_with(code, "part[t] += part[t + half]") in str(fault)
    assert fault.kernel == "sum"
    assert fault.block == (0, 0, 0)
    assert "the other is block (0, 0, 0), thread (" in str(fault)


def test_a_missing_barrier_gives_wrong_sums_in_some_order_even_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    code = changed(SUM, "    __syncthreads();  // before the next half\n", "")
    found = set()
    for order in range(3):
        monkeypatch.setattr(device.settings, "order", order)
        arguments = sum_arguments()
        run(code, 1, 64, *arguments)
        found.add(float(arguments[-1][0]))
    assert len(found) > 1


def test_a_barrier_that_some_threads_skip() -> None:
    code = changed(SUM, "    if (t < half) part[t] += part[t + half];\n    __syncthreads();",
                   "    if (t < half) { part[t] += part[t + half];\n    __syncthreads(); }")  # fmt: skip
    fault = fault_of(code, 1, 64, *sum_arguments())
    assert "not every thread of the block comes to this __syncthreads()" in str(fault)
    assert line_with(code, "// before the next half") in str(fault)
    with pytest.raises(KernelFault, match="not every thread"):  # without checks too
        run(code, 1, 64, *sum_arguments())


def test_a_warp_operation_that_some_lanes_skip() -> None:
    code = changed(WARP_SUM, "  const float total =", "  if (threadIdx.x == 3) return;\n  const float total =")
    fault = fault_of(code, 1, 32, *arrays(np.ones(32, np.float32), np.zeros(32, np.float32)))
    assert "a warp operation waits for lanes that never come" in str(fault)
    assert line_with(code, "const float total") in str(fault)


@pytest.mark.parametrize(("old", "new"), [("i < n", "i <= n"), ("x[i]", "x[i - 1]")])
def test_an_index_off_by_one(old: str, new: str) -> None:
    code = changed(SUM, old, new)
    fault = fault_of(code, 5, 64, *sum_arguments())
    assert "reading: out of bounds" in str(fault)
    assert line_with(code, "part[t] += x[") in str(fault)


def test_a_write_behind_a_row_that_lies_within_the_memory() -> None:
    code = 'extern "C" __global__ void fill(float* out, long long stride) {\n  out[stride + threadIdx.x] = 1;\n}'
    frame = device.array(np.zeros((4, 10), np.float32))
    fault = fault_of(code, 1, 8, frame[:, :7], np.int64(10))
    assert "mine.cu:2, kernel fill, block (0, 0, 0), thread (7, 0, 0) writing: out of bounds" in str(fault)


def test_shared_memory_that_nobody_wrote() -> None:
    code = changed(SUM, "  part[t] = 0;\n", "")
    fault = fault_of(code, 1, 64, *sum_arguments())
    assert "reading: shared memory is read before it is written" in str(fault)


@pytest.mark.parametrize("index", ["x[64 + threadIdx.x / 64]", "y[threadIdx.x / 64][8]", "mine[n]"])
def test_an_array_that_overruns_into_the_next(index: str) -> None:
    code = f"""extern "C" __global__ void overrun(int n, float* out) {{
      __shared__ float x[64], y[8][8];
      float mine[4] = {{}};
      x[threadIdx.x] = y[threadIdx.x / 8][threadIdx.x % 8] = 1;
      __syncthreads();
      {index} = 2;
      out[threadIdx.x] = x[threadIdx.x] + y[0][0] + mine[0];
    }}"""
    fault = fault_of(code, 1, 64, np.int32(4), *arrays(np.zeros(64, np.float32)))
    assert "thread (0, 0, 0): the index is outside of a shared or local array" in str(fault)
    assert line_with(code, "= 2;") in str(fault)


def test_two_blocks_that_write_to_one_place() -> None:
    code = changed(SUM, "atomicAdd(out, part[0])", "*out += part[0]")
    fault = fault_of(code, 2, 64, *sum_arguments())
    assert "a race between two blocks" in str(fault)
    assert fault.block == (1, 0, 0)
    assert "the other is block (0, 0, 0), thread (0, 0, 0)" in str(fault)
    assert line_with(code, "*out +=") in str(fault)


def launch_matmul(
    code: str, rows: int, cols: int, depth: int, strides: tuple[int, int, int], tile: Tile = TILES[2]
) -> None:
    a, b, out = arrays(*(np.ones(shape, np.float32) for shape in ((rows, depth), (depth, cols), (rows, cols))))
    none, one = np.uint64(0), np.float32(1)
    values: list[Any] = [np.int32(n) for n in (tile.code, rows, cols, depth)]
    for x, stride in zip((a, b, out), strides):
        values += [x, np.int64(stride)]
    values += [np.int32(0), np.int32(0), one, none, np.float32(0), none]
    RawModule(code, ("-Dreal=float",)).get_function("matmul")((2,), (256,), tuple(values))


@pytest.mark.parametrize("order", sample(ORDERS[1:], 3))
@pytest.mark.parametrize(
    "words",
    [
        "nobody needs the slices before these any more",
        "the slices are there",
        "nobody needs the last slices, or the sums before these, any more",
        "the groups' sums are there",
    ],
)
@pytest.mark.parametrize("tile", sample([Tile(16), Tile(32, 8)], 2))
def test_each_barrier_of_our_matmul_is_needed(words: str, order: str, tile: Tile) -> None:
    code = source("matmul.cu")
    assert code.count(f"__syncthreads();  // {words}") == 1
    with checking(order):
        launch_matmul(code, 40, 40, 200, (200, 40, 40), tile)
    faulty = code.replace(f"__syncthreads();  // {words}", "")
    with checking(order), pytest.raises(KernelFault, match=r"\.cuh:\d+, .*(race between two threads|before it is)"):
        launch_matmul(faulty, 40, 40, 200, (200, 40, 40), tile)


def test_a_swapped_stride_leaves_the_array() -> None:
    with checking(), pytest.raises(KernelFault, match="reading: out of bounds"):
        launch_matmul(source("matmul.cu"), 8, 3, 40, (40, 40, 3))


@pytest.mark.parametrize(("old", "new"), [("row >= rows ||", "row > rows ||"), ("col + i < cols", "col + i <= cols")])
def test_a_guard_of_our_matmul_that_is_off_by_one(old: str, new: str) -> None:
    with checking(), pytest.raises(KernelFault, match=r"common\.cuh:\d+, .*reading: out of bounds"):
        launch_matmul(changed(source("matmul.cu"), old, new), 9, 7, 33, (33, 7, 7))


def test_a_thread_has_room_for_half_a_megabyte_of_its_own(checks: bool) -> None:
    code = """extern "C" __global__ void local(int n, float* out) {
      float v[128 * 1024 - 64];
      for (int i = 0; i < n; ++i) v[(i * 7) % n] = i + threadIdx.x;
      __syncthreads();
      out[threadIdx.x] = v[0];
    }"""
    (out,) = run(code, 1, 8, np.int32(1000 if checks else 128 * 1024 - 64), np.zeros(8, "f4"))
    np.testing.assert_array_equal(out, np.arange(8))


def test_blocks_and_grids_have_three_dimensions() -> None:
    code = """extern "C" __global__ void where(int* out) {
      const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
      const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
      out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + thread + 100 * block;
    }"""
    with checking():
        (out,) = run(code, (2, 3, 4), (5, 6, 2), np.zeros(2 * 3 * 4 * 5 * 6 * 2, "i4"))
    np.testing.assert_array_equal(out, (1 + np.arange(60) + 100 * np.arange(24)[:, None]).ravel())


def test_after_a_fault_the_next_launch_is_as_good_as_new() -> None:
    fault_of(changed(SUM, "i < n", "i <= n"), 5, 64, *sum_arguments())
    arguments = sum_arguments()
    with checking():
        run(SUM, 5, 64, *arguments)
    assert arguments[-1][0] == 1000


@pytest.mark.parametrize(
    ("position", "wrong", "words"),
    [
        (0, 1000.0, "n must be numpy.int32, not float"),
        (0, np.int64(1000), "n must be numpy.int32, not int64"),
        (1, np.ones(1000, np.float32), "x must be an array on the device, not ndarray"),
        (1, np.ones(1000).view(device.ndarray), "x must be of float32, not float64"),
    ],
)
def test_an_argument_of_another_type_is_refused(position: int, wrong: Any, words: str) -> None:
    arguments = list(sum_arguments())
    arguments[position] = wrong
    function = RawModule(SUM).get_function("sum")
    with pytest.raises(TypeError, match=re.escape(words)):
        function((1,), (64,), tuple(arguments))
    with pytest.raises(TypeError, match="sum takes 3 arguments, not 2"):
        function((1,), (64,), tuple(arguments[:2]))


def test_what_does_not_compile_is_told_in_the_compilers_words() -> None:
    with pytest.raises(CompileError, match=r"refuses the kernel: mine.cu:1:\d+: error: .*oops"):
        run('extern "C" __global__ void wrong(int n) { oops(n); }', 1, 1, np.int32(1))


def test_what_a_header_refuses_is_told_at_the_kernels_line() -> None:
    with pytest.raises(CompileError, match=r"refuses the kernel: mine.cu:2:\d+: atomicExch takes a pointer to"):
        run('extern "C" __global__ void wrong(double* x) {\n  atomicExch(x, 1.0); }', 1, 1, sum_arguments()[1])


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert find_compiler() is None
    state = backends._class_of("emulator").availability()
    assert state == (False, "no C++ compiler was found", "install g++ or clang++")


@pytest.mark.thorough
def test_many_kernels_in_one_process_leave_room_for_others() -> None:
    """Every stack is a piece of memory of its own, of which a process may have some 65,000."""
    pieces = []
    for i in range(24):
        code = f'extern "C" __global__ void fill(float* out) {{ __syncthreads(); out[threadIdx.x] = {i}; }}'
        (out,) = arrays(np.zeros(1024, np.float32))
        device.RawModule(code).get_function("fill")((1,), (1024,), (out,))
        assert (np.asarray(out) == i).all()
        pieces.append(len(Path("/proc/self/maps").read_text().splitlines()))
    assert pieces[-1] - pieces[10] < 1000


@pytest.mark.feature("memory", "static shared memory beyond 48 KB is refused")
def test_static_shared_memory_has_an_end() -> None:
    code = 'extern "C" __global__ void hold(float* x) {\n  __shared__ float big[LENGTH];\n  big[0] = x[0];\n}'
    (x,) = arrays(np.zeros(1, np.float32))
    run(code.replace("LENGTH", "12288"), 1, 1, x)
    with pytest.raises(CompileError, match=r"^mine.cu, line 2: hold declares 49156 bytes of shared memory \(big"):
        run(code.replace("LENGTH", "12289"), 1, 1, x)


def test_a_row_beyond_an_array_is_in_no_other_one() -> None:
    code = """extern "C" __global__ void f(const float* x, float* out, int by) {
  out[threadIdx.x] = x[by + threadIdx.x];
}"""
    kernel = RawModule(code, file="mine.cu").get_function("f")
    arrays = [device.array(np.zeros(128, np.float32)) for _ in range(40)]  # some of them side by side
    for x, out in zip(arrays, arrays[1:]):
        for by in (128, 192, 256):
            with checking(), pytest.raises(KernelFault, match="reading: out of bounds"):
                kernel((1,), (32,), (x, out, np.int32(by)))
