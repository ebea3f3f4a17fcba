"""Numba's products that leave out zeros are the whole products, whether images are dark everywhere or nowhere."""

import numpy as np
import pytest

from fastae.backends.numba_backend import sparse
from fastae.backends.numba_backend.kernels import K_BLOCK, ROW_BLOCK
from fastae.backends.numba_backend.sparse import BYTE, ROWS


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_products_that_leave_out_zeros_are_the_whole_products(dtype: str) -> None:
    """Of whole numbers, which are exact in any order: dark pixels everywhere, alone, in columns and in all images."""
    assert not sparse.has_zeros(np.zeros((1, 9), dtype)[:0])  # without images nothing is read
    rng = np.random.default_rng(0)
    for m, inputs, outputs in (
        (1, 9, 5),
        (3, 4, 16),
        (4, 10, 33),
        (7, 13, 33),
        (ROW_BLOCK + 6, 22, 70),
        (9, 2 * K_BLOCK + 21, 40),
    ):
        for nonzero in (0.0, 0.1, 0.5, 1.0):
            a = (rng.integers(1, 4, (m, inputs)) * (rng.random((m, inputs)) < nonzero)).astype(dtype)
            W, d = (rng.integers(-3, 4, (rows, outputs)).astype(dtype) for rows in (inputs, m))
            assert sparse.has_zeros(a) == (a[0] == 0).any()
            ks = np.full(sparse.buffer_size(inputs), -1, np.int32)
            lists, words, ends = (np.full(size, -1, np.int32) for size in (BYTE * 200, 200, 99))
            first = inputs // 3
            end = sparse.list_columns(a, m // 3, m, first, inputs, lists, 7)
            assert list(lists[7:end]) == list(first + np.flatnonzero(a[m // 3 :, first:].any(axis=0)))
            whole, bottom = min(inputs // ROWS * ROWS, BYTE), min(m, ROW_BLOCK)
            sparse.list_rows(a, 0, whole, 0, bottom, lists, words, ends, 200)
            for strip in range(whole // ROWS):
                right = np.flatnonzero(a[:bottom, strip * ROWS : (strip + 1) * ROWS].any(axis=1))
                assert list(lists[strip * 200 : ends[strip]]) == list(right)
            y = np.full((m, outputs), np.nan, dtype)
            sparse.multiply(a, W, y, ks)
            np.testing.assert_array_equal(y, a @ W)
            for beta in (0.0, 1.0, 2.0):
                out = np.full((inputs, outputs), np.nan, dtype) if beta == 0 else W.copy()
                sparse.multiply_transposed(a, d, out, -2.0, beta, ks)
                np.testing.assert_array_equal(out, -2 * a.T @ d + (beta * W if beta else 0))
