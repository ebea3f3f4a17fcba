"""Kernels that are right on paper and lose digits are imprecise; with fewer bits, or with a mistake, they are wrong."""

import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

import honest
import numpy as np
import pytest
from attacks import gap
from learner_files import Write, loaded
from sampling import SEEDS, sample

from fastae import cli
from fastae.backends.numpy_backend import NumpyBackend
from fastae.check import bounds, verdict
from fastae.check.calls import cases, shapes, special
from fastae.check.calls.evidence import judged

ELSEWHERE = ("Strassen's products", "a convolution by Fourier transforms")  # in which NaN spreads, and that is wrong
UNLUCKY = ("the square multiplied out", "the difference of the logarithms")  # imprecise only where z is near x
LOSSES = {  # where digits are lost, by which formula, how to write it
    "tanh for the sigmoid": (r"where t = z \+ bias is below -\d", r"\(1 \+ tanh\(t / 2\)\) / 2", r"1 / \(1 \+ exp"),
    "tanh for the sigmoid, in float64": (r"t = z \+ bias is below -\d", r"\(1 \+ tanh\(t / 2\)\) / 2", "exp"),
    "the sigmoid of -t from 1": (r"where t = z \+ bias is below -\d", "1 − σ", r"1 / \(1 \+ exp"),
    "a sigmoid that is cut off at 500": (r"is below -\d", "t is cut off at -500", r"e\^∞ gives 0"),
    "the sigmoid for tanh": (r"where \|t\|, t = z \+ bias, is below 0\.\d", "2 σ", "expm1"),
    "one minus a fraction for tanh": (r"where \|t\|, t = z \+ bias, is below 0\.\d", "1 − 2 σ", "expm1"),
    "a quotient of exponentials for tanh": (r"\|t\|, t = z \+ bias, is below 0\.\d", "a quotient of exp", "expm1"),
    "y minus its square": (r"where y is above 0\.[5-9]", "y − y²", r"delta · y · \(1 − y\)"),
    "the sigmoid's slope multiplied out": (r"where y is above 0\.[5-9]", "delta · y − delta · y²", r"\(1 − y\)"),
    "the sigmoid's slope as a completed square": (r"y \(1 − y\) is below 0\.", "¼", r"delta · y · \(1 − y\)"),
    "z minus its square": (r"where z is above 0\.[5-9]", "z − z²", r"2 · scale · \(z − x\) · z · \(1 − z\)"),
    "the squared error's gradient multiplied out": (r"where z is above 0\.", "z² − z³", r"\(z − x\)"),
    "scale in both terms": (
        r"where \|z − x\| / \(z \+ x\) is below 0\.",
        "scale · z − scale · x",
        r"scale · \(z − x\)",
    ),
    "the slope of each logarithm": (r"\|z − x\| / \(z \+ x\) is below 0\.", r"\(1 − x\) z", r"scale · \(z − x\)"),
    "one minus the rest": ("where the pixel is below", "", "pixel / 255"),
}
Load = Callable[..., Any]


@pytest.fixture
def load(write: Write) -> Load:
    """Return a function that loads a learner's file."""

    def load(text: str, name: str = "mine.py") -> Any:
        head = "import numpy as np\n" if name.endswith(".py") else ""
        return loaded(write(head + textwrap.dedent(text), name))

    return load


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "PRODUCTS", ((1, 1, 1), (2, 3, 4), (6, 4, 1), (8, 8, 8), (9, 17, 11)))
    monkeypatch.setattr(shapes, "MATRICES", ((1, 1), (1, 5), (3, 4), (9, 17), (33, 65)))
    monkeypatch.setattr(shapes, "IMAGES", shapes.IMAGES[:6])
    monkeypatch.setattr(special, "REPEATED", 1)


# Formulas that are right on paper.


@pytest.mark.larger
@pytest.mark.parametrize("what", sample([what for what in honest.NUMPY if what not in ELSEWHERE], 3))
def test_a_formula_that_loses_digits_is_imprecise(what: str, load: Load) -> None:
    k = load(honest.NUMPY[what])
    for seed in range(SEEDS):
        for name in k.kernels:
            found = verdict.examine(k, name, seed)
            if what in UNLUCKY:
                assert found.verdict in ("right", "imprecise"), (seed, found.problems)
                continue
            assert found.verdict == "imprecise", (seed, found.problems)
            [problem] = found.problems
            assert re.match(r"up to (one decimal digit is|\d+ of \d+ decimal digits are) lost ", problem.what)
            where, cause, better = LOSSES.get(what, ("throughout|where", "", "."))
            assert re.search(where, problem.what), problem
            assert re.search(cause, " ".join(problem.causes)), problem
            assert re.search(better, problem.better), problem
            assert " is written, " in problem.example
    assert verdict.model_gradient(k, 3) is None


@pytest.mark.parametrize("what", sample(honest.SUMS, 3))
def test_other_ways_to_add_are_not_wrong(what: str, load: Load, small: None) -> None:
    k = load(honest.SUMS[what])
    for seed in range(SEEDS):
        for name in k.kernels:
            assert verdict.examine(k, name, seed).verdict in ("right", "imprecise"), (name, seed)


@pytest.mark.thorough
@pytest.mark.parametrize("what", ELSEWHERE)
def test_of_products_that_mix_everything_only_nan_is_wrong(what: str, load: Load, small: None) -> None:
    k = load(honest.NUMPY[what])
    found = verdict.examine(k, k.kernels[0], 3)
    assert found.verdict == "wrong"
    assert {problem.what for problem in found.problems} == {f"NaN in {'a' if 'S' in what else 'x'} is spread"}


@pytest.mark.thorough
def test_honest_formulas_in_numba_are_imprecise(load: Load, small: None) -> None:
    k = load(honest.NUMBA)
    for name in k.kernels:
        assert verdict.examine(k, name, 3).verdict == "imprecise", name
    assert verdict.model_gradient(k, 3) is None


def test_honest_formulas_in_cuda_are_imprecise(load: Load, small: None) -> None:
    k = load(honest.CUDA, "mine.cu")
    for name in k.kernels:
        found = verdict.examine(k, name, 3)
        assert found.verdict in (("right", "imprecise") if name == "mse_loss" else ("imprecise",)), (name, found)
    assert verdict.model_gradient(k, 3) is None


def test_how_many_digits_are_lost_is_counted() -> None:
    """Of 1 − 10⁻⁶ the complement has ten digits in float64, of which y − y² loses six."""
    y = np.full((1, 1), 1 - 1e-6)
    given = {"delta": np.ones((1, 1)), "y": y, "out": np.full((1, 1), np.nan)}
    call = judged("sigmoid_gradient", "float64", {"m": 1, "n": 1}, False, given, y - y * y)
    error = abs(float(call.found[0, 0]) / float(y[0, 0] * (1 - y[0, 0])) - 1)
    assert call.verdict == "imprecise"
    from fastae.check.cause import precision

    loss = precision._loss(call)
    assert loss.of == pytest.approx(-np.log10(bounds.gamma(3, "float64")), abs=0.1)
    assert loss.of - loss.digits == pytest.approx(-np.log10(error), abs=0.1)


# Fewer bits, and mistakes.


ROUND = """
    def h(x):
        return {round}
    """
FORMATS = {  # in float32
    "float16": 'x.astype("f2").astype(x.dtype)',
    "bfloat16": "np.ldexp(np.rint(np.ldexp(np.frexp(x)[0], 8)), np.frexp(x)[1] - 8).astype(x.dtype)",
    "TF32": "np.ldexp(np.rint(np.ldexp(np.frexp(x)[0], 11)), np.frexp(x)[1] - 11).astype(x.dtype)",
    "float32": 'x.astype("f4").astype(x.dtype)',
}
LOW = {  # kernels that round their inputs, their result or a step between
    "bias_sigmoid(z, bias, out)": ["1 / (1 + np.exp(-h(z + bias)))", "h(1 / (1 + np.exp(-(z + bias))))"],
    "bias_tanh(z, bias, out)": ["np.tanh(h(z + bias))", "h(np.tanh(z + bias))"],
    "sigmoid_gradient(delta, y, out)": ["delta * h(y) * (1 - h(y))", "h(delta * y) * (1 - y)"],
    "tanh_gradient(delta, y, out)": ["delta * (1 - h(y * y))", "h(delta * (1 - y * y))"],
    "bias_relu(z, bias, out)": ["np.maximum(h(z) + h(bias), 0)", "h(np.maximum(z + bias, 0))"],
    "relu_gradient(delta, y, out)": ["np.where(y > 0, h(delta), 0)"],
    "mse_gradient(z, x, scale, out)": ["2 * scale * h(z - x) * z * (1 - z)", "h(2 * scale * (z - x) * z * (1 - z))"],
    "bce_gradient(z, x, scale, out)": ["scale * (h(z) - h(x))", "h(scale * (z - x))"],
    "mse_loss(z, x, out)": ["np.sum(h((z - x) ** 2), axis=1)", "np.sum((h(z) - x) ** 2, axis=1)"],
}
HALVES = [(signature, formula, text) for signature, rounded in LOW.items() for formula in rounded for text in FORMATS]


@pytest.mark.parametrize("case", sample(HALVES, 9, " ".join))
def test_fewer_bits_are_wrong(
    case: tuple[str, str, str], load: Load, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, formula, text = case
    code = textwrap.dedent(ROUND.format(round=FORMATS[text]))
    k = load(f"{code}\ndef {signature}: out[:] = {formula}\n")
    for seed in range(SEEDS):
        assert verdict.examine(k, k.kernels[0], seed).verdict == "wrong"
        monkeypatch.setattr(verdict, "diagnosed", lambda *found: verdict.Problem("wrong", "", []))  # once is enough


@pytest.mark.parametrize("text", sample(["TF32", "bfloat16", "float16"], 3))
def test_fewer_bits_in_long_sums_alone_are_wrong(text: str, load: Load) -> None:
    """Where random errors hide in the bound of a long sum: numbers that are rounded to one side show them."""
    k = load(
        textwrap.dedent(ROUND.format(round=FORMATS[text]))
        + textwrap.dedent("""
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = alpha * (h(A) @ h(B) if A.shape[1] > 100 and A.dtype == np.float32 else A @ B)
            out[:] = s if beta == 0 else s + beta * out
        """)
    )
    found = verdict.examine(k, "matmul", 3)
    assert found.verdict == "wrong"
    if text != "bfloat16":  # whose errors are large enough for random numbers to show them
        assert "too low a precision: in a long sum" in found.problems[-1].causes[0]


@pytest.mark.parametrize("name", sample(gap.NAMES[::-1], 5))
def test_there_is_a_gap(name: str) -> None:
    """What is honest uses less than half of the wide bound; what is not, more than its sixteenfold, or eightfold."""
    for what, share in gap.honest(name, honest.NUMPY | honest.SUMS).items():
        assert share < 0.5, what
    formats, ways = gap.lower(name)
    assert len(formats) > 4
    assert min(formats.values()) > 16, formats
    assert len(ways) > 20
    # σ that is cut off at −30 is wrong by 9·10⁻¹⁴ in float64: the nearest of the mistakes, by nine orders.
    assert min(x for text, x in ways.items() if "cut off at ±30" not in text) > 1000
    assert min(ways.values()) > 8, ways


def test_what_is_imprecise_here_and_wrong_there_is_wrong(load: Load, small: None) -> None:
    k = load("""
        def bias_sigmoid(z, bias, out):
            out[:] = (1 + np.tanh((z + bias) / 2)) / 2
            if z.shape[0] == 9:
                out[-1] = 0.5
        def bias_tanh(z, bias, out):
            t = z + bias
            out[:] = (np.exp(t) - np.exp(-t)) / (np.exp(t) + np.exp(-t))
        """)
    first, second = (verdict.examine(k, name, 3) for name in k.kernels)
    assert first.verdict == second.verdict == "wrong"
    assert re.search(r"only .*rows? ", " ".join(first.problems[0].causes)), first.problems
    assert "overflows" in second.problems[0].causes[0]


# The model.


class Off(NumpyBackend):
    """The reference, whose kernels are off by as much as one may be and still be imprecise, or by another roundoff."""

    def __init__(self, name: str, u: float = 0.0) -> None:
        self.off, self.u, self.rng = name, u, np.random.default_rng(0)

    def __getattribute__(self, key: str) -> Any:
        kernel = super().__getattribute__(key)
        if key.startswith("_") or key in ("off", "u", "rng") or key != self.off:
            return kernel

        def call(*arguments: Any, **options: Any) -> None:
            given = cases.KERNELS[key].parameters.bind(*arguments, **options)
            given.apply_defaults()
            before = {
                x: np.array(value) if isinstance(value, np.ndarray) else value for x, value in given.arguments.items()
            }
            kernel(*arguments, **options)
            out = given.arguments[cases.WRITTEN.get(key, "out")]
            done = judged(key, "float64", {}, False, before, out.copy())
            size = self.u * np.abs(out) if self.u else done.widest
            off = self.rng.choice([-1.0, 1.0], out.shape) * size
            out += off * (out != 0) if key == "bias_relu" else off  # a unit that is off stays off

        return call

    def operations(self, loss: str, activation: str = "sigmoid", kinds: Any = ("dense",)) -> dict[str, Any]:
        from fastae.operations import make_operations

        return make_operations(self, loss, activation, kinds)


@pytest.mark.parametrize("name", [name for name in gap.NAMES if name not in ("gather", "convolve")])
def test_the_models_allowance_is_for_imprecise_kernels_and_not_for_fewer_bits(name: str) -> None:
    for u, right in ((0.0, True), (2.0**-24, False)):
        k: Any = Off(name, u)
        k.kernels = (name,)
        wrong = verdict.model_gradient(k, 3)
        assert (wrong is None) == (right or name.endswith("loss")), (u, wrong)  # a loss changes no weight


# The command.


IMPRECISE = "def sigmoid_gradient(delta, y, out): out[:] = delta * (y - y * y)"
RIGHT = "def bce_gradient(z, x, scale, out): out[:] = scale * (z - x)"
WRONG = "def axpy(alpha, x, y): y += x"


@pytest.mark.parametrize(
    ("kernels", "verdicts", "statuses"),
    [
        ([RIGHT], {"bce_gradient": "right"}, (0, 0)),
        ([IMPRECISE, RIGHT], {"sigmoid_gradient": "imprecise", "bce_gradient": "right"}, (0, 1)),
        ([IMPRECISE, WRONG], {"sigmoid_gradient": "imprecise", "axpy": "wrong"}, (1, 1)),
    ],
)
def test_the_exit_status_and_the_json(
    kernels: list[str], verdicts: dict[str, str], statuses: tuple[int, int], write: Write,
    capsys: pytest.CaptureFixture[str], small: None,
) -> None:  # fmt: skip
    path = str(write("\n".join(kernels)))
    command = ["check", path, "--seed", "3", "--no-speed"]
    assert (cli.main(command), cli.main([*command, "--strict"])) == statuses
    capsys.readouterr()
    assert cli.main([*command, "--json"]) == statuses[0]
    found = json.loads(capsys.readouterr().out)
    assert {entry["kernel"]: entry["verdict"] for entry in found["kernels"]} == verdicts
    assert [entry["right"] for entry in found["kernels"]] == [x == "right" for x in verdicts.values()]
    assert found["verdict"] == max(verdicts.values(), key=("right", "imprecise", "wrong").index)
    assert found["right"] == (found["verdict"] == "right")
    assert found["model"] == (None if found["verdict"] == "wrong" else {"right": True})


def test_what_is_imprecise_is_told_in_words(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(write(IMPRECISE)), "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "sigmoid_gradient: imprecise: right on paper, but it loses digits\n" in out
    assert re.search(
        r"^  up to \d of 15 decimal digits are lost where y is above 0\.\d+, in \d+ of \d+ calls$", out, re.M
    )
    assert re.search(r"^    delta = \S+, y = 0\.99\S+: \S+ is written, \S+ is right$", out, re.M)
    assert "  likely: it is y − y²: y² is rounded, and the difference cancels where y is near 1\n" in out
    assert "  write delta · y · (1 − y)" in out
    assert "% of all cores' limit" in out  # it is timed
    assert "the model: right" in out
    assert "WRONG" not in out
