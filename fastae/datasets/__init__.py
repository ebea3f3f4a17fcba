"""Data sets as arrays: the MNIST that ships with fastae, and others in the formats of which each has a module here.

- ``load``: finds out what a path holds, by the table of formats
- ``idx``, ``arrays``, ``pictures``: the formats
- ``values``: what is no unsigned byte as one
- ``files``, ``source``: what formats share
"""

from fastae.datasets.idx import read_idx
from fastae.datasets.load import described, load_dataset, load_images

__all__ = ["described", "load_dataset", "load_images", "read_idx"]
