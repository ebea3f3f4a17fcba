"""Wrong kernels for images and activations: the likely cause comes first."""

import re

import pytest
from image_loops import CLEAR, LOOPS, SMALL
from learner_files import Write, first_problem, loaded, problems
from sampling import sample

from fastae.check.calls import shapes

Changes = list[tuple[str, str]]

Y, Z = "y = r * stride - padding + i", "z = c * stride - padding + j"
NUMBER, PIXEL = "number = (i * kernel + j) * channels + channel", "pixel = (y * width + z) * channels + channel"
INSIDE = "inside = 0 <= y < height and 0 <= z < width"

OF_ALL: dict[str, tuple[Changes, str]] = {  # what unfold, fold and convolve can have wrong alike
    "flipped": ([(Y, Y[:-1] + "kernel - 1 - i"), (Z, Z[:-1] + "kernel - 1 - j")], "flipped, in rows and in columns"),
    "flipped in rows": ([(Y, Y[:-1] + "kernel - 1 - i")], "flipped, in rows alone"),
    "padding on one side": (
        [(Y, "y = r * stride + i"), (Z, "z = c * stride + j")],
        "padding is on one side only, below and to the right",
    ),
    "padding on the other side": (
        [(Y, "y = r * stride - 2 * padding + i"), (Z, "z = c * stride - 2 * padding + j")],
        "padding is on one side only, above and to the left",
    ),
    "no padding for columns": ([(Z, "z = c * stride + j")], "padding is left out for columns"),
    "no stride": ([(Y, "y = r - padding + i"), (Z, "z = c - padding + j")], "the stride is ignored"),
    "no stride for rows": ([(Y, "y = r - padding + i")], "the stride is ignored for rows"),
    "stride within": (
        [(Y, "y = r - padding + i * stride"), (Z, "z = c - padding + j * stride")],
        "the stride is applied to the wrong index",
    ),
    "channels first in a patch": (
        [(NUMBER, "number = (channel * kernel + i) * kernel + j")],
        r"channels of a patch come first: \(channel, row, column\)",
    ),
    "planes": ([(PIXEL, "pixel = (channel * height + y) * width + z")], "as if its channels were planes"),
    "channels first in both": (
        [
            (NUMBER, "number = (channel * kernel + i) * kernel + j"),
            (PIXEL, "pixel = (channel * height + y) * width + z"),
        ],
        "channels come first, in the image and in patches",
    ),
    "channels in reverse": (
        [(PIXEL, "pixel = (y * width + z) * channels + channels - 1 - channel")],
        "the channels are in reverse order",
    ),
    "rows and columns of a patch": (
        [(NUMBER, "number = (j * kernel + i) * channels + channel")],
        "rows and columns of a patch are exchanged",
    ),
    "rows and columns of the image": (
        [(PIXEL, "pixel = (z * height + y) * channels + channel")],
        "rows and columns of the image are exchanged",
    ),
    "patches by columns": (
        [("(image * rows + r) * columns + c", "(image * columns + c) * rows + r")],
        "the patches follow each other column by column",
    ),
    "first row and column": (
        [(INSIDE, "inside = 0 < y < height and 0 < z < width")],
        "the border is dropped: the first row and column",
    ),
    "last row and column": (
        [(INSIDE, "inside = 0 <= y < height - 1 and 0 <= z < width - 1")],
        "the border is dropped: the last row and column",
    ),
    "whole patches only": (
        [(INSIDE, "inside = 0 <= y - i <= height - kernel and 0 <= z - j <= width - kernel")],
        "the border is dropped: patches that lie partly in the padding",
    ),
}
OF_ONE: dict[str, tuple[str, Changes, str]] = {
    "padding repeated": (
        "unfold",
        [(INSIDE, "inside = True; y, z = min(max(y, 0), height - 1), min(max(z, 0), width - 1)")],
        "filled with the nearest pixel",
    ),
    "convolve not cleared": ("convolve", [(CLEAR, "")], "it adds to the old out"),
    "products overwritten": ("convolve", [("+=", "=")], "the products are not summed"),
    "a channel lost": ("convolve", [("range(channels)", "range(channels - 1)")], "the last channel is left out"),
}
PATCHES = [
    *((name, what, changes, words) for name in LOOPS for what, (changes, words) in OF_ALL.items()),
    *((name, what, changes, words) for what, (name, changes, words) in OF_ONE.items()),
]

ELEMENTS = {
    "no square": ("tanh_gradient(delta, y, out): out[:] = delta * (1 - y)", "the square is left out"),
    "tanh of tanh": (
        "tanh_gradient(delta, y, out): out[:] = delta * (1 - np.tanh(y) ** 2)",
        "tanh is applied to y, which is a tanh already",
    ),
    "the sigmoid": ("bias_tanh(z, bias, out): out[:] = 1 / (1 + np.exp(-(z + bias)))", "it is the sigmoid"),
    "twice the sum": ("bias_tanh(z, bias, out): out[:] = np.tanh(2 * (z + bias))", r"it is tanh\(2 t\)"),
    "tanh without bias": ("bias_tanh(z, bias, out): out[:] = np.tanh(z)", "the bias is left out"),
    "cancelling tanh": (
        "bias_tanh(z, bias, out): out[:] = 1 - 2 / (1 + np.exp(2 * (z + bias)))",
        r"1 − 2 σ\(−2 t\).*digits are lost where \|t\|",
    ),
    "cut tanh": ("bias_tanh(z, bias, out): out[:] = np.tanh(np.clip(z + bias, -3, 3))", "cut off at ±3"),
    "overflowing tanh": (
        "bias_tanh(z, bias, out): t = z + bias; e = np.expm1(2 * t); out[:] = e / (e + 2)",
        r"e\^t overflows",
    ),
    "hidden by tanh": ("bias_tanh(z, bias, out): out[:] = np.nan_to_num(np.tanh(z + bias))", "hides NaN"),
    "leaky derivative": (
        "relu_gradient(delta, y, out): out[:] = np.where(y > 0, delta, 0.1 * delta)",
        "it leaks: it is 0.1",
    ),
    "multiplied by y": ("relu_gradient(delta, y, out): out[:] = delta * y", "it multiplies by y"),
    "delta is asked": ("relu_gradient(delta, y, out): out[:] = np.maximum(delta, 0)", "delta is asked whether"),
    "the wrong way round": ("relu_gradient(delta, y, out): out[:] = np.where(y > 0, 0, delta)", "wrong way round"),
    "smooth": ("bias_relu(z, bias, out): out[:] = np.logaddexp(0, z + bias)", r"log\(1 \+ e\^t\)"),
    "cut at 6": ("bias_relu(z, bias, out): out[:] = np.clip(z + bias, 0, 6)", "cut off at 6"),
    "a minimum": ("bias_relu(z, bias, out): out[:] = np.minimum(z + bias, 0)", r"it is min\(t, 0\)"),
    "bias after relu": (
        "bias_relu(z, bias, out): out[:] = np.maximum(z, 0) + bias",
        r"bias is added after max\(0, ·\)",
    ),
    "hidden by fmax": ("bias_relu(z, bias, out): out[:] = np.fmax(z + bias, 0)", "hides NaN"),
    "0 times infinity": ("bias_relu(z, bias, out): t = z + bias; out[:] = t * (t > 0)", "0 · ∞ is NaN"),
    "one array": (
        "tanh_gradient(delta, y, out): out[:] = 1 - y * y; out *= delta",
        "read after it has been overwritten",
    ),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "IMAGES", SMALL)
    monkeypatch.setattr(shapes, "MATRICES", shapes.MATRICES[:-1])


def first_cause(text: str, write: Write) -> str:
    problem = first_problem(write(f"import numpy as np\n{text}\n"), 7)
    return " ".join([*problem.causes[:1], "|", problem.what])


@pytest.mark.parametrize("case", sample(PATCHES, 16, lambda case: f"{case[0]}, {case[1]}"))
def test_the_cause_comes_first_for_patches(case: tuple[str, str, Changes, str], write: Write) -> None:
    name, _, changes, words = case
    text = LOOPS[name]
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert re.search(words, first_cause(text, write))


@pytest.mark.parametrize("what", sample(ELEMENTS, 8))
def test_the_cause_comes_first_for_activations(what: str, write: Write) -> None:
    text, words = ELEMENTS[what]
    assert re.search(words, first_cause(f"def {text}", write))


@pytest.mark.parametrize("name", LOOPS)
def test_the_loops_are_right(name: str, write: Write) -> None:
    """So that what was wrong above is the one thing that was changed."""
    path = write(LOOPS[name])
    assert loaded(path).kernels == (name,)
    assert problems(path, 7) == []
