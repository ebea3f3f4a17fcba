"""Measure the convolutional network and put its tables and figures into the book.

``python -m benchmarks.convolutional_tables [options of fastae bench]`` runs ``fastae bench --model conv`` at batch
sizes 16 and 128, writes what it says between two marks in docs/performance.md, and keeps its figures in docs/images.
"""

import shutil
import sys
from pathlib import Path

from fastae import cli

ROOT = Path(__file__).parents[1]
PAGE, IMAGES = ROOT / "docs" / "performance.md", ROOT / "docs" / "images"
BEGINNING, END = "<!-- fastae bench --model conv: begin -->\n", "<!-- fastae bench --model conv: end -->\n"
OUT = Path("runs", "bench-conv")
FIGURES = {"speed": "Images a second against batch size", "roofline": "Layers and kernels under the limits of one core"}


def placed(page: str, tables: str) -> str:
    """Return the page with those tables between its marks."""
    before, rest = page.split(BEGINNING)
    _, after = rest.split(END)
    return f"{before}{BEGINNING}\n{tables.strip()}\n\n{END}{after}"


def main() -> int:
    options = ["--model", "conv", "--batches", "16", "128", "--out", str(OUT), *sys.argv[1:]]
    for name in FIGURES:  # of an earlier run, which this one may not draw anew
        (OUT / f"{name}.png").unlink(missing_ok=True)
    status = cli.main(["bench", *options])
    if status == 0:
        found = (OUT / "bench.md").read_text()
        for name, caption in FIGURES.items():
            if (OUT / f"{name}.png").exists():
                shutil.copyfile(OUT / f"{name}.png", IMAGES / f"{name}-conv.png")
                found += f"\n![{caption}](images/{name}-conv.png)\n"
        PAGE.write_text(placed(PAGE.read_text(), found))
    return status


if __name__ == "__main__":
    sys.exit(main())
