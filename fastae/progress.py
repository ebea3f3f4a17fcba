"""The bar that shows how far a training is."""

import sys
from typing import Any


class Silence:
    """A progress bar that nobody sees."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int) -> None:
        """Take notice of n images more."""

    def set_description(self, text: str) -> None:
        """Take the text before the bar."""

    def set_postfix_str(self, text: str) -> None:
        """Take the text behind the bar."""


def progress_bar(**options: Any) -> Any:
    """Return the bar of tqdm, which is not even imported where it is disabled: that takes a tenth of a second."""
    disable = options["disable"]
    if disable or (disable is None and not (sys.stderr and sys.stderr.isatty())):
        return Silence()
    from tqdm import tqdm

    return tqdm(**options)
