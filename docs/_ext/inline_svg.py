"""A Sphinx extension that puts SVG figures into the page itself, their grey in the colour of the page's text."""

import hashlib
import html
import re
from pathlib import Path
from typing import Any

from book import INK
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class InlineSvg(SphinxPostTransform):
    """Replace images that are SVG files by the files' contents."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace them in one page."""
        for node in list(self.document.findall(nodes.Element)):
            uri = node.get("uri", "")
            card = "sd-card-img-top" in node.get("classes", ())  # as wide as its card, not as its text wants
            if node.tagname in ("image", "imgsgnode") and uri.endswith(".svg") and not card:
                svg = self._find(uri).read_text(encoding="utf-8")
                node.replace_self(nodes.raw("", inline(svg, node.get("alt")), format="html"))

    def _find(self, uri: str) -> Path:
        source = Path(self.env.srcdir)
        here = source / Path(self.env.docname).parent
        return next(path for path in (source / uri.lstrip("/"), here / uri, Path(uri)) if path.is_file())


def inline(svg: str, alt: str | None = None) -> str:
    """Return an SVG as an element of a page: in the text's colour, no wider than the page, with names of its own."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", svg))
    prefix = hashlib.sha256(svg.encode()).hexdigest()[:8]

    def renamed(match: re.Match[str]) -> str:
        return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

    svg = re.sub(r' id="([^"]*)"', renamed, svg)
    svg = re.sub(r"(url\(|href=\")#", rf"\1#{prefix}-", svg).replace(INK, "currentColor")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])  # type: ignore[index]
    end = svg.index(">")
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", svg[:end])
    label = html.escape(alt or "figure")
    size = f"width: {width / 12:.1f}rem; min-width: {min(width / 12, 28):.1f}rem"
    return f'<div class="figure-in-page">{head} role="img" aria-label="{label}" style="{size}"{svg[end:]}</div>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_post_transform(InlineSvg)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
