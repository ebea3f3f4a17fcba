"""Wrong launches and guards, and sums that blocks share: the cause is named at other shapes and in other styles too."""

from collections.abc import Callable

import pytest
from learner_files import Write, first_problem
from sampling import sample

from fastae.check import verdict
from fastae.check.cause import launches
from fastae.check.problem import Problem

pytestmark = pytest.mark.usefixtures("patient")
First = Callable[..., Problem]

SIGMOID = "const real t = z[row * z_stride + col] + bias[col]; out[row * out_stride + col] = 1 / (1 + exp(-t));"
SCALED = "real alpha, const real* alpha_at, real beta, const real* beta_at"
HEADS = {
    "bias_sigmoid": "int m, int n, const real* z, long long z_stride, const real* bias, real* out, "
    "long long out_stride",
    "column_sum": f"int m, int n, const real* delta, long long delta_stride, real* out, {SCALED}",
    "axpy": "int m, int n, real alpha, const real* alpha_at, const real* x, long long x_stride, real* y, "
    "long long y_stride",
    "mse_loss": "int m, int n, const real* z, long long z_stride, const real* x, long long x_stride, double* out",
    "matmul": "int m, int n, int k, const real* a, long long a_stride, const real* b, long long b_stride, real* out, "
    f"long long out_stride, int trans_a, int trans_b, {SCALED}",
}
NUMBERS = "if (alpha_at) alpha = *alpha_at; if (beta_at) beta = *beta_at;"


def kernel(name: str, launch: str, body: str) -> str:
    line = f"// launch {name}: {launch}\n" if launch else ""
    return f'{line}extern "C" __global__ void {name}({HEADS[name]}) {{\n{body}\n}}\n'


def elementwise(launch: str, row: str, col: str) -> str:
    body = f"  const int row = {row}, col = {col};\n  if (row >= m || col >= n) return;\n  {SIGMOID}"
    return kernel("bias_sigmoid", launch, body)


@pytest.fixture
def first(write: Write) -> First:
    """Return a function that says what is wrong with a file."""
    return lambda text, name="mine.cu": first_problem(write(text, name), 1)


EXCHANGED = "rows and columns of threads are exchanged"
ROWS, COLUMNS = "no thread for the other rows", "no thread for the other columns"

ROW, COL = "blockIdx.y * blockDim.y + threadIdx.y", "blockIdx.x * blockDim.x + threadIdx.x"
TILES = "grid (ceil(n / 16), ceil(m / 16)), block (16, 16)"

MISLAUNCHED = {
    "exchanged in the kernel": (elementwise(TILES, COL, ROW), EXCHANGED),
    "exchanged in the launch": (elementwise("grid (ceil(m / 8), ceil(n / 32)), block (32, 8)", ROW, COL), EXCHANGED),
    "blocks alone exchanged": (
        elementwise(
            "grid (ceil(n / 8), ceil(m / 8)), block (8, 8)",
            "blockIdx.x * 8 + threadIdx.y",
            "blockIdx.y * 8 + threadIdx.x",
        ),
        EXCHANGED,
    ),
    "a block a row, as many as there are columns": (
        kernel(
            "bias_sigmoid",
            "grid (n), block (32)",
            "  const int row = blockIdx.x;\n"
            f"  if (row < m) for (int col = threadIdx.x; col < n; col += 32) {{ {SIGMOID} }}",
        ),
        EXCHANGED,
    ),
    "a block a row, of vectors too": (
        kernel(
            "axpy",
            "grid (n), block (32)",
            "  if (alpha_at) alpha = *alpha_at;\n  const int row = blockIdx.x;\n  if (row < m)\n"
            "    for (int c = threadIdx.x; c < n; c += 32) y[row * y_stride + c] += alpha * x[row * x_stride + c];",
        ),
        EXCHANGED,
    ),
    "one row of blocks": (
        elementwise("grid (ceil(m * n / 64)), block (64)", ROW, COL),
        f"the launch has one row of blocks: {ROWS}",
    ),
    "no launch line": (elementwise("", ROW, COL), f"the launch has one row of blocks: {ROWS}"),
    "one row of blocks with several rows of threads": (
        elementwise("grid (ceil(n / 16)), block (16, 4)", ROW, COL),
        f"the launch has one row of blocks: {ROWS}",
    ),
    "one column of blocks": (
        elementwise("grid (1, ceil(m / 4)), block (32, 4)", ROW, COL),
        f"the launch has one column of blocks: {COLUMNS}",
    ),
    "blocks for tiles twice as wide": (
        elementwise("grid (ceil(n / 32), ceil(m / 8)), block (16, 8)", ROW, COL),
        f"the launch has too few blocks in x: {COLUMNS}",
    ),
    "blocks for columns where all elements are numbered": (
        kernel(
            "bias_sigmoid",
            "grid (ceil(n / 64)), block (64)",
            f"  const int i = blockIdx.x * 64 + threadIdx.x, row = i / n, col = i % n;\n  if (row < m) {{ {SIGMOID} }}",
        ),
        "no thread for the last elements",
    ),
    "whole-number division in both directions": (
        elementwise("grid (n / 32, m / 4), block (32, 4)", ROW, COL),
        "the launch's m / 4 is whole-number division, which misses the last block: it starts no block where m is below "
        "4; write ceil(m / 4)",
    ),
    "one block for all columns of a sum": (
        kernel(
            "column_sum",
            "grid (1), block (64)",
            f"  {NUMBERS}\n  const int col = threadIdx.x;\n  if (col >= n) return;\n  real sum = 0;\n"
            "  for (int row = 0; row < m; ++row) sum += delta[row * delta_stride + col];\n"
            "  out[col] = beta == 0 ? alpha * sum : alpha * sum + beta * out[col];",
        ),
        "the launch has one block: no thread for the last elements",
    ),
}

GUARDED_WRONGLY = {
    "one row too early": elementwise(TILES, ROW, COL).replace("row >= m", "row >= m - 1"),
    "one column too early": elementwise(TILES, ROW, COL).replace("col >= n", "col >= n - 1"),
    "whole tiles alone": elementwise(TILES, ROW, COL).replace("col >= n", "col >= n / 16 * 16"),
    "every second column": elementwise(TILES, ROW, f"2 * ({COL})"),
}


@pytest.mark.parametrize("what", sample(MISLAUNCHED, 4))
def test_elements_that_have_no_thread_are_told_from_a_guard(what: str, first: First) -> None:
    text, cause = MISLAUNCHED[what]
    problem = first(text)
    assert problem.causes[0].startswith(cause) or problem.causes[0].endswith(cause), problem
    assert not any("guard" in told for told in problem.causes)
    assert "nothing is written" not in problem.causes


def test_a_launch_that_mostly_starts_no_block_is_the_first_cause(first: First) -> None:
    text = elementwise("grid (n / 1024, m), block (1024)", "blockIdx.y", "blockIdx.x * 1024 + threadIdx.x")
    problem = first(text)
    assert problem.causes[0].startswith("the launch's n / 1024 is whole-number division, which misses the last block")
    assert "nothing is written" not in problem.causes


@pytest.mark.parametrize("what", sample(GUARDED_WRONGLY, 4))
def test_a_wrong_guard_is_not_blamed_on_the_launch(what: str, first: First) -> None:
    problem = first(GUARDED_WRONGLY[what])
    assert not any("the launch" in told or "exchanged" in told for told in problem.causes), problem


PRODUCT = """  __shared__ real left[T][T], right[T][T];
  const int tx = threadIdx.x, ty = threadIdx.y, col = blockIdx.x * T + tx, row = blockIdx.y * T + ty;
  {numbers}
  real total = 0;
  for (int tile = 0; tile < (int){tiles}; ++tile) {{
    const int p = tile * T + tx, q = tile * T + ty;
    left[ty][tx] = row < m && p < k ? (trans_a ? a[p * a_stride + row] : a[row * a_stride + p]) : real(0);
    right[ty][tx] = col < n && q < k ? (trans_b ? b[col * b_stride + q] : b[q * b_stride + col]) : real(0);
    __syncthreads();
    for (int l = 0; l < T; ++l) total += left[ty][l] * right[l][tx];
    __syncthreads();
  }}
  if (row >= m || col >= n) return;
  real* at = out + row * out_stride + col;
  *at = beta == 0 ? alpha * total : alpha * total + beta * *at;"""

BLOCKED = """
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = a.T if trans_a else a, b.T if trans_b else b
    product = 0 * A[:, :1] @ B[:1]
    for tile in range(-(-out.shape[1] // 8)):
        at = slice(8 * tile, 8 * tile + 8)
        product += A[:, at] @ B[at]
    out[:] = alpha * product if beta == 0 else alpha * product + beta * out
"""


@pytest.mark.parametrize(
    ("tiles", "tile", "counted"),
    [
        pytest.param("gridDim.x", 16, "columns", marks=pytest.mark.thorough),
        pytest.param("gridDim.y", 8, "rows", marks=pytest.mark.thorough),
        pytest.param("(n + 7) / 8", 8, "columns", marks=pytest.mark.thorough),
        ("", 8, "columns"),
    ],
)
def test_tiles_of_the_sum_that_the_grid_counts(tiles: str, tile: int, counted: str, first: First) -> None:
    launch = f"grid (ceil(n / {tile}), ceil(m / {tile})), block ({tile}, {tile})"
    body = f"  constexpr int T = {tile};\n" + PRODUCT.format(numbers=NUMBERS, tiles=tiles)
    problem = first(kernel("matmul", launch, body)) if tiles else first(BLOCKED, "mine.py")
    assert problem.causes[0].startswith(f"the tiles of the sum, of {tile}, are counted by the {counted}"), problem


def test_a_sum_that_one_block_sets_to_0_while_others_add_to_it(first: First) -> None:
    body = f"""  {NUMBERS}
  if (blockIdx.x == 0) for (int col = threadIdx.x; col < n; col += 64) out[col] = beta == 0 ? 0 : beta * out[col];
  __syncthreads();
  const int row = blockIdx.x;
  for (int col = threadIdx.x; col < n; col += 64) atomicAdd(out + col, alpha * delta[row * delta_stride + col]);"""
    problem = first(kernel("column_sum", "grid (m), block (64)", body))
    assert "a race between two blocks, which nothing orders" in problem.causes[0]
    assert "mine.cu:7, kernel column_sum, block (1, 0, 0)" in problem.what
    assert "the other is block (0, 0, 0), thread (0, 0, 0) writing, mine.cu:4" in problem.what


SPLIT = f"""  {NUMBERS}
  const int col = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
  if (row >= m || col >= n) return;
  real* at = out + row * out_stride + col;
  if (blockIdx.z == 0) *at = beta == 0 ? real(0) : beta * *at;
  for (int p = blockIdx.z * 16; p < k && p < blockIdx.z * 16 + 16; ++p)
    atomicAdd(at, alpha * (trans_a ? a[p * a_stride + row] : a[row * a_stride + p]) *
                      (trans_b ? b[col * b_stride + p] : b[p * b_stride + col]));"""
ZEROED = {  # by one of those that add
    "slices of a product": (
        kernel("matmul", "grid (ceil(n / 16), ceil(m / 16), ceil(k / 16)), block (16, 16)", SPLIT),
        "a race between two blocks, which nothing orders",
    ),
    "threads of a block": (
        kernel(
            "mse_loss",
            "grid (m), block (32)",
            "  const int row = blockIdx.x;\n  if (threadIdx.x == 0) out[row] = 0;\n"
            "  for (int c = threadIdx.x; c < n; c += 32) {\n"
            "    const double d = double(z[row * z_stride + c]) - x[row * x_stride + c];\n"
            "    atomicAdd(out + row, d * d);\n  }",
        ),
        "a race between two threads of a block",
    ),
}


@pytest.mark.parametrize("what", sample(ZEROED, 2))
def test_what_one_sets_to_0_while_others_add_to_it(what: str, first: First) -> None:
    text, cause = ZEROED[what]
    problem = first(text)
    assert problem.causes[0].startswith(cause), problem


def test_blocks_that_all_compute_the_same(first: First) -> None:
    """The emulator reports what follows from it, a race."""
    body = "  const int i = threadIdx.x;  // blockIdx is left out\n  /* and\n  blockIdx.y */\n"
    body += "  if (alpha_at) alpha = *alpha_at;\n"
    body += "  if (i < m * n) y[i / n * y_stride + i % n] += alpha * x[i / n * x_stride + i % n];"
    found = first(kernel("axpy", "grid ceil(m * n / 256), block 256", body))
    assert found.causes[:2] == [launches.SAME_BLOCKS, "a race between two blocks, which nothing orders"]


def test_a_guard_of_columns_by_the_number_of_rows_is_not_blamed_on_the_launch(first: First) -> None:
    """There are as many rows of blocks as rows, so an exchange would end at the same column."""
    guard = "col >= n || col >= m"
    body = f"  const int row = blockIdx.y, col = blockIdx.x * 32 + threadIdx.x;\n  if ({guard}) return;\n  {SIGMOID}"
    found = first(kernel("bias_sigmoid", "grid (ceil(n / 32), m), block 32", body))
    assert found.causes[0].startswith("the columns are counted by the number of rows")


def test_shared_memory_that_is_read_too_early_may_lack_a_barrier(first: First) -> None:
    body = "  __shared__ real part[32];\n  const int row = blockIdx.y, first = blockIdx.x * 32;\n"
    body += "  const int from = 31 - threadIdx.x, col = first + threadIdx.x;\n"
    body += "  part[from] = first + from < n ? z[row * z_stride + first + from] + bias[first + from] : 0;\n"
    body += "  if (col < n) out[row * out_stride + col] = 1 / (1 + exp(-part[threadIdx.x]));"
    found = first(kernel("bias_sigmoid", "grid (ceil(n / 32), m), block 32", body))
    assert "may be: a __syncthreads() that is missing" in found.causes[1]


def test_an_odd_number_of_threads_that_is_halved(first: First) -> None:
    body = """  __shared__ double part[40];
  double sum = 0;
  for (int c = threadIdx.x; c < n; c += 40) {
    const double d = double(z[blockIdx.x * z_stride + c]) - x[blockIdx.x * x_stride + c];
    sum += d * d;
  }
  part[threadIdx.x] = sum;
  __syncthreads();
  for (int half = 20; half; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (!threadIdx.x) out[blockIdx.x] = part[0];"""
    problem = first(kernel("mse_loss", "grid (m), block (40)", body))
    assert problem.causes[0].endswith("no power of two, but a multiple of 5"), problem


def test_however_slow_a_machine_is_some_large_calls_are_made(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right for 1,000 elements, as a launch of one block is: what is left out then must not come out right."""
    for name in ("SECONDS", "MORE_SECONDS"):
        monkeypatch.setattr(verdict, name, -1.0)
    text = "def bias_relu(z, bias, out):\n    out.flat[:1000] = (z + bias).clip(0).flat[:1000]\n"
    problem = first(text, "mine.py")
    assert problem.what.endswith("left unwritten")


@pytest.mark.parametrize("noisy", [False, True])
def test_small_errors_are_those_of_a_format_only_where_they_are_irregular(noisy: bool, first: First) -> None:
    error = "(np.random.default_rng(1).random(y.shape) - 0.5) * 1e-3" if noisy else "3e-4 * y"
    text = (
        f"import numpy as np\ndef sigmoid_gradient(delta, y, out):\n    out[:] = delta * y * (1 - y) * (1 + {error})\n"
    )
    problem = first(text, "mine.py")
    assert ("float16" in problem.causes[0]) == noisy, problem
    assert problem.causes[0].startswith("may be: a small number") != noisy, problem
