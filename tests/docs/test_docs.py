"""The book builds without a warning, its links resolve, and it loads nothing from other hosts."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = ("_build", "api", "auto_gallery")
sys.path.append(str(DOCS / "_ext"))

FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
INSIDE = re.compile(r"(?:@import\s*|url\()\s*[\"']?((?:https?:)?//[^\"')]+)")


class Page(HTMLParser):
    """What a page fetches, where it leads, and the places in it that can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.twice: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if found.get("id"):
            name = str(found["id"])
            (self.twice if name in self.ids else self.ids).add(name)
        if FETCHED.get(tag) in found and found.get("rel") not in ("canonical", "next", "prev", "index", "search"):
            self.fetched.append(str(found[FETCHED[tag]]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))


def faults(html: Path) -> list[str]:
    """Say of each page in a folder what it fetches from elsewhere and which of its links lead nowhere."""
    pages = {path.resolve(): Page(path) for path in sorted(html.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(html.resolve())
        for target in [*page.fetched, *page.links]:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https") or target.startswith("//"):
                if target in page.fetched:
                    found.append(f"{name} fetches {target}")
                continue
            if parts.scheme:  # mailto, data
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not to.is_file():
                found.append(f"{name}: {target} is not there")
            elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].ids:
                found.append(f"{name}: {target} names no place in its page")
    for style in sorted(html.rglob("*.css")):
        found += [f"{style.relative_to(html)} fetches {m[1]}" for m in INSIDE.finditer(style.read_text("utf-8"))]
    return found


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the book from a copy of its sources; the notebooks are run by test_notebooks."""
    copy = tmp_path_factory.mktemp("book")
    shutil.copytree(DOCS, copy / "docs", ignore=shutil.ignore_patterns(*GENERATED, "__pycache__"))
    for name in ("fastae", "examples", "tests", "benchmarks", "README.md"):
        (copy / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "docs", "html"]
    environment = os.environ | {"FASTAE_BOOK_NOT_RUN": "notebooks/*", "FASTAE_BOOK_ROUNDS": "1"}
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-20_000:]
    return copy / "html"


@pytest.mark.thorough
def test_it_builds_without_a_warning_and_every_page_is_there(book: Path) -> None:
    sources = [path for path in DOCS.rglob("*") if path.suffix in (".md", ".ipynb")]
    sources = [path for path in sources if not set(path.relative_to(DOCS).parts) & {*GENERATED, "gallery"}]
    assert len(sources) > 20
    for source in sources:
        assert (book / source.relative_to(DOCS)).with_suffix(".html").is_file()
    for script in (DOCS / "gallery").glob("plot_*.py"):
        assert (book / "auto_gallery" / script.name).with_suffix(".html").is_file()


@pytest.mark.thorough
def test_links_and_images_resolve_and_nothing_is_fetched_from_elsewhere(book: Path) -> None:
    assert faults(book) == []


@pytest.mark.thorough
def test_formulas_are_typeset_by_what_is_in_the_book(book: Path) -> None:
    page = (book / "backpropagation.html").read_text(encoding="utf-8")
    assert 'class="math' in page
    (script,) = re.findall(r'src="([^"]*mathjax[^"]*)"', page)
    assert (book / script.split("?")[0]).is_file()
    assert list((book / "_static" / "mathjax").rglob("MathJax_Main-Regular.woff"))


@pytest.mark.thorough
def test_no_page_shows_a_warning_that_its_code_gave(book: Path) -> None:
    for path in book.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "Warning: " not in re.sub(r"<[^>]+>", "", text), path.name


@pytest.mark.thorough
def test_figures_take_the_colour_of_the_text(book: Path) -> None:
    page = (book / "step.html").read_text(encoding="utf-8")
    assert "currentColor" in page
    assert "#777778" not in page


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_readmes_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            continue
        to = ROOT / parts.path
        assert to.exists(), target
        if parts.fragment and to.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", to.read_text(encoding="utf-8"), re.MULTILINE)
            places = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
            assert parts.fragment in places, target


# What the emulator has of CUDA.


def test_features_are_listed_with_the_tests_that_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import features

    table = features.table()
    for family, rows in features.shown().items():
        assert f"| **{family}** |" in table
        assert all(f"| {feature} |" in table for feature in rows)
    assert "| `test_warps.py`: a sum by warps, a scan by warps |" in table
    monkeypatch.setattr(features, "FAMILIES", features.FAMILIES[1:])
    with pytest.raises(ValueError, match="a family is one of: types"):
        features.table()


def test_every_refusal_is_listed_by_an_example() -> None:
    import features

    from fastae.backends.emulator.refusals import HEADERS, NOT_EMULATED, NOT_IN_KERNELS

    told = features.refusals()
    assert all(message.startswith("mine.cu, line 1: ") for _, message in told), told
    code = [re.sub(r"#include.*", "", example) for example, _ in told]
    for pattern in (*NOT_IN_KERNELS, *NOT_EMULATED):
        assert any(re.search(pattern, example) for example in code), pattern
    headers = [m[1] for example, _ in told if (m := re.match(r"#include <(.*)>", example))]
    for pattern in HEADERS:
        assert any(re.fullmatch(pattern, header) for header in headers), pattern


# The checks find planted faults.

GOOD = '<a href="other.html#here">x</a><img src="picture.png"><a href="https://example.org">y</a>'


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (GOOD, None),
        ('<script src="https://example.org/a.js"></script>', "fetches"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "fetches"),
        ('<img src="https://example.org/a.png">', "fetches"),
        ('<img src="missing.png">', "is not there"),
        ('<a href="missing.html">x</a>', "is not there"),
        ('<a href="other.html#nowhere">x</a>', "names no place"),
        ('<a href="#nowhere">x</a>', "names no place"),
    ],
)
def test_planted_faults_are_found(body: str, word: str | None, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(body)
    (tmp_path / "other.html").write_text('<p id="here">')
    (tmp_path / "picture.png").write_bytes(b"")
    found = faults(tmp_path)
    assert (len(found) == 1 and word in found[0]) if word else found == []


def test_a_stylesheet_that_fetches_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@import 'https://example.org/font.css'; p {background: url(//example.org/b.png)}")
    assert len(faults(tmp_path)) == 2


@pytest.mark.thorough
def test_a_figure_in_a_page_has_names_of_its_own() -> None:
    from inline_svg import inline

    head = '<?xml version="1.0"?><svg width="9pt" height="9pt" viewBox="0 0 720 100" version="1.1">'
    one, other = (
        inline(f'{head}<g id="axes_1"><path id="p" d="{d}"/><use href="#p" fill="#777778"/></g></svg>', "a <graph>")
        for d in ("M0 0", "M1 1")
    )
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (one, other)]
    assert len(ids[0]) == len(ids[1]) == 1  # axes_1 is gone: nothing refers to it
    assert ids[0] != ids[1]
    assert f'href="#{ids[0][0]}"' in one
    assert "currentColor" in one
    assert "a &lt;graph&gt;" in one
    assert "<?xml" not in one
