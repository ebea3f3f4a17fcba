"""Comments that say how a learner's kernel is launched: read in any order, or refused with their line."""

import re
from pathlib import Path

import numpy as np
import pytest

from fastae import cli
from fastae.check.file.launch_comments import launch_of, launches_of
from fastae.errors import InputError

MSE_LOSS = """
extern "C" __global__ void mse_loss(const real* z, long long z_stride, const real* x, long long x_stride, double* out,
                                    int m, int n) {
  __shared__ double s[128];
  const int i = blockIdx.x;
  double t = 0;
  for (int j = threadIdx.x; j < n; j += 128) {
    const double d = double(z[i * z_stride + j]) - x[i * x_stride + j];
    t += d * d;
  }
  s[threadIdx.x] = t;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int q = 1; q < 128; q++) t += s[q];
    out[i] = t;
  }
}
"""
NAMED = {"z": np.zeros((3, 41), "f4"), "x": np.zeros((3, 41), "f4"), "out": np.zeros(3)}


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("// launch mse_loss: grid m, block 128", ((3,), (128,), 0)),
        ("// launch mse_loss: grid (m) block (128)", ((3,), (128,), 0)),
        ("//launch mse_loss : block = 128; grid = m.", ((3,), (128,), 0)),
        ("/* Launch mse_loss: shared 8 * n, block 16, 8, grid (n + 15) / 16, m */", ((3, 3), (16, 8), 328)),
        ("/*\n * launch mse_loss: grid (ceil(n / 16), m), block (16)\n */", ((3, 3), (16,), 0)),
        ("/// launch mse_loss grid (m), block (128)", ((3,), (128,), 0)),
        ("// launch mse_loss: grid m, block 9\n// // launch mse_loss: grid m, block 128", ((3,), (9,), 0)),
        (
            "// launch bounds: see below\n// launch the grid with 128 threads\n// launch all: 3 of them",
            ((1,), (256,), 0),
        ),
    ],
)
def test_a_launch_is_understood_as_people_write_it(comment: str, expected: tuple[object, ...]) -> None:
    assert launch_of(comment + MSE_LOSS, "mse_loss", NAMED) == expected


@pytest.mark.parametrize(
    ("comment", "line", "what"),
    [
        ("// launch mse_loss: <<<m, 128>>>", 1, "'<<<m, 128>>>' is not understood"),
        ("// launch mse_loss: grid (m), blocks (128)", 1, "'blocks (128)' is not understood"),
        ("// launch mse_loss: blocks m, threads 128", 1, "'blocks m,' is not understood"),
        ("// launch mse_loss: grid (m), block 16 x 16", 1, "'block 16 x 16' is not understood"),
        ("\n// launch mse_loss: grid (m, block (128)", 2, "'grid (m,' is not understood"),
        ("// launch mse_loss: grid (m), block (128), one for each", 1, "'block (128), one for each' is not"),
        ("// launch mse_loss: grid (m), block (128), grid (n)", 1, "'grid (n)' is not understood"),
        ("// launch mse_loss: m blocks of 128", 1, "'m' is not understood"),
        ("// launch mse_loss: grid (m)", 1, "it does not say the block"),
        ("// launch mse_loss: see below", 1, "'see below' is not understood"),
        ("/*\n * launch mse_los: grid (m), block (9) */", 2, "which the file does not define; perhaps mse_loss is"),
        ("// launch mse_los grid (m), block (128)", 1, "which the file does not define; perhaps mse_loss is meant"),
        ("// launch axpy: grid (m), block (128)", 1, "which the file does not define; it defines mse_loss; an example"),
        ("// launch: grid (m), block (128)", 1, "a launch that names no kernel; it defines mse_loss; an example"),
        (
            "// launch mse_loss: grid m, block 1\n// launch mse_loss: grid m, block 2",
            2,
            "another one than in mine.cu, l",
        ),
    ],
)
def test_a_launch_that_is_not_understood_is_refused_by_its_line(comment: str, line: int, what: str) -> None:
    with pytest.raises(InputError) as refused:
        launches_of(comment + MSE_LOSS, "mine.cu")
    assert str(refused.value).startswith(f"mine.cu, line {line}: ")
    assert what in str(refused.value)
    if "another" not in what:
        assert ": // launch m" in str(refused.value)  # an example


@pytest.mark.feature("learners' files", "launch comments: `n / 16`, `ceil`, `floor`, `min`, `max`, `%`")
@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("(n / 16, m / 16)", (2, 0)),
        ("(ceil(n / 16), (m + 15) / 16)", (3, 1)),
        ("(ceil(n / 16 / 2) * 2, floor(n / 16))", (4, 2)),
        ("(min(n, 5), max(m, n, 1), n % 7)", (5, 41, 6)),
        ("(n // 16)", (2,)),
    ],
)
def test_launches_are_reckoned_as_people_think(grid: str, expected: tuple[int, ...]) -> None:
    text = f"// launch mse_loss: grid {grid}, block (16, 16)"
    assert launch_of(text, "mse_loss", NAMED)[:2] == (expected, (16, 16))


@pytest.mark.parametrize("grid", ["(n / 0)", "(n - 100)", "(ceil(n, 2))", "(min(n))", "(n ** 2)", "(abs(n))", "()"])
def test_a_launch_that_nobody_can_reckon_is_refused(grid: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"the launch's {grid}: ")):
        launch_of(f"// launch mse_loss: grid {grid}, block (16)", "mse_loss", NAMED)


@pytest.mark.parametrize(
    ("comment", "status"), [("// launch mse_loss: grid m, block 128", 0), ("// launch mse_loss: <<<m, 128>>>", 2)]
)
def test_a_file_is_checked_with_the_launch_that_it_asks_for(
    comment: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.cu"
    path.write_text(f'#include "head.cuh"\n{comment}{MSE_LOSS}', encoding="utf-8")
    (tmp_path / "head.cuh").write_text("#pragma once\n\n\n", encoding="utf-8")
    assert cli.main(["check", str(path), "--backend", "emulator", "--no-speed", "--seed", "1"]) == status
    error = capsys.readouterr().err
    assert ("mine.cu, line 2: the launch of mse_loss: '<<<m, 128>>>' is not understood" in error) == bool(status)
    assert len(error.splitlines()) == (1 if status else 0)
