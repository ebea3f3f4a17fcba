"""Data sets as arrays: the MNIST that ships with fastae, and any folder of IDX files laid out like it."""

from fastae.datasets.idx import load_dataset, load_images, read_idx

__all__ = ["load_dataset", "load_images", "read_idx"]
