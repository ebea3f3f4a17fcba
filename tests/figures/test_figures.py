"""The pictures that matplotlib draws, compared pixel by pixel, and the digits in the terminal."""

import errno
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from fastae import figures, terminal
from fastae.errors import InputError, OutputError
from fastae.figures import CELL, GAP, MARGIN

CAPTION = "squared error, 5 epochs, numba: test MSE per pixel 0.0051"
EPOCHS = [{"epoch": k, "train_loss": 20 / k + 30, "test_mse": 0.03 / k + 0.003} for k in range(1, 9)]
REFERENCES = {"mean image": 0.0675, "PCA, 128 components": 0.0042}


def digits(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (count, 784)).astype(np.float32)


def cell(page, rows, columns, row, column):
    """Cut one image out of a page whose grid of rows by columns reaches the lower right margins."""
    y = page.shape[0] - MARGIN - (rows - row) * (CELL + GAP) + GAP
    x = page.shape[1] - MARGIN - (columns - column) * (CELL + GAP) + GAP
    return page[y : y + CELL, x : x + CELL]


def enlarged(image):
    return np.kron(image.reshape(28, 28), np.ones((3, 3)))


@pytest.fixture
def drawn(monkeypatch):
    """Give the figures as they were when they were saved."""
    caught = []
    monkeypatch.setattr(figures, "save", lambda figure, path: caught.append(figure))
    return caught


# Reconstructions


def test_every_pixel_of_every_image_is_drawn_in_its_place(tmp_path):
    originals, first, second = digits(10), digits(10, 1), digits(10, 2) * 0.6
    path = tmp_path / "grid.png"
    figures.reconstructions(path, originals, [("0 epochs", first), ("1 epoch", second)], CAPTION)
    page = imread(path)
    for row, images in enumerate([originals, first, second]):
        for column in range(10):
            for channel in range(3):
                seen = cell(page, 3, 10, row, column)[..., channel]
                np.testing.assert_allclose(seen, enlarged(images[column]), atol=1.01 / 255)


def test_bytes_are_drawn_as_the_floats_they_stand_for(tmp_path):
    originals = np.random.default_rng(3).integers(0, 256, (10, 784)).astype(np.uint8)
    for name, images in [("bytes", originals), ("floats", originals / 255)]:
        figures.reconstructions(tmp_path / name, images, [("reconstruction", digits(10))], CAPTION)
    assert (imread(tmp_path / "bytes", "png") == imread(tmp_path / "floats", "png")).all()


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize(
    "labels", [["reconstruction"], [f"{k} epochs with a label that is no formula: $x_$" for k in range(7)]]
)
@pytest.mark.parametrize("caption", ["", CAPTION * 5, "$x_$ " + "W" * 300])
def test_nothing_touches_the_border_and_no_label_an_image(tmp_path, count, labels, caption):
    path = tmp_path / "grid.png"
    figures.reconstructions(path, digits(count), [(label, digits(count)) for label in labels], caption)
    dark = imread(path)[..., :3].min(axis=2) < 0.9
    inner = dark[MARGIN - 2 : 2 - MARGIN, MARGIN - 2 : 2 - MARGIN]
    assert dark.sum() == inner.sum() > 0

    # From the left: margin, labels, white, images. The labels' end is looked for in the rows of the images.
    rows = len(labels) + 1
    body = dark[-MARGIN - rows * (CELL + GAP) + GAP : -MARGIN].any(axis=0)
    label, images = np.split(body, [np.flatnonzero(body)[-1] + 1 - count * (CELL + GAP) + GAP])
    assert label[:-GAP].any()
    assert not label[-GAP:].any()
    assert images.any()


def test_a_long_caption_makes_the_page_longer_but_no_wider(tmp_path):
    sizes = []
    for caption in ["short", CAPTION * 5]:
        figures.reconstructions(tmp_path / "grid.png", digits(1), [("reconstruction", digits(1))], caption)
        sizes.append(imread(tmp_path / "grid.png").shape[:2])
    (short_height, short_width), (long_height, long_width) = sizes
    assert long_height > short_height
    assert long_width == short_width


def test_a_width_that_is_no_square_is_drawn_as_strips(tmp_path):
    path = tmp_path / "strips.png"
    strips = np.tile([0.0, 1.0, 0.0], (20, 1))
    figures.reconstructions(path, strips, [("reconstruction", 1 - strips)], CAPTION)
    page = imread(path)[..., 0]
    strip = page[-MARGIN - CELL // 3 : -MARGIN, -MARGIN - CELL : -MARGIN]
    assert (strip == np.repeat([1.0, 0.0, 1.0], CELL // 3)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_red(tmp_path, bad):
    path = tmp_path / "grid.png"
    images = digits(10)
    images[9] = bad
    figures.reconstructions(path, digits(10), [("reconstruction", images)], CAPTION)
    page = imread(path)
    assert (cell(page, 2, 10, 1, 9) == [1, 0, 0, 1]).all()
    np.testing.assert_allclose(cell(page, 2, 10, 1, 8)[..., 0], enlarged(images[8]), atol=1.01 / 255)


@pytest.mark.parametrize(
    ("originals", "images"), [(digits(0), digits(0)), (digits(3), digits(2)), (digits(3), digits(3)[:, :700])]
)
def test_images_that_do_not_match_are_refused(tmp_path, originals, images):
    with pytest.raises(InputError, match="shape"):
        figures.reconstructions(tmp_path / "grid.png", originals, [("reconstruction", images)], CAPTION)
    assert not list(tmp_path.iterdir())


# First-layer weights


def test_weights_are_drawn_by_norm_on_one_symmetric_scale(tmp_path):
    path = tmp_path / "weights.png"
    W = np.ones((784, 5)) * [0.1, -1.0, 0.5, 0.01, 0.2]
    figures.weights(path, W, CAPTION, count=4)
    page = imread(path)
    for place, value in enumerate([-1.0, 0.5, 0.2, 0.1]):
        row, column = divmod(place, 2)
        y = page.shape[0] - MARGIN - (2 - row) * (CELL + GAP) + GAP
        x = MARGIN + column * (CELL + GAP)
        expected = colormaps["RdBu_r"](0.5 + value / 2)
        np.testing.assert_allclose(page[y, x], expected, atol=1.01 / 255)
        np.testing.assert_allclose(page[y + CELL - 1, x + CELL - 1], expected, atol=1.01 / 255)
    bar = page[-MARGIN - CELL :, MARGIN + 2 * (CELL + GAP) :]
    assert (bar[..., 2] - bar[..., 0]).max() > 0.3  # the colour bar reaches into the blue


def test_weights_of_zero_have_the_colour_of_zero(tmp_path):
    path = tmp_path / "weights.png"
    figures.weights(path, np.zeros((784, 2)), CAPTION)
    page = imread(path)
    for unit in range(2):
        pixel = page[-MARGIN - CELL // 2, MARGIN + unit * (CELL + GAP) + CELL // 2]
        np.testing.assert_allclose(pixel, colormaps["RdBu_r"](0.5), atol=1.01 / 255)


@pytest.mark.parametrize(
    "W", [digits(1).T, digits(7).T, digits(256).T, np.zeros((784, 4)), np.full((784, 3), np.nan), digits(5).T[:10]]
)
def test_weights_of_any_shape_and_value_stay_on_the_page(tmp_path, W):
    path = tmp_path / "weights.png"
    figures.weights(path, W * 1e-7, CAPTION)
    dark = imread(path)[..., :3].min(axis=2) < 0.9
    assert dark.sum() == dark[MARGIN // 2 : -MARGIN // 2, MARGIN // 2 : -MARGIN // 2].sum() > 0


def test_no_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="no weights"):
        figures.weights(tmp_path / "weights.png", np.ones((784, 0)), CAPTION)


# Loss curve


def test_the_curves_are_the_epochs(drawn):
    figures.loss_curve("unused", EPOCHS, CAPTION, REFERENCES)
    loss, error = drawn[0].axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [(e["epoch"], e["train_loss"]) for e in EPOCHS])
    np.testing.assert_array_equal(error.lines[0].get_xydata(), [(e["epoch"], e["test_mse"]) for e in EPOCHS])
    assert [line.get_ydata()[0] for line in error.lines[1:]] == list(REFERENCES.values())
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "mean image: 0.0675",
        "PCA, 128 components: 0.0042",
    ]
    assert (loss.get_yscale(), error.get_yscale()) == ("linear", "log")  # more than a decade, with the references


@pytest.mark.parametrize("last", [1, 2, 5, 20, 300])
def test_ticks_are_at_whole_epochs_and_more_than_one_loss_is_labelled(drawn, last):
    epochs = [{"epoch": k, "train_loss": 2000.0 / k**2, "test_mse": 0.07 / k} for k in range(1, last + 1)]
    figures.loss_curve("unused", epochs, CAPTION, REFERENCES)
    drawn[0].canvas.draw()
    for axes in drawn[0].axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)
        low, high = axes.get_ylim()
        assert sum(low <= tick <= high for tick in axes.get_yticks()) > 1


def test_one_epoch_is_a_point(tmp_path):
    sights = []
    for epochs in [EPOCHS[:1], [{"epoch": 1, "train_loss": np.nan, "test_mse": np.nan}]]:
        figures.loss_curve(tmp_path / "loss.png", epochs, CAPTION)
        page = imread(tmp_path / "loss.png")[..., :3]
        sights.append((abs(page - colormaps["tab10"](0)[:3]).max(axis=2) < 0.02).sum())
    assert sights[0] > 20
    assert sights[1] == 0


def test_without_a_test_error_there_is_one_panel(drawn):
    figures.loss_curve("unused", [{**e, "test_mse": None} for e in EPOCHS], CAPTION, REFERENCES)
    assert len(drawn[0].axes) == 1
    assert not drawn[0].legends


def test_epochs_without_a_finite_value_are_left_out(drawn):
    epochs = [dict(e) for e in EPOCHS]
    epochs[2]["test_mse"] = None
    epochs[5]["train_loss"] = np.inf
    figures.loss_curve("unused", epochs, CAPTION)
    assert [list(axes.lines[0].get_xdata()) for axes in drawn[0].axes] == [[1, 2, 3, 4, 5, 7, 8], [1, 2, 4, 5, 6, 7, 8]]


def test_a_caption_fits_over_the_curves(tmp_path):
    figures.loss_curve(tmp_path / "loss.png", [{**e, "test_mse": None} for e in EPOCHS], "W" * 300)
    dark = imread(tmp_path / "loss.png")[..., :3].min(axis=2) < 0.9
    assert dark[:70].any()
    assert not dark[:70, : MARGIN - 2].any()
    assert not dark[:70, 2 - MARGIN :].any()


def test_no_epochs_are_refused(tmp_path):
    with pytest.raises(InputError, match="no epoch"):
        figures.loss_curve(tmp_path / "loss.png", [], CAPTION)


# Writing

WRITERS = {
    "reconstructions": lambda path: figures.reconstructions(path, digits(2), [("again", digits(2))], CAPTION),
    "weights": lambda path: figures.weights(path, digits(4).T, CAPTION),
    "loss_curve": lambda path: figures.loss_curve(path, EPOCHS, CAPTION),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
class TestWriting:
    def test_writes_a_png_and_nothing_beside_it(self, tmp_path, write):
        path = tmp_path / "figure"  # a PNG whatever its name
        path.write_text("old")
        other = tmp_path / "other"
        other.hardlink_to(path)
        write(path)
        assert other.read_text() == "old"  # replaced by a whole file, not overwritten
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        height, width = imread(path, "png").shape[:2]
        assert 600 < width < 2000
        assert 100 < height < 2000
        assert set(tmp_path.iterdir()) == {path, other}

    def test_a_folder_that_cannot_be_written_is_one_line(self, tmp_path, write):
        parent = tmp_path / "file"
        parent.write_text("kept")
        with pytest.raises(OutputError, match=r"cannot write the figure .*file/figure.png: Not a directory") as caught:
            write(parent / "figure.png")
        assert "\n" not in str(caught.value)
        assert parent.read_text() == "kept"

    def test_a_failure_half_way_keeps_the_old_file(self, tmp_path, write, monkeypatch):
        def fill_disk(canvas, path):
            path.write_bytes(b"\x89PNG half")
            raise OSError(errno.ENOSPC, "No space left on device")

        path = tmp_path / "figure.png"
        path.write_text("old")
        monkeypatch.setattr(FigureCanvasAgg, "print_png", fill_disk)
        with pytest.raises(OutputError, match="No space left on device"):
            write(path)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def test_neither_pyplot_nor_for_the_terminal_matplotlib_is_imported():
    code = """
        import sys
        import fastae.terminal
        assert "matplotlib" not in sys.modules
        import fastae.figures
        assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# Which digits


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        ([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9, 7, 3, 4, 8], 10, [3, 2, 1, 18, 4, 8, 11, 0, 20, 7]),
        ([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9, 7, 3, 4, 8], 12, [3, 2, 1, 18, 4, 8, 11, 0, 20, 7, 5, 6]),
        ([1, 1, 0, 1, 0], 4, [2, 0, 1, 3]),
        ([1, 0], 10, [1, 0]),
        ([2, 1, 0], 2, [2, 1]),
        ([], 10, []),
    ],
)
def test_one_image_of_each_label_is_chosen(labels, count, expected):
    assert terminal.one_of_each(np.array(labels, np.uint8), count).tolist() == expected


# Digits in the terminal


def in_characters(images: np.ndarray, width: int | None = None, ascii: bool = False) -> str:
    return terminal.draw([("", images)], width, ascii)


@pytest.mark.parametrize(("ascii", "full"), [(False, "█"), (True, "#")])
@pytest.mark.parametrize("side", [1, 8, 14, 28, 32])
def test_black_is_blank_and_white_is_full(side, ascii, full):
    black, white = np.zeros((1, side * side)), np.ones((1, side * side))
    assert in_characters(black, 80, ascii) == "\n".join([" " * 14] * 7)
    assert in_characters(black * np.nan, 80, ascii) == "\n".join([" " * 14] * 7)
    assert in_characters(white, 80, ascii) == "\n".join([full * 14] * 7)
    assert in_characters((white * 255).astype(np.uint8), 80, ascii) == "\n".join([full * 14] * 7)


def test_a_corner_is_drawn_where_it_is():
    image = np.zeros((28, 28))
    image[:14, :13] = 1.0
    lines = ["██████▌" + " " * 7] * 3 + ["▀▀▀▀▀▀▘" + " " * 7] + [" " * 14] * 3
    assert in_characters(image.reshape(1, 784), 80) == "\n".join(lines)
    # Across the edges of the corner a character is half covered: 0.5 ** 0.6 and 0.25 ** 0.6 of five shades.
    lines = ["######*" + " " * 7] * 3 + ["******:" + " " * 7] + [" " * 14] * 3
    assert in_characters(image.reshape(1, 784), 80, ascii=True) == "\n".join(lines)


@pytest.mark.parametrize("code", range(16))
def test_every_quadrant_has_its_character(code):
    names = {"▘": "1000", "▝": "0100", "▖": "0010", "▗": "0001", "▀": "1100", "▄": "0011", "▌": "1010", "▐": "0101"}
    names |= {"▚": "1001", "▞": "0110", "▛": "1110", "▜": "1101", "▙": "1011", "▟": "0111", "█": "1111", " ": "0000"}
    character, bits = list(names.items())[code]
    image = np.zeros((28, 28))
    image[4:8, 2:4] = np.repeat(np.array([int(bit) for bit in bits]).reshape(2, 2), 2, axis=0)
    lines = in_characters(image.reshape(1, 784), 80).split("\n")
    assert lines[1][1] == character
    assert "".join(lines).replace(" ", "") == character.strip()


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize(
    ("count", "width", "bands"), [(10, 80, [5, 5]), (7, 80, [5, 2]), (10, 149, [10]), (10, 148, [9, 1]), (2, 3, [1, 1])]
)
def test_digits_wrap_into_bands(count, width, bands, ascii):
    drawn = in_characters(digits(count), width, ascii).split("\n\n")
    assert [[len(line) for line in band.split("\n")] for band in drawn] == [[15 * n - 1] * 7 for n in bands]


def test_each_image_has_its_own_columns():
    images = digits(5)
    together = in_characters(images, 80).split("\n")
    for index, image in enumerate(images):
        alone = in_characters(image[None], 80).split("\n")
        assert [line[15 * index : 15 * index + 14] for line in together] == alone
    assert len({line for line in together}) > 1


def test_the_width_is_that_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "44")
    assert in_characters(digits(4)) == in_characters(digits(4), 44)
    assert len(in_characters(digits(4)).split("\n")[0]) == 44


@pytest.mark.parametrize("images", [digits(3)[:, :700], digits(0)])
def test_what_is_no_picture_is_not_drawn(images):
    assert in_characters(images, 80) == ""
    assert terminal.draw([("original", images), ("reconstruction", images)], 80) == ""


@pytest.mark.parametrize("ascii", [False, True])
def test_pairs_are_bands_one_above_the_other(ascii):
    originals, again = digits(7), digits(7, 1)
    bands = []
    for part in [slice(0, 5), slice(5, 7)]:
        upper, lower = in_characters(originals[part], 80, ascii), in_characters(again[part], 80, ascii)
        bands.append(f"original\n{upper}\nreconstruction\n{lower}")
    assert terminal.draw([("original", originals), ("reconstruction", again)], 80, ascii) == "\n\n".join(bands)


def test_grey_is_ink_or_shade():
    for grey, block, shade in [(0.1, " ", "."), (0.25, " ", ":"), (0.35, "█", ":"), (0.5, "█", "*"), (0.9, "█", "#")]:
        image = np.full((1, 784), grey)
        assert set(in_characters(image, 80)) == {block, "\n"}
        assert set(in_characters(image, 80, ascii=True)) == {shade, "\n"}
