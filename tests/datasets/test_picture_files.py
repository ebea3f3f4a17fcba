"""Data sets of pictures: in one folder, or in folders of classes and splits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import IMAGES, LABELS, TEST_LABELS, TESTED, assert_held_out, refused
from PIL import Image

from fastae.datasets import described, load_images


def draw(folder: Path, images: Any, labels: np.ndarray | None = None, **options: Any) -> Path:
    for i, image in enumerate(images):
        below = folder if labels is None else folder / "abcdefg"[labels[i]]
        below.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(below / f"{i:03}.png", **options)
    return folder


def test_of_pngs_in_one_folder_every_tenth_is_held_out(tmp_path: Path) -> None:
    assert_held_out(draw(tmp_path, IMAGES))
    (tmp_path / "notes.txt").touch()
    assert "25 PNGs" in described(tmp_path)


def test_folders_of_pngs_are_classes_and_splits(tmp_path: Path) -> None:
    """Classes have the same numbers in both splits, although the test split lacks one."""
    for split, images, labels in (("training", IMAGES, LABELS), ("Testing", TESTED, np.maximum(TEST_LABELS, 1))):
        draw(tmp_path / split, images, labels)
    for split, images, labels in (("train", IMAGES, LABELS), ("test", TESTED, np.maximum(TEST_LABELS, 1))):
        order = np.argsort(labels, kind="stable")
        found, labelled = load_images(tmp_path, split)
        assert found.tolist() == images[order].tolist()
        assert labelled.tolist() == labels[order].tolist()
    assert len(load_images(tmp_path, limit=3)[0]) == 3


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("16 bits", lambda x: x.astype(np.uint16) * 257),
        ("grey in three channels", lambda x: np.repeat(x[..., None], 3, -1)),
        ("black and white", lambda x: x > 99),
    ],
)
def test_pngs_of_other_kinds_that_are_grey_are_read(kind: str, change: Callable[[Any], Any], tmp_path: Path) -> None:
    expected = 255 * (IMAGES > 99) if "white" in kind else IMAGES
    draw(tmp_path, map(change, IMAGES))
    assert load_images(tmp_path)[0].tolist() == np.delete(expected, [9, 19], 0).tolist()


def test_a_png_with_a_palette_of_greys_is_read(tmp_path: Path) -> None:
    for i, image in enumerate(IMAGES[:3]):
        Image.fromarray(image).convert("P").save(tmp_path / f"{i}.png")
    assert load_images(tmp_path)[0].tolist() == IMAGES[:2].tolist()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.stack([IMAGES[0], IMAGES[0], IMAGES[1]], -1), "is in colour; expected a grey image; make it grey"),
        (np.stack([*[IMAGES[0]] * 3, IMAGES[1]], -1), "is partly transparent"),
        (IMAGES[0, :4], "is 5 x 4 pixels; expected 5 x 6 as 000.png"),
    ],
    ids=["colour", "transparent", "size"],
)
def test_the_png_that_does_not_fit_is_named(image: np.ndarray, words: str, tmp_path: Path) -> None:
    draw(tmp_path, IMAGES)
    Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / "007x.png")
    message = refused(tmp_path)
    assert words in message
    assert "007x.png'" in message


def test_damaged_pngs_are_refused_in_one_line(tmp_path: Path) -> None:
    draw(tmp_path, IMAGES)
    path = tmp_path / "003.png"
    content = path.read_bytes()
    for length in range(0, len(content) - 24, 5):  # behind them are checksums and the end
        path.write_bytes(content[:length])
        assert "003.png'" in refused(tmp_path)
    draw(tmp_path / "one", IMAGES[:1])
    assert "at least two" in refused(tmp_path / "one")
