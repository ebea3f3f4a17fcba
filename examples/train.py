"""Train the autoencoder on MNIST and draw what it learned: ``python examples/train.py --help``.

It is the command ``fastae train``, under ``mpirun`` too.
"""

import sys

from fastae.cli import main

sys.argv.insert(1, "train")
sys.exit(main())
