"""The operations of Numba's team in the interpreter, on NumPy's kernels: who writes what, without compiling it.

`test_waiting.py` has the barrier, `test_step.py` and `test_team.py` all of it as it runs.
"""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from whole_numbers import whole_numbers

import fastae
from fastae.backends.numba_backend import operations
from fastae.backends.numba_backend.kernels import ROW_BLOCK
from fastae.backends.numba_backend.operations import Workspace
from fastae.backends.numba_backend.sparse import buffer_size


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the operations call NumPy's kernels, and return the list of those that were called."""
    calls: list[str] = []
    k = fastae.backends.get("numpy")

    def told(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return kernel(*arguments)

        return call

    def namespace(**kernels: Callable[..., Any]) -> SimpleNamespace:
        return SimpleNamespace(**{name: told(name, kernel) for name, kernel in kernels.items()})

    def multiply_nonzeros(a: Any, W: Any, y: Any, ks: Any) -> None:
        assert ks.size >= buffer_size(a.shape[1])
        k.matmul(a, W, y)

    def multiply_transposed_nonzeros(a: Any, d: Any, out: Any, alpha: float, beta: float, ks: Any) -> None:
        assert ks.size >= buffer_size(a.shape[1])
        k.matmul(a, d, out, True, False, alpha, beta)

    def add_scaled(out: Any, p: Any, q: Any, same: Any, sums: Any, alpha: float) -> None:
        out[:] = p + alpha * q

    plain = namespace(
        multiply=lambda a, b, out, alpha, beta: k.matmul(a, b, out, False, False, alpha, beta),
        multiply_transposed=lambda a, b, out, alpha, beta: k.matmul(a, b, out, True, False, alpha, beta),
        multiply_by_transposed=lambda a, b, out, alpha, beta: k.matmul(a, b, out, False, True, alpha, beta),
        **{name: getattr(k, name) for name in ("bias_sigmoid", "sigmoid_gradient", "column_sum", "axpy")},
    )
    nonzeros = namespace(multiply_nonzeros=multiply_nonzeros, multiply_transposed_nonzeros=multiply_transposed_nonzeros)
    monkeypatch.setattr(operations, "kernels", plain)
    monkeypatch.setattr(
        operations,
        "sparse",
        SimpleNamespace(
            has_zeros=lambda a: bool((a[0] == 0).any()),
            multiply=nonzeros.multiply_nonzeros,
            multiply_transposed=nonzeros.multiply_transposed_nonzeros,
        ),
    )
    monkeypatch.setattr(operations, "ew", SimpleNamespace(ADD_SCALED=add_scaled))
    monkeypatch.setattr(operations, "add_products", operations.add_products.py_func)
    monkeypatch.setattr(operations, "jit", lambda name: lambda function: function)
    return calls


def team(workers: int, m: int, widest: int) -> list[Workspace]:
    """Make what the workers of a team have besides the model; NaN where nothing was written."""
    arrivals, partial = np.zeros(8, np.int64), np.full((2, workers, m, widest), np.nan)
    return [
        Workspace(
            place=np.array([worker, workers]),
            arrivals=arrivals,
            waiters=np.zeros((workers, 8), np.int64),
            passed=np.zeros(8, np.int64),
            partial=partial,
            nonzeros=np.full(buffer_size(widest), -1),
        )
        for worker in range(workers)
    ]


@pytest.mark.parametrize("lanes", [1, 2, 8, 16])
def test_workers_own_whole_vectors_as_evenly_as_they_go(lanes: int) -> None:
    for width in range(1, 100):
        vectors = -(-width // lanes)
        for workers in range(1, 10):
            cuts = [operations.first_unit(width, worker, workers, lanes) for worker in range(workers + 1)]
            assert cuts[0] == 0
            assert cuts[-1] == width
            assert all(cut % lanes == 0 for cut in cuts[:-1] if cut < width)
            counts = [-(-(stop - start) // lanes) for start, stop in zip(cuts, cuts[1:])]
            assert sum(counts) == vectors
            assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("m", [1, ROW_BLOCK, 2 * ROW_BLOCK + 3])
def test_forward_is_a_block_of_images_after_the_other(m: int, dark: bool, called: list[str]) -> None:
    a, W, b, y = whole_numbers(m, 6) / 8, whole_numbers(6, 9) / 8, whole_numbers(9), np.full((m, 9), np.nan)
    a[0, 2] *= not dark
    (workspace,) = team(1, m, 20)
    operations.make_forward(operations.kernels.bias_sigmoid, "sigmoid")(a, W, b, y, None, workspace)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-(a @ W + b))), rtol=1e-14)
    assert called == ["multiply_nonzeros" if dark else "multiply", "bias_sigmoid"] * -(-m // ROW_BLOCK)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_backward_adds_what_each_worker_says(workers: int, called: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    m, widths = 5, (21, 9, 17)
    meeting = threading.Barrier(workers)

    def barrier(workspace: Workspace) -> None:
        meeting.wait(20)
        workspace.passed[0] += 1

    monkeypatch.setattr(operations, "barrier", barrier)
    workspaces, d = team(workers, m, max(widths)), [whole_numbers(m, width) for width in widths]
    Ws = [whole_numbers(*shape) for shape in zip(widths, widths[1:])]
    ys = [whole_numbers(m, width) for width in widths]
    found = [np.full((m, width), np.nan) for width in widths]

    backward = operations.make_backward(operations.kernels.sigmoid_gradient, "sigmoid")

    def work(workspace: Workspace) -> None:
        def mine(width: int) -> slice:
            cuts = [operations.first_unit(width, workspace.place[0] + i, workers, 4) for i in (0, 1)]
            return slice(*cuts)

        for layer in (1, 0):  # two layers, of which the second begins while a slower worker still reads of the first
            above, below = mine(widths[layer + 1]), mine(widths[layer])
            local = operations.Local(below.start)
            backward(
                d[layer + 1][:, above],
                Ws[layer][:, above],
                ys[layer][:, below],
                found[layer][:, below],
                local,
                workspace,
            )

    threads = [threading.Thread(target=work, args=(workspace,)) for workspace in workspaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for layer in (1, 0):
        y = ys[layer]
        np.testing.assert_array_equal(found[layer], (d[layer + 1] @ Ws[layer].T) * y * (1 - y))
    if workers > 1:  # a half of the buffers for each layer
        for half, layer in ((0, 1), (1, 0)):
            assert not np.isnan(workspaces[0].partial[half, :, :, : widths[layer]]).any()
            assert np.isnan(workspaces[0].partial[half, :, :, widths[layer] :]).all()
    assert called.count("axpy") == max(0, workers - 2) * workers * 2


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_update_moves_weights_or_their_velocity(m: int, momentum: float, dark: bool, called: list[str]) -> None:
    a, d, W, b = whole_numbers(m, 6), whole_numbers(m, 9), whole_numbers(6, 9), whole_numbers(9)
    a[0, 1:3] *= not dark
    V, c = (whole_numbers(6, 9) + 0.5, whole_numbers(9) + 0.5) if momentum else (np.zeros((0, 9)), np.zeros(0))
    rate = np.array([-0.25, momentum])
    (workspace,) = team(1, m, 20)
    gradient, sums = a.T @ d, d.sum(axis=0)
    velocity, sums = (gradient + momentum * V, sums + momentum * c) if momentum else (gradient, sums)
    expected = [W + rate[0] * velocity, b + rate[0] * sums, velocity if momentum else V, sums if momentum else c]
    operations.update.py_func(a, d, W, b, V, c, rate, None, workspace)
    for array, right in zip((W, b, V, c), expected):
        np.testing.assert_array_equal(array, right)
    if m == 1 and not momentum:  # row by row, and none for a dark pixel
        assert called == ["axpy"] * (4 if dark else 6) + ["column_sum"]
    else:
        product = "multiply_transposed_nonzeros" if dark else "multiply_transposed"
        assert called == [product, *["axpy"] * bool(momentum), "column_sum"]
