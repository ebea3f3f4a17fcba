"""Train the autoencoder on MNIST and draw what it learned: ``python examples/train.py --help``."""

import sys

from fastae.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
