"""The text of a learner's file, in any encoding in which an editor saves it."""

import io
import re
import tokenize
from pathlib import Path

from fastae.cuda.includes import decoded, included, shown_name
from fastae.errors import InputError

WIDE = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_source(path: Path) -> str:
    r"""Return the text of a ``.py`` or ``.cu`` file without its byte order mark, its lines ended by ``\n``.

    A ``.py`` file is decoded as Python does it. Bytes of a ``.cu`` file that are not UTF-8 are read as Latin-1, since
    they can be in comments only. `fastae.cuda.includes` inserts the files of its folder that a ``.cu`` file includes.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str

    Raises
    ------
    InputError
        The file cannot be read or decoded, or has another suffix.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: not the name of a file
        raise InputError(f"cannot read the kernels in {path}: {getattr(error, 'strerror', None) or error}") from error
    if path.suffix not in (".py", ".cu"):
        raise InputError(f"{path}: kernels are in a .py or a .cu file")
    wide = next((name for mark, name in WIDE.items() if content.startswith(mark)), None)
    if wide or b"\0" in content:
        line = content.partition(b"\0")[0].count(b"\n") + 1
        reason = f"it is {wide}" if wide else f"line {line} has a null byte, as UTF-16 or what is no text has"
        raise InputError(f"cannot read the kernels in {path}: {reason}; save it as UTF-8")
    encoding = "utf-8-sig"
    try:
        if path.suffix == ".py":
            encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding) if path.suffix == ".py" else decoded(content)
    except UnicodeDecodeError as error:
        line, shown = content.count(b"\n", 0, error.start) + 1, encoding.removesuffix("-sig").upper()
        told = f"line {line} is not {shown}; save it as UTF-8"
        raise InputError(f"cannot read the kernels in {path}: {told}") from error
    except (SyntaxError, LookupError) as error:  # of the coding line
        reason = str(error).partition(" for ")[0]
        raise InputError(
            f"cannot read the kernels in {path}: {reason}; leave out the coding line and save it as UTF-8"
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if path.suffix == ".py":
        return text
    whole = included(text, shown_name(path.name), path.parent)
    return re.sub("[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) - 0xDC00), whole)  # bytes, shown as Latin-1
