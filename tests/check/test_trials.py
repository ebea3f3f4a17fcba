"""What small files of other people's got wrong: the right outcome of each kind, at other shapes and in other styles."""

import codecs
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import posix
from conftest import sample

from fastae import cli
from fastae.check import learner, pictures, verdict
from fastae.check.calls import shapes
from fastae.check.file.reading import read_source
from fastae.check.problem import Problem
from fastae.errors import InputError

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


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try every shape, on a machine that is busy too."""
    for name in ("SECONDS", "MORE_SECONDS"):
        monkeypatch.setattr(verdict, name, 1e9)


def first_problem(path: Path, text: str, seed: int = 1) -> Problem:
    path.write_text(text, encoding="utf-8")
    k: Any = learner.load(path, "emulator" if path.suffix == ".cu" else "auto")
    (name,) = k.kernels
    found = verdict.examine(k, name, seed).problems
    assert found, "it is called right"
    return found[0]


# Launches.

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
def test_elements_that_have_no_thread_are_told_from_a_guard(what: str, tmp_path: Path) -> None:
    text, cause = MISLAUNCHED[what]
    problem = first_problem(tmp_path / "mine.cu", text)
    assert problem.causes[0].startswith(cause) or problem.causes[0].endswith(cause), problem
    assert not any("guard" in told for told in problem.causes)
    assert "nothing is written" not in problem.causes


def test_a_launch_that_mostly_starts_no_block_is_the_first_cause(tmp_path: Path) -> None:
    text = elementwise("grid (n / 1024, m), block (1024)", "blockIdx.y", "blockIdx.x * 1024 + threadIdx.x")
    problem = first_problem(tmp_path / "mine.cu", text)
    assert problem.causes[0].startswith("the launch's n / 1024 is whole-number division, which misses the last block")
    assert "nothing is written" not in problem.causes


@pytest.mark.parametrize("what", sample(GUARDED_WRONGLY, 4))
def test_a_wrong_guard_is_not_blamed_on_the_launch(what: str, tmp_path: Path) -> None:
    problem = first_problem(tmp_path / "mine.cu", GUARDED_WRONGLY[what])
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
def test_tiles_of_the_sum_that_the_grid_counts(tiles: str, tile: int, counted: str, tmp_path: Path) -> None:
    launch = f"grid (ceil(n / {tile}), ceil(m / {tile})), block ({tile}, {tile})"
    body = f"  constexpr int T = {tile};\n" + PRODUCT.format(numbers=NUMBERS, tiles=tiles)
    path, text = tmp_path / "mine.cu", kernel("matmul", launch, body)
    problem = first_problem(path, text) if tiles else first_problem(tmp_path / "mine.py", BLOCKED)
    assert problem.causes[0].startswith(f"the tiles of the sum, of {tile}, are counted by the {counted}"), problem


def test_a_sum_that_one_block_sets_to_0_while_others_add_to_it(tmp_path: Path) -> None:
    body = f"""  {NUMBERS}
  if (blockIdx.x == 0) for (int col = threadIdx.x; col < n; col += 64) out[col] = beta == 0 ? 0 : beta * out[col];
  __syncthreads();
  const int row = blockIdx.x;
  for (int col = threadIdx.x; col < n; col += 64) atomicAdd(out + col, alpha * delta[row * delta_stride + col]);"""
    problem = first_problem(tmp_path / "mine.cu", kernel("column_sum", "grid (m), block (64)", body))
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
def test_what_one_sets_to_0_while_others_add_to_it(what: str, tmp_path: Path) -> None:
    text, cause = ZEROED[what]
    problem = first_problem(tmp_path / "mine.cu", text)
    assert problem.causes[0].startswith(cause), problem


def test_an_odd_number_of_threads_that_is_halved(tmp_path: Path) -> None:
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
    problem = first_problem(tmp_path / "mine.cu", kernel("mse_loss", "grid (m), block (40)", body))
    assert problem.causes[0].endswith("no power of two, but a multiple of 5"), problem


def test_however_slow_a_machine_is_some_large_calls_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right for 1,000 elements, as a launch of one block is: what is left out then must not come out right."""
    for name in ("SECONDS", "MORE_SECONDS"):
        monkeypatch.setattr(verdict, name, -1.0)
    text = "def bias_relu(z, bias, out):\n    out.flat[:1000] = (z + bias).clip(0).flat[:1000]\n"
    problem = first_problem(tmp_path / "mine.py", text)
    assert problem.what.endswith("left unwritten")


@pytest.mark.parametrize("noisy", [False, True])
def test_small_errors_are_those_of_a_format_only_where_they_are_irregular(noisy: bool, tmp_path: Path) -> None:
    error = "(np.random.default_rng(1).random(y.shape) - 0.5) * 1e-3" if noisy else "3e-4 * y"
    text = (
        f"import numpy as np\ndef sigmoid_gradient(delta, y, out):\n    out[:] = delta * y * (1 - y) * (1 + {error})\n"
    )
    problem = first_problem(tmp_path / "mine.py", text)
    assert ("float16" in problem.causes[0]) == noisy, problem
    assert problem.causes[0].startswith("may be: a small number") != noisy, problem


# How a file is saved.

PLAIN = "def axpy(alpha, x, y):\n    y += alpha * x  # dérivée\n"
CUDA = """// launch axpy: grid (ceil(m * n / 64)), block (64)
// dérivée
extern "C" __global__ void axpy(int m, int n, real alpha, const real* alpha_at, const real* x, long long x_stride,
                                real* y, long long y_stride) {
  if (alpha_at) alpha = *alpha_at;
  const int i = blockIdx.x * 64 + threadIdx.x, row = i / n, col = i % n;
  if (row < m) y[row * y_stride + col] += alpha * x[row * x_stride + col];
}
"""
LATIN = "# -*- coding: latin-1 -*-\n"
SAVED = {
    "UTF-8": (".py", PLAIN.encode()),
    "a byte order mark": (".py", codecs.BOM_UTF8 + PLAIN.encode()),
    "CRLF": (".py", PLAIN.replace("\n", "\r\n").encode()),
    "a coding line": (".py", (LATIN + PLAIN).encode("latin-1")),
    "a coding line below another": (".py", ("#!/usr/bin/python\r\n" + LATIN + PLAIN).encode("latin-1")),
    "a mark and a coding line that agree": (".py", codecs.BOM_UTF8 + b"# coding: utf-8\n" + PLAIN.encode()),
    "CUDA with a mark": (".cu", codecs.BOM_UTF8 + CUDA.encode()),
    "CUDA with CRLF and a mark": (".cu", codecs.BOM_UTF8 + CUDA.replace("\n", "\r\n").encode()),
    "CUDA in Latin-1": (".cu", CUDA.encode("latin-1")),
}
UNREADABLE = {
    "UTF-16": (".py", PLAIN.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    "big-endian UTF-16": (".py", codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "it is UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (".py", PLAIN.encode("utf-16-le"), "line 1 has a null byte, as UTF-16"),
    "UTF-32": (".py", PLAIN.encode("utf-32"), "it is UTF-32; save it as UTF-8"),
    "a null byte": (".py", PLAIN.encode() + b"# \0\n", "line 3 has a null byte"),
    "Latin-1 without a coding line": (".py", PLAIN.encode("latin-1"), "line 2 is not UTF-8; save it as UTF-8"),
    "a coding that is not kept": (".py", b"# coding: utf-8\n" + PLAIN.encode("latin-1"), "line 3 is not UTF-8"),
    "an unknown coding": (".py", b"# coding: latin-99\n" + PLAIN.encode(), "unknown encoding: latin-99; leave out"),
    "a mark and another coding": (".py", codecs.BOM_UTF8 + (LATIN + PLAIN).encode(), "leave out the coding line"),
    "CUDA in UTF-16": (".cu", CUDA.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    "CUDA with a null byte": (".cu", CUDA.encode() + b"\0", "line 9 has a null byte"),
    "another suffix": (".png", b"\x89PNG\0", "kernels are in a .py or a .cu file"),
}  # fmt: skip


@pytest.mark.parametrize("how", SAVED)
def test_a_file_is_read_as_python_and_compilers_read_it(how: str, tmp_path: Path) -> None:
    suffix, content = SAVED[how]
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    text = read_source(path)
    assert "dérivée" in text
    assert "\ufeff" not in text
    assert "\r" not in text
    k: Any = learner.load(path, "emulator" if suffix == ".cu" else "auto")
    assert k.kernels == ("axpy",)
    y = k.asarray(np.ones(3))
    k.axpy(2.0, k.asarray(np.arange(3.0)), y)
    assert k.to_host(y).tolist() == [1, 3, 5]


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_file_that_is_no_text_is_refused_in_one_line(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix, content, words = UNREADABLE[how]
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        learner.load(path)
    assert cli.main(["check", str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert str(path) in error
    assert error.count("\n") == 1


# Where it runs.


def fastae(*arguments: object, cwd: Path, shell: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command as a shell does, with redirections behind it."""
    command = [sys.executable, "-m", "fastae", *map(str, arguments)]
    kept = {key: x for key, x in os.environ.items() if key != "PYTHONUNBUFFERED"}
    paths = os.pathsep.join([str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    if shell:
        command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *command]
    return subprocess.run(
        command, capture_output=True, cwd=cwd, env=kept | {"PYTHONPATH": paths} | environment, timeout=300
    )


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@posix
@pytest.mark.parametrize(
    ("name", "oops"), [("mine.cu", ""), ("mine.cu", "ø"), pytest.param("σ.cu", "", marks=pytest.mark.thorough)]
)
def test_an_ascii_locale_changes_nothing(name: str, oops: str, tmp_path: Path) -> None:
    """What is compiled is written anew, in UTF-8; what a compiler quotes is read so too."""
    (tmp_path / name).write_text(CUDA.replace("if (row < m)", f"if (row < m{oops}) /* σ */"), encoding="utf-8")
    options = ["--no-speed", "--json", "--seed", 1, "--backend", "emulator"]
    done = fastae("check", *options, name, cwd=tmp_path, **ASCII, XDG_CACHE_HOME=str(tmp_path / "cache"))
    if oops:
        assert done.returncode in (1, 2)
        assert b"Unicode" not in done.stdout + done.stderr
        assert b"mine.cu:7:" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["right"]


@posix
@pytest.mark.parametrize("arguments", [("check", "--gallery"), ("train", "--help")], ids=" ".join)
def test_what_a_pipe_cannot_hold_is_replaced(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = fastae(*arguments, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


@posix
@pytest.mark.parametrize(
    "arguments",
    [("exercise", "list"), ("check", "--gallery"), ("--help",), ("check", "wrong.py", "--seed", "1"), ("nonsense",),
     pytest.param(("doctor",), marks=pytest.mark.thorough)],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...], unbuffered: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def axpy(alpha, x, y): y[:] = alpha * x\n")
    for reader in ("| head -1", "2>&1 | true"):
        done = fastae(*arguments, cwd=tmp_path, shell=reader, PYTHONUNBUFFERED=unbuffered)
        assert b"pipe" not in done.stdout.lower() + done.stderr.lower()
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr
        assert done.returncode in (0, 1, 2, 141)  # the reader may have gone only after the end


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_closed_streams_hinder_no_command(closed: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def axpy(alpha, x, y): y[:] = alpha * x\n")
    options = ["--backend", "numpy", "--limit", 32, "--epochs", 1, "--out", "out"]
    trained = fastae("train", "--data", data, *options, cwd=tmp_path, shell=closed)
    assert (trained.returncode, trained.stderr) == (0, b"")
    assert {"model.npz", "history.json", "loss.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    for arguments, status in ((("check", "wrong.py"), 1), (("exercise", "list"), 0), (("nonsense",), 2)):
        done = fastae(*arguments, cwd=tmp_path, shell=closed)
        assert done.returncode == status, (arguments, done.stderr)
        assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
@pytest.mark.parametrize("arguments", [("exercise", "list"), ("bench", "--help")], ids=" ".join)
def test_a_full_disk_is_told_once(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = fastae(*arguments, cwd=tmp_path, shell="> /dev/full")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"fastae: the system refuses: " in done.stderr


@posix
@pytest.mark.parametrize("environment", [{"MPLBACKEND": "nonsense"}, {"HOME": "/dev/null"}], ids=str)
def test_pictures_are_drawn_whatever_matplotlib_finds(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    options = ["--backend", "numpy", "--limit", 32, "--epochs", 1, "--no-progress", "--out", "out"]
    done = fastae("train", "--data", data, *options, cwd=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "reconstructions.png").exists()


@posix
def test_our_pictures_leave_the_backend_to_others(tmp_path: Path) -> None:
    code = "import os, fastae.figures, matplotlib as m; print(os.environ['MPLBACKEND'], m.rcParams['backend'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "svg"}
    )
    assert done.stdout.split() == ["svg", "svg"], done.stderr


# Pictures of errors.


@pytest.mark.parametrize(
    "share",
    [
        np.array([[0.5, 1e300], [2.0, 1.7e308]]),
        np.array([[1e308]]),
        np.array([1.0000001, 0.0]),
        np.full((3, 4), np.inf),
        np.full((2, 2), np.nan),
        np.array([[np.nan, np.inf, 5e-324, 1e21, 1.5]]),
        np.zeros((2, 3)),
    ],
    ids=["huge", "one huge", "just wrong", "infinite", "NaN only", "everything", "all right"],
)
def test_errors_of_any_size_are_drawn(share: np.ndarray, tmp_path: Path) -> None:
    problem = Problem("some elements are wrong", "m=2, n=2", ["a cause"], share > 1, share)
    pictures.draw(tmp_path / "errors.png", "axpy", problem)
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_an_error_beside_a_tiny_bound_is_not_infinite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """σ of a σ where the slope is next to 0: the error is 10^300 bounds and more, and drawn as an error."""
    text = """import numpy as np
def sigmoid(t): return 1 / (1 + np.exp(-t))
def sigmoid_gradient(delta, y, out): out[:] = 1e3 * delta * sigmoid(y) * (1 - sigmoid(y))
"""
    monkeypatch.setattr(shapes, "DTYPES", ("float64",))
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    problems = verdict.examine(learner.load(tmp_path / "mine.py", "auto"), "sigmoid_gradient", 1).problems
    problem = max((p for p in problems if p.share is not None), key=lambda p: p.share.max())
    assert problem.share is not None
    assert np.isfinite(problem.share).all()
    assert problem.share.max() > 1e300
    pictures.draw(tmp_path / "errors.png", "sigmoid_gradient", problem)


@posix
def test_the_doctor_tells_of_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fastae import doctor

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    told = doctor.cache()
    assert "/dev/null/.cache/fastae cannot be written: Not a directory" in told
    assert told.endswith("mend: set HOME or XDG_CACHE_HOME to a folder that can be written")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    assert doctor.cache().endswith("mend: set XDG_CACHE_HOME to a folder that can be written")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doctor.cache() == ""
