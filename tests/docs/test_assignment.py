"""`examples/assignment.py`: one run does the handout's four tasks, and what it leaves is recomputed here."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import fastae
from fastae import figures
from fastae.commands.network import MODELS
from fastae.errors import InputError
from fastae.figures import CELL, GAP, MARGIN
from fastae.rates import RATES
from fastae.terminal import one_of_each

pytestmark = pytest.mark.thorough

SCRIPT = Path(__file__).parents[2] / "examples" / "assignment.py"
LIMIT, EPOCHS = 320, 2
BACKENDS = ["numpy", "numba"]
PAGES = ["reconstructions", "updates", "progress-mse", "progress-bce", "weights", "loss-mse", "loss-bce"]
PAGES += ["networks", "kernels", "features"]
FILES = [f"{name}.png" for name in PAGES] + [
    f"model-{name}.npz" for name in ("untrained", "mse", "bce", "dense", "conv")
]
FILES += ["numbers.json", "report.md"]
TITLES = {
    "mean": "the mean image",
    "pca": "PCA, 128 components",
    "untrained": "untrained network",
    "mse-updates": "squared error, 20 updates",
    "bce-updates": "cross-entropy, 20 updates",
    "mse": "squared error, 2 epochs",
    "bce": "cross-entropy, 2 epochs",
    "dense": "dense network, by a cosine",
    "conv": "convolutional network, by a cosine",
}
LEARNING_RATES = RATES["dense"]["sigmoid"]
ERROR = 2 / 255  # of a grey level that went through a colour map of 256 bytes


@pytest.fixture(scope="module")
def assignment():
    sys.path.insert(0, str(SCRIPT.parent))  # as Python does for a script, which imports another file beside it
    spec = importlib.util.spec_from_file_location("assignment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module", params=BACKENDS)
def run(request, tmp_path_factory):
    """A short run on each backend: its folder, its numbers and what it printed."""
    out = tmp_path_factory.mktemp("assignment") / request.param / "new"
    command = [sys.executable, "-W", "error", SCRIPT, "--backend", request.param, "--out", out, "--no-progress"]
    command += ["--limit", str(LIMIT), "--epochs", str(EPOCHS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.splitlines()) <= {"compiling for this machine; the next start will find it"}
    return out, json.loads((out / "numbers.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def mnist():
    images, (test_images, labels) = fastae.load_dataset()[0], fastae.load_dataset(None, "test")
    return images[:LIMIT], test_images[:LIMIT], one_of_each(labels[:LIMIT])


def cell(page, rows, columns, row, column):
    """Cut one image out of a page whose grid of rows by columns reaches the lower right margins."""
    y = page.shape[0] - MARGIN - (rows - row) * (CELL + GAP) + GAP
    x = page.shape[1] - MARGIN - (columns - column) * (CELL + GAP) + GAP
    return page[y : y + CELL, x : x + CELL, 0]


def assert_rows(path, rows):
    """The page shows these rows of ten images each, and no other."""
    page = imread(path)
    for r, images in enumerate(rows):
        for c, image in enumerate(images):
            expected = np.kron(np.reshape(image, (28, 28)), np.ones((3, 3)))
            np.testing.assert_allclose(cell(page, len(rows), 10, r, c), expected, atol=ERROR)
    first = page.shape[0] - MARGIN - len(rows) * (CELL + GAP) + GAP
    assert (page[first - 2 * GAP + 2 : first, -CELL:] == 1).all()  # above the first row is more than a gap


# What a run leaves


def test_every_file_is_there_and_every_figure_a_png(run):
    out, _, printed = run
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    for name in PAGES:
        page = imread(out / f"{name}.png", "png")
        assert min(page.shape[:2]) > 200
        assert page.std() > 0.05
    assert str(out / "report.md") in printed


def test_errors_are_those_of_the_saved_models(run, mnist):
    out, numbers, _ = run
    x = mnist[1] / 255
    for name in ("untrained", "mse", "bce", "dense", "conv"):
        z = fastae.Autoencoder.load(out / f"model-{name}.npz").reconstruct(mnist[1]).astype(float)
        assert numbers["test"][name]["mse"] == pytest.approx(np.mean((z - x) ** 2), rel=1e-5)
        ce = -(x * np.log(z) + (1 - x) * np.log1p(-z)).sum() / len(x)
        assert numbers["test"][name]["cross_entropy"] == pytest.approx(ce, rel=1e-5)
    for loss in ("mse", "bce", "dense", "conv"):
        history = numbers["history"][loss]
        assert [epoch["epoch"] for epoch in history] == [1, 2]
        assert numbers["test"][loss]["mse"] == pytest.approx(history[-1]["test_mse"], rel=1e-5)
        assert history[-1]["test_mse"] < history[0]["test_mse"] < numbers["test"]["untrained"]["mse"]


def test_mean_image_and_pca_are_those_of_the_training_images(run, mnist):
    _, numbers, _ = run
    images, test_images = mnist[0] / 255, mnist[1] / 255
    mean = images.mean(axis=0)
    assert numbers["test"]["mean"]["mse"] == pytest.approx(np.mean((test_images - mean) ** 2), rel=1e-9)
    V = np.linalg.svd(images - mean, full_matrices=False)[2][:128].T
    z = mean + (test_images - mean) @ V @ V.T
    assert numbers["test"]["pca"]["mse"] == pytest.approx(np.mean((test_images - z) ** 2), rel=1e-7)
    assert "cross_entropy" not in numbers["test"]["pca"]


def test_20_updates_by_hand_are_what_fastae_makes_of_them(run):
    _, numbers, _ = run
    assert max(numbers["agreement"].values()) < 1e-5
    for loss in ("mse", "bce"):  # 320 images in batches of 16: the first epoch is 20 updates
        by_hand, by_fastae = numbers["test"][f"{loss}-updates"]["mse"], numbers["history"][loss][0]["test_mse"]
        assert by_hand == pytest.approx(by_fastae, rel=1e-5)


def test_both_networks_are_those_of_the_command_and_stand_side_by_side(run, assignment, mnist):
    out, numbers, _ = run
    for kind, activation in (("dense", "sigmoid"), ("conv", "tanh")):
        assert assignment.RATE_BY_COSINE[kind] == RATES[kind][activation]["mse"]
        model = fastae.Autoencoder.load(out / f"model-{kind}.npz")
        assert model.activation == activation == MODELS[kind].activation
        assert model.sizes[-1] == 128
        lr = [epoch["lr"] for epoch in numbers["history"][kind]]
        assert lr == pytest.approx([assignment.RATE_BY_COSINE[kind], assignment.RATE_BY_COSINE[kind] / 2])
    assert numbers["networks"] == {
        "dense": {"parameters": 468_368, "multiplications": 466_944},
        "conv": {"parameters": 412_673, "multiplications": 909_440},
    }
    report = (out / "report.md").read_text()
    mse = numbers["test"]["conv"]["mse"]
    assert f"| convolutional network, by a cosine | 412,673 | 909,440 | {mse:.5f} | " in report


@pytest.mark.parametrize("shape", [(28, 28), (7, 9), (5, 4)])
def test_the_convolutional_network_by_hand_is_fastaes(assignment, shape):
    layers = [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)]
    model = fastae.Autoencoder(layers=layers, activation="tanh", image_shape=shape, dtype="float64", seed=2)
    x = np.random.default_rng(0).random((3, shape[0] * shape[1]))
    codes = assignment.conv_encode(x, model.weights, model.biases, shape)
    np.testing.assert_allclose(codes, model.encode(x), rtol=0, atol=1e-13)
    drawn = assignment.conv_decode(codes, model.weights, model.biases, shape)
    np.testing.assert_allclose(drawn, model.reconstruct(x), rtol=0, atol=1e-13)


def test_the_weights_of_dark_pixels_have_not_moved(run, mnist):
    out, numbers, _ = run
    before, after = (fastae.Autoencoder.load(out / f"model-{name}.npz").weights[0] for name in ("untrained", "bce"))
    dark = mnist[0].max(axis=0) == 0
    assert (before[dark] == after[dark]).all()
    assert numbers["dark_pixels"] == dark.sum() <= numbers["unmoved_pixels"]


def test_the_report_has_the_numbers(run):
    out, numbers, printed = run
    report = (out / "report.md").read_text()
    for key, title in TITLES.items():
        errors = numbers["test"][key]
        ce = f"{errors['cross_entropy']:.2f}" if key != "pca" else "–"
        assert f"| {title} | {errors['mse']:.5f} | {ce} |" in report
        assert f"{title}: test error {errors['mse']:.4f} a pixel" in printed
    assert set(numbers["test"]) == set(TITLES)
    assert f"backend {numbers['backend']}" in report
    assert all(f"**{name}" in report or f" {name}.png" in report for name in PAGES)
    assert max(len(line) for line in report.splitlines()) <= 110
    for name, shape, sigma in [("W¹", (784, 256), 0.1754), ("b¹", (256,), 0.1), ("W²′", (256, 784), 0.1754)]:
        assert f"| {name} | {shape} | {sigma:.4f} | " in report
    assert "nan" not in report
    assert "{" not in report


def test_the_figures_show_the_models(run, mnist):
    out, _, _ = run
    images, digits = mnist[0], mnist[1][mnist[2]]
    untrained, mse, bce = (
        fastae.Autoencoder.load(out / f"model-{name}.npz").reconstruct(digits) for name in ("untrained", "mse", "bce")
    )
    assert_rows(out / "reconstructions.png", [digits / 255, mse, bce])
    updates = {}
    for loss, last in (("mse", mse), ("bce", bce)):
        model = fastae.Autoencoder()
        lr = LEARNING_RATES[loss]
        fastae.Trainer(model, loss, fastae.SGD(lr), "numpy").fit(images, 1, progress=False)
        updates[loss] = model.reconstruct(digits)
        assert_rows(out / f"progress-{loss}.png", [digits / 255, untrained, updates[loss], last])
    dense, conv = (fastae.Autoencoder.load(out / f"model-{name}.npz").reconstruct(digits) for name in ("dense", "conv"))
    assert_rows(out / "networks.png", [digits / 255, dense, conv])
    mean = np.broadcast_to(images.mean(axis=0) / 255, digits.shape)
    assert_rows(out / "updates.png", [digits / 255, mean, updates["mse"], updates["bce"], mse, bce])


# The mathematics


def test_the_parameters_are_those_of_fastae(assignment):
    W, b = assignment.draw_parameters((784, 256, 128, 256, 784), seed=3)
    model = fastae.Autoencoder(seed=3, dtype="float64")
    for ours, theirs in zip([*W, *b], [*model.weights, *model.biases]):
        np.testing.assert_array_equal(ours, theirs)
    assert LEARNING_RATES == assignment.LEARNING_RATE


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_gradients_are_those_of_the_losses(assignment, loss):
    """`update` descends by what central differences of the loss give."""
    function = {"mse": assignment.squared_error, "bce": assignment.cross_entropy}[loss]
    x = np.random.default_rng(1).random((3, 6))
    W, b = assignment.draw_parameters((6, 5, 4, 5, 6), seed=1)

    def value():
        return function(assignment.decode(assignment.encode(x, W, b), W, b), x)

    h, slopes = 1e-5, []
    for p in [*W, *b]:
        slope = np.empty(p.shape)
        for i in np.ndindex(p.shape):
            middle = p[i]
            p[i] = middle + h
            above = value()
            p[i] = middle - h
            slope[i] = (above - value()) / (2 * h)
            p[i] = middle
        slopes.append(slope)
    before = [p.copy() for p in [*W, *b]]
    assignment.update(x, W, b, loss)
    for old, new, slope in zip(before, [*W, *b], slopes):
        np.testing.assert_allclose((old - new) / assignment.LEARNING_RATE[loss], slope, rtol=1e-6, atol=1e-8)


def test_the_least_cross_entropy_is_that_of_the_images_themselves(assignment, mnist):
    from assignment_report import least_cross_entropy

    x = mnist[0] / 255
    assert least_cross_entropy(mnist[0]) == pytest.approx(assignment.cross_entropy(x, x), rel=1e-12)


def test_the_cross_entropy_is_cut_off_where_a_certainty_is_wrong(assignment):
    z, x = np.array([[0.0, 1.0, 1.0]]), np.array([[1.0, 0.0, 1.0]])
    assert assignment.cross_entropy(z, x) == 200


# Options


def test_the_least_run_and_the_snapshots_of_another_number_of_epochs(assignment, tmp_path, monkeypatch, capsys):
    pages = {}
    monkeypatch.setattr(
        figures,
        "reconstructions",
        lambda path, originals, rows, caption, shape: pages.update({path.name: [label for label, _ in rows]}),
    )
    options = ["--limit", "1", "--epochs", "6", "--backend", "numpy", "--no-progress", "--out", str(tmp_path)]
    assert assignment.main(options) == 0
    labels = [label.split(":")[0] for label in pages["progress-bce.png"]]
    assert labels == ["untrained", "1 epoch", "2 epochs", "5 epochs", "6 epochs"]
    assert "PCA, 0 components" in capsys.readouterr().out  # one image varies in no direction


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--epochs", "0"], "--epochs must be a positive whole number; got 0"),
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'; see assignment.py --help"),
        (["--limit", "-1"], "--limit must be a positive whole number; got -1"),
        (["--seed", "-1"], "seed must be a whole number of at least 0; got -1"),
        (["--threads", "0"], "the number of threads must be a positive whole number; got 0"),
        (["--threads", "2", "--limit", "16", "--backend", "numpy"], "the backend 'numpy' does not take a number of"),
        (["--backend", "abacus"], "unknown backend 'abacus'; the backends are: auto, numpy"),
        (["--data", "/nowhere"], "'/nowhere' cannot be listed"),
        (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
        (
            ["--out", f"{SCRIPT}/results"],
            f"cannot write in {SCRIPT}/results: Not a directory; choose another with --out",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(assignment, options, complaint, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    try:
        status = assignment.main(options)
    except SystemExit as stop:  # argparse's own
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith(f"assignment.py: {complaint}")
    assert error.count("\n") == 1 == len(error.splitlines())


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--backend", "abacus"], ["--out", f"{SCRIPT}/results"]])
def test_bad_input_ends_the_process_so(options, tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_one_line_and_status_130(assignment, monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(assignment, "solve", interrupted)
    assert assignment.main([]) == 130
    assert capsys.readouterr().err == "\nassignment.py: interrupted; earlier results are kept\n"


# The figure that was made for it


def test_weights_are_compared_on_one_scale(tmp_path):
    low, high = np.full((784, 12), 0.25), np.full((784, 12), -1.0)
    figures.weight_rows(tmp_path / "weights.png", [("before", low), ("after", high)], "caption")
    page = imread(tmp_path / "weights.png")
    right = figures.BAR + CELL // 2 + MARGIN
    pale, strong = (page[-MARGIN - r * (CELL + GAP) - CELL // 2, -right, :3] for r in (1, 0))
    assert strong[2] > strong[0] + 0.2  # the end of the scale: dark blue
    assert pale.min() > 0.6 > strong.min()
    assert pale[0] > pale[2]  # reddish


@pytest.mark.parametrize("rows", [[np.ones((784, 2)), np.ones((784, 3))], [np.ones((784, 0))], []])
def test_weights_that_do_not_match_are_refused(tmp_path, rows):
    with pytest.raises(InputError, match="no weights to compare"):
        figures.weight_rows(tmp_path / "weights.png", [("", W) for W in rows], "caption")
    assert not any(tmp_path.iterdir())
