"""The same kernel submitted twice is found, whatever its names and comments are."""

import subprocess
import sys
from pathlib import Path

import pytest
from grading import RUBRIC, Class

from fastae.grade import copies
from fastae.grade.fingerprint import kernels
from fastae.ladder import exercises
from fastae.ladder.rungs import ladder

LOOPS = """
import numpy as np

SIZE = 4

def dot(row, column):
    \"\"\"Multiply.\"\"\"
    total = 0.0
    for index in range(len(row)):
        total += row[index] * column[index]
    return total

def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    \"\"\"Say something.\"\"\"
    first = a.T if trans_a else a  # a comment
    second = b.T if trans_b else b
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            value = np.float64(alpha) * dot(first[i], second[:, j])
            if beta:
                value += beta * out[i, j] + 0 * SIZE
            out[i, j] = value
    return None
"""
RENAMED = """
import numpy
from numba import njit as compiled
THING = 4
@compiled(cache=True)
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    x = a.T if trans_a else a

    y = b.T if trans_b else b
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            # another comment
            s: float = numpy.float64(alpha) * helper(x[row], y[:, column])
            if beta:
                s += beta * out[row, column] + 0 * THING
            out[row, column] = s
    return None
def unused(): return 3
def helper(p, q):
    s = 0.0
    for k in range(len(p)):
        s += p[k] * q[k]
    return s
"""


def taken(text: str, suffix: str = ".py", name: str = "matmul") -> str:
    return kernels(text, suffix)[name].digest


def test_names_comments_and_the_order_of_functions_do_not_matter() -> None:
    assert taken(LOOPS) == taken(RENAMED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("first[i], second[:, j]", "second[i], first[:, j]"),  # another local
        ("row[index] * column[index]", "row[index] + column[index]"),  # in a function that it uses
        ("SIZE = 4", "SIZE = 5"),
        ("np.float64", "np.float32"),
        ("total = 0.0", "total = 1.0"),
        ("range(out.shape[0])", "range(out.shape[1])"),
        ("dot(first", "max(first"),
    ],
)
def test_what_is_computed_does_matter(old: str, new: str) -> None:
    assert LOOPS.count(old) == 1
    assert taken(LOOPS) != taken(LOOPS.replace(old, new))


@pytest.mark.parametrize(
    "text",
    [
        LOOPS.replace("def matmul", "def product") + "\nmatmul = product\n",
        "from numba import njit\n"
        + LOOPS.replace("def matmul", "def product")
        + "\nmatmul = njit(cache=True)(product)\n",
        LOOPS.replace("import numpy as np", "from numpy import float64").replace("np.float64", "float64"),
    ],
)
def test_other_ways_to_say_it(text: str) -> None:
    assert taken(text) == taken(LOOPS)


CUDA = """
// launch matmul: grid (ceil(n / 16), ceil(m / 16)), block (16, 16)
#define SIDE 16
__device__ real dot(const real* x, const real* y, int count) {
  real total = 0;  /* a sum */
  for (int i = 0; i < count; ++i) total += x[i] * y[i];
  return total;
}
extern "C" __global__ void matmul(int m, int n, int k, const real* a, long long a_stride, const real* b, real* out) {
  const int row = blockIdx.y * SIDE + threadIdx.y, col = blockIdx.x * SIDE + threadIdx.x;
  if (row >= m || col >= n) return;
  out[row * n + col] = dot(a + row * a_stride, b + col, k) + expf(0);
}
"""
CUDA_RENAMED = """
extern "C" {
__global__ void __launch_bounds__(256) matmul(const real* __restrict__ a, real* out, long long a_stride, int rows,
    int cols, int depth, const real* b) {
  int y = blockIdx.y * W + threadIdx.y, x = blockIdx.x * W + threadIdx.x;
  if (y >= rows || x >= cols) return;  // the guard
  out[y * cols + x] = mul(a + y * a_stride, b + x, depth) + expf(0);
}
}
#define W 16
__device__ inline real mul(const real* p, const real* q, int n) { real s = 0;
  for (int l = 0; l < n; ++l) s += p[l] * q[l];
  return s; }
"""


def test_names_and_comments_in_cuda_hide_no_copy() -> None:
    assert taken(CUDA, ".cu") == taken(CUDA_RENAMED, ".cu")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x[i] * y[i]", "x[i] + y[i]"),
        ("#define SIDE 16", "#define SIDE 32"),
        ("row >= m || col", "col >= m || row"),
        ("expf(0)", "logf(0)"),
        ("a + row * a_stride, b + col", "b + row * a_stride, a + col"),
        ("blockIdx.y * SIDE", "blockIdx.z * SIDE"),
        ("row * n + col", "row * m + col"),
    ],
)
def test_in_cuda_what_is_computed_does_matter(old: str, new: str) -> None:
    assert CUDA.count(old) == 1
    assert taken(CUDA, ".cu") != taken(CUDA.replace(old, new), ".cu")


NESTED = {
    "signs": "x = " + "-" * 100_000 + "1",
    "parentheses": "x = " + "(" * 100_000,
    "attributes": "x = a" + ".b" * 50_000,
    "calls": "x = a" + "()" * 50_000,
    "lists": "x = " + "[" * 50_000,
    "functions": "".join(f"{' ' * i}def f():\n" for i in range(90)) + " " * 90 + "pass",
    "sums": "x = " + "1+" * 50_000 + "1",
    "uses": "".join(f"def f{i}(): f{i + 1}(); f{i + 1}()\n" for i in range(300)) + "def matmul(): f0()\n",
    "chain": "".join(f"def f{i}(): f{i + 1}()\n" for i in range(3000)) + "def matmul(): f0()\n",
    "circle": "def f(): g()\ndef g(): f()\ndef matmul(): f()\n",
    "null": "def matmul(): pass\n\0",
    "nothing": "",
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("suffix", [".py", ".cu"])
def test_a_source_that_is_nested_without_end_ends_nothing(text: str, suffix: str) -> None:
    """In a process of its own, which a parser might end."""
    script = (
        "import sys\nfrom fastae.grade.fingerprint import kernels\nprint(len(kernels(sys.stdin.read(), sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, suffix], input=text, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) <= 1


def test_each_rung_is_found_in_the_library_and_beginnings_too() -> None:
    known = copies.library()
    for name in ("matmul", "conv", "sigmoid", "loss_gradient"):
        for language in ("numpy", "numba", "cuda"):
            for rung in ladder(name, language)[:-1]:
                assert rung.path is not None
                found = kernels(rung.source, rung.path.suffix)[rung.kernel]
                assert known[rung.kernel, found.digest].startswith("rung ")
    rung = ladder("matmul", "numba")[3]
    text = exercises.starter(rung)
    assert known["matmul", taken(text)] == "the beginning of the exercise matmul-numba-4"


def test_copies_are_told_apart(group: Class, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = LOOPS.replace("0 * SIZE", "1 * SIZE")
    (tmp_path / "start.py").write_text(start)
    group.rubric.write_text('start = ["start.py"]\n' + RUBRIC.replace("bce_gradient", "matmul"))
    group.hand_in("ada.py", "right matmul", LOOPS)
    group.hand_in("bert.py", "right matmul", RENAMED)
    group.hand_in("carl.py", "right matmul", start)
    group.hand_in("dora.py", "right matmul", start)
    group.hand_in("emil.py", "right matmul", ladder("matmul", "numpy")[0].source)
    group.hand_in("fred.py", "right matmul", LOOPS.replace("0 * SIZE", "2 * SIZE"))
    assert group.grade() == 0
    same = {
        name: group.student(name)["kernels"][0]["same_as"] for name in ("ada", "bert", "carl", "dora", "emil", "fred")
    }
    assert same["ada"] == {"kind": "student", "of": ["bert"], "short": False}
    assert same["bert"] == {"kind": "student", "of": ["ada"], "short": False}
    assert same["carl"] == same["dora"] == {"kind": "start", "of": ["start.py"], "short": False}
    assert same["emil"] == {"kind": "library", "of": ["rung 1 of the ladder matmul in numpy"], "short": False}
    assert same["fred"] is None
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["ada"].endswith("matmul is the same as bert's")
    assert rows["carl"].endswith("matmul is the same as the handed-out start.py")
    assert rows["emil"].endswith("matmul is the same as fastae's rung 1 of the ladder matmul in numpy")
    assert group.mark("ada", "matmul") == ("right", 4)  # it is only told
    assert "same" not in group.page("ada")


def test_copies_cost_what_the_rubric_says_and_name_nobody(group: Class) -> None:
    group.rubric.write_text("seed = 7\n[copies]\nstudent = 0.25\n[kernels.matmul]\npoints = 4\n")
    group.hand_in("ada.py", "right matmul", LOOPS)
    group.hand_in("bertram.py", "right matmul", RENAMED)
    group.grade()
    assert group.mark("ada", "matmul") == ("right", 1)
    assert "the same source as another student's: it keeps 25% of its points" in group.page("ada")
    assert "bertram" not in group.page("ada")


def test_a_short_kernel_that_is_the_same_costs_nothing(group: Class, capsys: pytest.CaptureFixture[str]) -> None:
    group.rubric.write_text("[copies]\nstudent = 0\nlibrary = 0\n[kernels.bce_gradient]\npoints = 4\n")
    for name in ("ada", "bert"):
        group.hand_in(f"{name}.py", "right bce_gradient")
    group.grade()
    assert group.mark("ada") == group.mark("bert") == ("right", 4)
    assert group.student("ada")["kernels"][0]["same_as"] == {"kind": "student", "of": ["bert"], "short": True}
    assert "too short to tell: 2" in capsys.readouterr().out


def test_ones_own_kernel_in_two_files_is_no_copy(group: Class) -> None:
    group.rubric.write_text(RUBRIC.replace("bce_gradient", "matmul"))
    group.hand_in("ada/one.py", "right matmul", LOOPS)
    group.hand_in("ada/two.py", "wrong matmul", RENAMED)
    group.grade()
    assert group.student("ada")["kernels"][0]["same_as"] is None
