"""A Sphinx directive that quotes a function or a class from the file in which it stands, nested ones too.

``{quote} fastae/step.py make_step.step``: the file from the project's folder, and what is defined there.
"""

import ast
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]


class Quote(SphinxDirective):
    """Quote one definition, with its file and line as the caption."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Read the file and cut the definition out."""
        file, name = self.arguments
        text = (ROOT / file).read_text(encoding="utf-8")
        self.env.note_dependency(str(ROOT / file))
        node: Any = ast.parse(text)
        for part in name.split("."):
            found = [child for child in ast.walk(node) if getattr(child, "name", None) == part]
            if not found:
                raise self.error(f"{file} defines no {name}")
            node = found[0]
        lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
        literal = nodes.literal_block("", textwrap.dedent("\n".join(lines)), language="python", force=False)
        self.set_source_info(literal)
        return [container_wrapper(self, literal, f"`{file}`, line {node.lineno}")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("quote", Quote)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
