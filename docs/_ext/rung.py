"""A Sphinx directive that shows a rung of a ladder: what its file says, and its code with what is new in it marked.

``{rung} matmul numba 2``
"""

import difflib
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from fastae.ladder import exercises
from fastae.ladder.rungs import ladder, split


class ShowRung(SphinxDirective):
    """Show one rung."""

    required_arguments = 3

    def run(self) -> list[nodes.Node]:
        """Read the rung and the one below it."""
        name, language, number = self.arguments
        rungs = ladder(name, language)
        rung = rungs[int(number) - 1]
        self.env.note_dependency(str(rung.path))
        code = split(exercises.solution(rung))[1].strip("\n")
        title = f"{rung.title.rstrip('.')} ({rung.exercise})"
        found: list[nodes.Node] = [self._say("", title), self._say("Idea", rung.idea)]
        if rung.predicted:
            found.append(self._say("Predicted", rung.predicted))
        literal: Any = nodes.literal_block(code, code, language="cuda" if rung.language == "cuda" else "python")
        if rung.number > 1:
            below = split(exercises.solution(rungs[rung.number - 2]))[1].strip("\n")
            kept = [line for line in difflib.ndiff(below.splitlines(), code.splitlines()) if line[:2] in ("  ", "+ ")]
            literal["highlight_args"] = {"hl_lines": [i for i, line in enumerate(kept, 1) if line.startswith("+")]}
        self.set_source_info(literal)
        return [*found, literal]

    def _say(self, word: str, text: str) -> nodes.paragraph:
        """Return a paragraph that begins with a word in bold, or is bold as a whole."""
        if not word:
            return nodes.paragraph("", "", nodes.strong(text, text))
        parts = [nodes.literal(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(text.split("`"))]
        return nodes.paragraph("", "", nodes.strong(word, f"{word}: "), *parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("rung", ShowRung)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
