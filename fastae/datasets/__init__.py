"""Data sets as arrays: the MNIST that ships with fastae, and any folder of IDX files laid out like it."""

from fastae.datasets.idx import load_dataset, read_idx

__all__ = ["load_dataset", "read_idx"]
