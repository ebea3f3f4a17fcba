"""Record the launches of a call with their arguments, to repeat them without fastae's own Python code."""

from collections.abc import Callable
from functools import partial
from typing import Any


def ready(launcher: Any, call: Callable[[], object]) -> list[Callable[[], None]]:
    """Return the launches of a call, in order, with their arguments; nothing is launched."""
    found: list[Callable[[], None]] = []
    compiled = launcher.function

    def function(*arguments: Any, **options: Any) -> Any:
        kernel = compiled(*arguments, **options)
        return lambda grid, block, values: found.append(partial(kernel, grid, block, values))

    launcher.function = function
    try:
        call()
    finally:
        del launcher.function  # the class's own comes back
    return found
