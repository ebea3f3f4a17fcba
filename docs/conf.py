"""How the book is built: ``make docs``."""

import json
import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx import addnodes

HERE = Path(__file__).parent
# For this process and for the kernels that run the pages' code: the book's own modules, the examples, the third party's
# backend of the tests, and the commands.
PATHS = [str(path) for path in (HERE / "_ext", HERE.parent / "examples", HERE.parent / "tests" / "support")]
sys.path[:0] = PATHS
os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

# The kernel of the pages is this very Python, and tells errors only.
kernel = HERE / "_build" / "jupyter" / "kernels" / "python3" / "kernel.json"
kernel.parent.mkdir(parents=True, exist_ok=True)
command = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "--log-level=ERROR"]
command += ["-f", "{connection_file}"]
kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
os.environ["JUPYTER_PATH"] = str(kernel.parents[2])

project, author, project_copyright = "fastae", "the authors of fastae", "the authors of fastae, MIT licence"
version = release = version_of("fastae")
language = "en"
smartquotes_action = "qe"  # quotes and ellipses; "--lr" keeps its two hyphens

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",  # MathJax in the pages' own folder
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "inline_svg",
    "quoted",
    "rung",
]
exclude_patterns = ["_build", "gallery", "auto_gallery/*.ipynb", "auto_gallery/sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "autolink"
nitpicky = True

# Pages: Markdown, whose code is run anew in every build.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 240  # a cell compiles all rungs of a ladder
nb_execution_excludepatterns = os.environ.get("FASTAE_BOOK_NOT_RUN", "").split()  # for the tests, which run these alone
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_render_markdown_format = "gfm"

# The API.
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL06", "GL07", "GL09", "GL10", "PR02", "PR03", "PR04", "PR10", "RT02", "SS01"}
numpydoc_validation_exclude = {r"\.KERNELS$", r"\.CupySession$"}  # a dict; one that takes its options as **options

# The gallery.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("book.scrape",),
    "reset_modules": ("matplotlib", "book.style"),
    "run_stale_examples": True,  # a picture shows what the library does now
    "abort_on_example_error": True,
    "download_all_examples": False,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 3600,
}

copybutton_exclude = ".linenos, .gp, .go"
html_theme = "pydata_sphinx_theme"
html_title = "fastae"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "get-started": [], "performance": []}  # pages without others beside them
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def skip(app: Any, what: str, name: str, member: Any, is_skipped: bool, options: Any) -> bool | None:
    """Leave out what Python itself writes about the fields of a NamedTuple; the class's docstring tells them."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field number") else None


def unlink_folders(app: Any, page: Any) -> None:
    """Leave the words of a link to a folder of the checkout, which a book cannot hold as it holds a file."""
    for link in list(page.findall(addnodes.pending_xref)):
        if link.get("reftype") == "myst" and (HERE / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def setup(app: Any) -> None:
    """Register them."""
    app.connect("autodoc-skip-member", skip)
    app.connect("doctree-read", unlink_folders)
