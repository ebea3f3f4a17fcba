"""The pictures of kernels and feature maps, compared pixel by pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.image import imread
from sampling import sample

from fastae import Autoencoder, Conv2d, Dense, feature_figures, figures
from fastae.errors import InputError, OutputError
from fastae.figures import BAR, CELL, GAP, MARGIN

CAPTION = "squared error, 2 epochs of 64 images, batch size 16, numpy: test error 0.0825 a pixel"
STRIP = CELL // 3
COLUMNS = 16


def model_of(**arguments: Any) -> Autoencoder:
    given = {"layers": [Conv2d(16, stride=2), Conv2d(32, stride=2), Dense(128)], "activation": "tanh"}
    return Autoencoder(**given | arguments)


def an_image(model: Autoencoder, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, model.sizes[0]).astype(np.uint8)


def boxes(page: np.ndarray, heights: list[int]) -> list[int]:
    """Return where the rows of these heights begin, the last of which ends at the lower margin."""
    bottom, tops = page.shape[0] - MARGIN, []
    for height in reversed(heights):
        tops.append(bottom - height)
        bottom -= height + GAP
    return tops[::-1]


def cell(page: np.ndarray, top: int, column: int, height: int = CELL) -> np.ndarray:
    """Cut a picture out of a page of 16 columns with a colour bar at its right."""
    x = page.shape[1] - MARGIN - BAR - COLUMNS * (CELL + GAP) + GAP + column * (CELL + GAP)
    return page[top : top + height, x : x + CELL, :3]


def assert_drawn(found: np.ndarray, picture: np.ndarray, colours: Any, limits: tuple[float, float]) -> None:
    low, high = limits
    enlarged = np.kron(picture, np.ones((found.shape[0] // picture.shape[0], found.shape[1] // picture.shape[1])))
    np.testing.assert_allclose(found, colours((enlarged - low) / (high - low))[..., :3], atol=2.01 / 255)


def assert_inside(path: Path) -> None:
    dark = imread(path)[..., :3].min(axis=2) < 0.9
    inner = dark[MARGIN // 2 : -MARGIN // 2, MARGIN // 2 : -MARGIN // 2]  # a bar's numbers reach into the margin
    assert dark.sum() == inner.sum() > 0


def test_the_first_and_the_last_kernels_are_drawn_on_one_symmetric_scale(tmp_path: Path) -> None:
    model = model_of()
    model.weights[0][:] = np.random.default_rng(1).normal(size=(9, 16))
    model.weights[5][4, 7] = 5.0  # the middle of the eighth kernel: the end of the scale
    feature_figures.kernels(tmp_path / "kernels.png", model, CAPTION)
    page = imread(tmp_path / "kernels.png")
    for W, top in zip((model.weights[0], model.weights[5]), boxes(page, [CELL, CELL])):
        for c in range(16):
            assert_drawn(cell(page, top, c), W[:, c].reshape(3, 3), colormaps["RdBu_r"], (-5.0, 5.0))
    assert_inside(tmp_path / "kernels.png")


@pytest.mark.parametrize(
    ("activation", "colours", "limits"),
    [("tanh", "RdBu_r", (-1, 1)), ("sigmoid", "viridis", (0, 1)), ("relu", "viridis", None)],
)
def test_every_map_is_drawn_in_its_place(activation: str, colours: str, limits: Any, tmp_path: Path) -> None:
    model = model_of(activation=activation)
    image = an_image(model)
    feature_figures.features(tmp_path / "features.png", model, image, CAPTION)
    page = imread(tmp_path / "features.png")
    one, two, code, three, four, drawn = (a[0] for a in model.outputs(image[None]))
    limits = limits or (0, max(a.max() for a in (one, two, code, three, four)))
    tops = boxes(page, [CELL] * 4 + [STRIP] + [CELL] * 4)
    assert_drawn(cell(page, tops[0], 0), image.reshape(28, 28) / 255, colormaps["gray"], (0, 1))
    assert_drawn(cell(page, tops[8], 0), drawn.reshape(28, 28), colormaps["gray"], (0, 1))
    for a, side, first in ((one, 14, 1), (two, 7, 2), (three, 7, 5), (four, 14, 7)):
        for c in range(a.size // side**2):
            place = cell(page, tops[first + c // COLUMNS], c % COLUMNS)
            assert_drawn(place, a.reshape(side, side, -1)[..., c], colormaps[colours], limits)
    span = COLUMNS * (CELL + GAP) - GAP
    left = page.shape[1] - MARGIN - BAR - span
    middles = left + ((np.arange(128) + 0.5) * span / 128).astype(int)
    expected = colormaps[colours]((code - limits[0]) / (limits[1] - limits[0]))[:, :3]
    np.testing.assert_allclose(page[tops[4] + STRIP // 2, middles, :3], expected, atol=2.01 / 255)
    assert_inside(tmp_path / "features.png")


NETWORKS: dict[str, dict[str, Any]] = {
    "colours": {"layers": [Conv2d(40, kernel=5, stride=2), Dense(3)], "image_shape": (12, 20, 3)},
    "a dense layer first": {"layers": [Dense((3, 4, 2)), Conv2d(3)], "image_shape": (5, 2)},
    "a code of one number": {"layers": [Conv2d(1, kernel=1), Dense(1)], "image_shape": (2, 9)},
    "a code of maps": {"layers": [Conv2d(2, stride=2)], "image_shape": (28, 28, 2)},
    "long images": {"layers": [Conv2d(1), Dense(2)], "image_shape": (40, 1)},
    "dense layers": {"layers": [Conv2d(1), Dense(9), Dense(2)], "image_shape": (4, 4), "activation": "relu"},
}


@pytest.mark.parametrize("network", sample(NETWORKS, 3))
def test_any_network_stays_on_the_page(network: str, tmp_path: Path) -> None:
    model = model_of(**NETWORKS[network])
    feature_figures.features(tmp_path / "features.png", model, an_image(model), CAPTION)
    feature_figures.kernels(tmp_path / "kernels.png", model, CAPTION)
    for name in ("features", "kernels"):
        assert_inside(tmp_path / f"{name}.png")


def test_weights_of_zero_and_units_that_are_off_have_a_colour(tmp_path: Path) -> None:
    model = model_of(activation="relu")
    for p in model.weights + model.biases:
        p[:] = 0
    feature_figures.kernels(tmp_path / "kernels.png", model, CAPTION)
    feature_figures.features(tmp_path / "features.png", model, an_image(model), CAPTION)
    page = imread(tmp_path / "kernels.png")
    assert_drawn(cell(page, boxes(page, [CELL])[0], 3), np.zeros((3, 3)), colormaps["RdBu_r"], (-1, 1))
    page = imread(tmp_path / "features.png")
    assert_drawn(cell(page, boxes(page, [CELL] * 2)[0], 3), np.zeros((14, 14)), colormaps["viridis"], (0, 1))


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    dense, conv = Autoencoder((4, 2)), model_of()
    with pytest.raises(InputError, match="no kernels to draw: the model has no convolutions"):
        feature_figures.kernels(tmp_path / "kernels.png", dense, CAPTION)
    with pytest.raises(InputError, match=r"expected an array of shape \(n, 784\)"):
        feature_figures.features(tmp_path / "features.png", conv, np.zeros(783), CAPTION)
    with pytest.raises(OutputError, match="cannot write the figure"):
        feature_figures.kernels(tmp_path / "nowhere" / "kernels.png", conv, CAPTION)
    assert not list(tmp_path.iterdir())


# Reconstructions of images that are not square.


def test_an_image_has_the_shape_that_is_said(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2, 84))
    figures.reconstructions(tmp_path / "page.png", images, [("again", images)], CAPTION, shape=(12, 7))
    page = imread(tmp_path / "page.png")
    height = 144  # 84 pixels of the page across 7 of the image
    inked = page[-MARGIN - height : -MARGIN, :, 0].min(axis=0) < 0.99  # the label, white, and the images
    x = np.flatnonzero(inked)[-1] + 1 - 2 * CELL - GAP
    found = page[-MARGIN - height : -MARGIN, x : x + CELL, 0]
    np.testing.assert_allclose(found, np.kron(images[0].reshape(12, 7), np.ones((12, 12))), atol=2.01 / 255)


def test_three_channels_are_red_green_and_blue_and_others_their_mean() -> None:
    images = np.random.default_rng(0).random((2, 24))
    np.testing.assert_array_equal(figures.pictures(images, (4, 2, 3)), images.reshape(2, 4, 2, 3))
    np.testing.assert_allclose(figures.pictures(images, (3, 2, 4)), images.reshape(2, 3, 2, 4).mean(axis=3))
    np.testing.assert_array_equal(figures.pictures(images, (4, 6, 1)), images.reshape(2, 4, 6))
    images[1, 3] = np.nan
    assert figures.pictures(images, (4, 2, 3))[1, 0, 1].tolist() == [1, 0, 0]
    with pytest.raises(InputError, match="images of 5 x 5 have 25 numbers; got images of 24"):
        figures.pictures(images, (5, 5))
