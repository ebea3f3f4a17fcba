"""What all formats share: error messages, recognising other files, and reading without trusting a file's header."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from fastae.errors import DataError

UNPACKED = 100  # largest allowed ratio of decompression: MNIST's is 5, that of a gzip bomb 1,032
HARMLESS = 1 << 24  # bytes that any file may decompress to: a few identical images are not a bomb
CHUNK = 1 << 18  # bytes per read: large enough to be fast, small enough not to matter if a header is wrong
HEAD = 512  # bytes at the beginning by which a file is recognised
LARGE = 1 << 20  # bytes from which on `placed` is asked for memory
AGAIN = "download or copy the file again"  # the remedy for a damaged file

_RESAVE = "save its arrays: np.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...)"
_UNPACK = "unpack it and give the folder"
_TABLE = "np.save('images.npy', np.loadtxt(FILE, np.uint8, delimiter=',', skiprows=1)[:, 1:])"

# The beginning of a file, what the file is, and the remedy. The first match is reported.
FOREIGN = [
    (rb"(?i)(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|meta|script)\b", "a web page",
     "MNIST's old address answers with one, and MNIST is included: leave --data out, or download the other data anew"),
    (rb"(\xef\xbb\xbf)?\s*<\?xml", "an XML answer of a server, such as that access is denied", AGAIN),
    (rb"version https://git-lfs", "a pointer to a file in Git LFS", "git lfs pull brings the file itself"),
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive", f"{_UNPACK}; name it .npz if NumPy made it"),
    (rb"BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "a packed archive", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x1f\x8b", "a gzip file", "unpack it"),
    (rb"\x93NUMPY", "a NumPy array", "name it .npy"),
    (rb"\x89PNG", "a PNG image", "give a folder of PNG images, named .png"),
    (rb"\xff\xd8\xff|GIF8|BM|II\*\x00|MM\x00\*|RIFF....WEBP", "an image and no PNG", "save it as a grey PNG"),
    (rb"MATLAB ", "a MATLAB file", f"read it with scipy.io.loadmat and {_RESAVE}"),
    (rb"\x89HDF", "an HDF5 file", f"read it with h5py and {_RESAVE}"),
    (rb"PAR1", "a Parquet file", f"read it with pandas and {_RESAVE}"),
    (rb"\x80[\x02-\x05]", "a pickle, which may run programs", f"where you trust it, {_RESAVE}"),
]  # fmt: skip


Place = Callable[[int], "memoryview | None"]  # returns memory for so many bytes, or None
_place: ContextVar[Place] = ContextVar("_place", default=lambda size: None)


@contextmanager
def placed(place: Place) -> Iterator[None]:
    """Within the block, read large files into the memory that a function returns."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def fault(path: Path, wrong: str, expected: str, remedy: str) -> DataError:
    """Return the error that says what is wrong with a file, what was expected and what to do, in one line."""
    # repr, because a name may contain a line break
    return DataError(f"{str(path)!r} {wrong}; expected {expected}; {remedy}")


def head_of(path: Path, expected: str) -> bytes:
    """Return the beginning of a file; raises `DataError` if it is empty or cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        reason = error.strerror or error
        raise fault(path, f"cannot be read ({reason})", expected, "check path and permissions") from error
    if not head:
        raise fault(path, "is empty", expected, AGAIN)
    return head


def refuse_foreign(path: Path, head: bytes, expected: str) -> None:
    """Raise `DataError` if a file with this beginning is known to be something else."""
    for pattern, what, remedy in FOREIGN:
        if re.match(pattern, head, re.DOTALL):
            raise fault(path, f"is {what}", expected, remedy)
    try:
        text = head.decode().strip()
    except UnicodeDecodeError as error:  # the last character may have been cut
        text = head[: error.start].decode().strip() if error.start > len(head) - 4 else ""
    if text and all(character.isprintable() or character.isspace() for character in text):
        first = text.splitlines()[0][:40]
        raise fault(path, f"is text ({first!r})", expected, f"{AGAIN}; if it is a table, {_TABLE}")


def read_exactly(
    path: Path, stream: io.BufferedIOBase, wanted: int, packed: int | None, expected: str
) -> bytearray | memoryview:
    """Read exactly ``wanted`` bytes.

    Memory is allocated only as the file turns out to contain the bytes.

    Parameters
    ----------
    path, expected
        For the messages.
    stream : binary file
    wanted : int
        Number of bytes.
    packed : int, optional
        Size of the compressed file, if the stream decompresses one.

    Raises
    ------
    DataError
        The file ends before, or decompresses to too many times its size.
    """
    most = wanted if packed is None else max(HARMLESS, UNPACKED * packed)
    room = _place.get()(wanted) if LARGE <= wanted <= most else None
    data, count = bytearray(), 0  # grows with what the file holds, and becomes the array's memory without a copy
    while count < wanted and (chunk := stream.read(min(CHUNK, wanted - count))):
        if room is None:
            data += chunk
        else:
            room[count : count + len(chunk)] = chunk
        count += len(chunk)
        if count > most:
            wrong = f"unpacks to more than {UNPACKED} times its {packed:,} bytes"
            raise fault(path, wrong, "images or labels", "unpack it yourself if that is what it holds")
    if count < wanted:
        raise fault(path, f"holds {count:,} bytes of data", expected, AGAIN)
    return data if room is None else room
