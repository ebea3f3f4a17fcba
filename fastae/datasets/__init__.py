"""Read image data sets as arrays: the MNIST that is included, and data sets in several formats.

- ``load``: determines the format of a path by the table ``FORMATS``, and reads one split; start reading here
- ``idx``, ``arrays``, ``pictures``: one module for each format
- ``values``: converts values of any type to unsigned bytes
- ``files``, ``source``: what the formats share
"""

from fastae.datasets.idx import read_idx
from fastae.datasets.load import described, load_dataset, load_images

__all__ = ["described", "load_dataset", "load_images", "read_idx"]
