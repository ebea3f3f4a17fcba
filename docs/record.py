"""Record what ``fastae check`` says of a kernel with a fault, as a picture: ``python docs/record.py``."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
PICTURE = HERE / "images" / "check.svg"
SEED = "224610633"  # of the cases that are tried: else each recording would show another
WIDTH = 104
KERNEL = """\
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = (a.T if trans_a else a), (b.T if trans_b else b)
    for i in range(0, out.shape[0] - 7, 8):  # eight rows at a time
        rows = out[i : i + 8]
        product = alpha * (A[i : i + 8] @ B)
        rows[:] = product if beta == 0 else product + beta * rows
"""

# Rich's own frame, without the fonts that it has readers fetch from another site.
FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def said() -> str:
    """Return the session: a learner's ``mine.py``, and what the command says of it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "mine.py").write_text(KERNEL, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "fastae", "check", "mine.py", "--seed", SEED],
            cwd=folder,
            env=os.environ | {"COLUMNS": str(WIDTH)},
            capture_output=True,
            text=True,
        )
    if done.returncode != 1:
        raise SystemExit(f"fastae check ended with status {done.returncode}: {done.stdout}{done.stderr}")
    return f"$ cat mine.py\n{KERNEL}\n$ fastae check mine.py\n{done.stdout}"


def draw(text: str) -> str:
    """Return the picture of a terminal that shows the text."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    styled = Text(text)
    styled.highlight_regex(r"\$ (cat|fastae) [^\n]*", "bold")
    styled.highlight_regex(r"WRONG|#+", "bold red")
    styled.highlight_regex(r"may be: [^\n]*|where: [^\n]*", "yellow")
    console.print(styled, end="")
    return console.export_svg(title="fastae check", code_format=FRAME, unique_id="fastae")


if __name__ == "__main__":
    PICTURE.write_text(draw(said()), encoding="utf-8")
