"""Traces of small launches, made while the book is built and put into its pages."""

import html
from typing import Any

from IPython.display import HTML

from fastae.backends.emulator import Trace
from fastae.ladder.rungs import ladder
from fastae.trace.launches import record, shape_of
from fastae.trace.page import page


def embed(trace: Trace) -> HTML:
    """Return a trace's page in a frame of this one."""
    title, inside = html.escape(f"trace of {trace[0].kernel}, step by step"), html.escape(page(trace))
    frame = f'<iframe sandbox="allow-scripts" title="{title}" srcdoc="{inside}"></iframe>'
    return HTML(f'<div class="trace">{frame}</div>')


def of_rung(name: str, number: int, **lengths: int) -> HTML:
    """Trace a rung of a ladder for CUDA, of these lengths or of its kernel's small ones."""
    rung = ladder(name, "cuda")[number - 1]
    return embed(record(rung.load("emulator"), rung.kernel, shape_of(rung.kernel, lengths)))


def of_library(kernel: str, **lengths: int) -> HTML:
    """Trace the library's own kernel."""
    from fastae import backends

    backend: Any = backends.get("emulator")
    before, backend.launcher.multiprocessors = backend.launcher.multiprocessors, 1  # which alone needs no small tiles
    try:
        return embed(record(backend, kernel, shape_of(kernel, lengths)))
    finally:
        backend.launcher.multiprocessors = before
