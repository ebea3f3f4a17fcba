"""Write the cases that corpus/ begins with: sound files, and attacks that a fuzzer would take long to think of.

python tests/attacks/seeds.py
"""

import gzip
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from attacks.targets import npy, sound  # noqa: E402

HUGE = 2**32 - 1


def header(*dims: int) -> bytes:
    """Return an IDX header."""
    return struct.pack(f">{1 + len(dims)}I", 0x0800 + len(dims), *dims)


def idx_cases() -> dict[str, bytes]:
    """Name the cases of the IDX reader; the first byte is the target's mode."""
    images, labels = header(2, 3, 2) + bytes(range(12)), header(4) + bytes(4)
    members = b"".join(gzip.compress(images[i : i + 1], mtime=0) for i in range(len(images)))
    return {
        "labels": b"\0" + labels,
        "images": b"\1" + images,
        "labels-gz": b"\2" + gzip.compress(labels, mtime=0),
        "images-gz": b"\3" + gzip.compress(images, mtime=0),
        "labels-packed": b"\4" + labels,
        "images-packed": b"\5" + images,
        "billions": b"\1" + header(HUGE, HUGE, HUGE) + b"1",
        "billions-packed": b"\5" + header(HUGE, HUGE, HUGE) + b"1",
        "wraps": b"\1" + header(321_314, 884_639, 2_985_257_677) + bytes(6),
        "bomb": b"\3" + gzip.compress(header(3, 2**11, 2**12) + bytes(3 * 2**23), 9, mtime=0),
        "many-members": b"\3" + members,
        "empty-members": b"\3" + gzip.compress(b"", mtime=0) * 200,
        "named": b"\3" + b"\x1f\x8b\x08\x1c" + bytes(6) + b"\x04\0abcdname\0comment\0" + b"\3\0" + bytes(8),
    }


def npy_header(text: str, version: bytes = b"\1\0", data: bytes = b"") -> bytes:
    """Return a .npy file with that header, which the reader evaluates."""
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text) + 1)
    return b"\x93NUMPY" + version + size + text.encode() + b"\n" + data


def described(descr: str, shape: str, order: str = "False", data: bytes = b"") -> bytes:
    """Return a .npy file of that dtype and shape."""
    return npy_header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}", data=data)


ARRAYS = {
    "sound": npy(np.zeros((2, 1), np.float32)),
    "fortran": described("'<f4'", "(2, 1)", "True", bytes(8)),
    "big-endian": described("'>f4'", "(2, 1)", data=bytes(8)),
    "object": described("'|O'", "(2, 1)", data=b"\x80\x04N."),
    "nested": described("[('x', [('y', [('z', '<f4', (3, 3))])])]", "(2, 1)", data=bytes(72)),
    "nested-object": described("[('x', '<f4'), ('y', '|O')]", "(2, 1)", data=bytes(24)),
    "no-size": described("'|V0'", f"({2**62},)"),
    "no-width": described("'<U0'", f"({2**40}, {2**20})"),
    "wide": described("'|V2147483647'", "(2, 1)"),
    "huge": described("'<f4'", f"({2**30}, {2**8})", data=bytes(8)),
    "wraps": described("'<f8'", f"({2**61}, 8)", data=bytes(8)),
    "negative": described("'<f4'", "(-2, -1)", data=bytes(8)),
    "minus-one": described("'<f4'", "(-1, 1)", data=bytes(8)),
    "true": described("'<f4'", "(2, True)", data=bytes(8)),
    "float-shape": described("'<f4'", "(2.0, 1)", data=bytes(8)),
    "digits": described("'<f4'", "(" + "9" * 4200 + ", 1)", data=bytes(8)),
    "python-2": described("'<f4'", "(2L, 1L)", data=bytes(8)),
    "parentheses": npy_header("(" * 2000),
    "minuses": npy_header("-" * 4000 + "1"),
    "version-3": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", b"\3\0", bytes(8)),
    "long-header": npy_header("{" + " " * 2000 + "}", b"\2\0"),
    "subarray": described("('<f4', (1000000, 1000000))", "(2, 1)"),
    "strings": described("'<U3'", "(2, 1)", data=bytes(24)),
    "dates": described("'<M8[s]'", "(2, 1)", data=bytes(16)),
}


def _model(**changes: object) -> bytes:
    config = {"kind": "model", "sizes": [2, 1], "seed": 5, "dtype": "float32", "init": "glorot-sigmoid"}
    return b"\2" + json.dumps(config | changes).encode()


def _checkpoint(settings: dict[str, object] | None = None, **changes: object) -> bytes:
    epoch = {"epoch": 1, "train_loss": 0.5, "test_mse": None, "seconds": 0.1, "images_per_second": 50.0}
    own = {"sizes": [2, 1], "init": "glorot-sigmoid", "model_seed": 5, "dtype": "float32", "loss": "mse", "lr": 0.5}
    own |= {"momentum": 0.0, "batch_size": 2, "seed": 1, "backend": "numpy", "tf32": False}
    config = {"kind": "checkpoint", "settings": own | (settings or {}), "workers": 1, "epochs": [epoch]} | changes
    return b"\3" + json.dumps(config).encode()


EPOCH = {"epoch": 1, "train_loss": 0.5, "test_mse": None, "seconds": 0.1, "images_per_second": 50.0}
CONFIGS = {
    "model": _model(),
    "sizes-huge": _model(sizes=[10**9, 10**9]),
    "sizes-large": _model(sizes=[20_000, 20_000]),
    "sizes-endless": _model(sizes=[10**1000, 2]),
    "sizes-many": _model(sizes=[1] * 500),
    "sizes-negative": _model(sizes=[-2, 1]),
    "sizes-text": _model(sizes="two"),
    "sizes-true": _model(sizes=[2, True]),
    "sizes-nan": _model(sizes=[2, float("nan")]),
    "seed-huge": _model(seed=10**1000),
    "seed-negative": _model(seed=-1),
    "dtype-fields": _model(dtype={"names": ["a"], "formats": ["f4"], "itemsize": 1}),
    "dtype-object": _model(dtype="O"),
    "dtype-lines": _model(dtype="f4\nf4"),
    "dtype-python": _model(dtype="float32,("),
    "dtype-huge": _model(dtype="(999999999,999999999)f4"),
    "init-nan": _model(init=float("nan")),
    "init-infinite": _model(init=float("inf")),
    "init-huge": _model(init=10**400),
    "init-list": _model(init=[1]),
    "kind-lines": _model(kind="a\nb"),
    "kind-long": _model(kind="x" * 3000),
    "kind-list": _model(kind=["model"]),
    "list": b"\2[]",
    "text": b'\2"kind"',
    "deep": b"\2" + b"[" * 3000,
    "deep-kind": b'\2{"kind": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "digits": b'\2{"kind": ' + b"1" * 4500 + b"}",
    "utf-16": b"\2" + _model()[1:].decode().encode("utf-16"),
    "surrogate": b'\2{"kind": "\\ud800"}',
    "checkpoint": _checkpoint(),
    "epoch-text": _checkpoint(epochs=[EPOCH | {"train_loss": "low", "seconds": "long"}]),
    "epoch-null": _checkpoint(epochs=[EPOCH | {"seconds": None}]),
    "epoch-order": _checkpoint(epochs=[EPOCH | {"epoch": 7}, EPOCH | {"epoch": 7}]),
    "epoch-infinite": _checkpoint(epochs=[EPOCH | {"train_loss": float("inf")}]),
    "epoch-dict": _checkpoint(epochs={"epoch": 1}),
    "epoch-many": _checkpoint(epochs=[{}] * 300),
    "workers-text": _checkpoint(workers="two"),
    "workers-none": _checkpoint(workers=None),
    "workers-huge": _checkpoint(workers=10**100),
    "settings-list": _checkpoint()
    .replace(b'"settings": {', b'"settings": [{')
    .replace(b'}, "workers"', b'}], "workers"'),
    "settings-true": _checkpoint({"batch_size": 2.0, "tf32": 0, "seed": True}),
    "settings-long": _checkpoint({"loss": "x" * 3000}),
    "settings-lines": _checkpoint({"loss": "a\nb"}),
}


def archives() -> dict[str, bytes]:
    """Name the cases that are a whole archive; mode 0 checks its checksums, mode 1 takes them for right."""
    model = sound("model")
    weight = npy(np.zeros((2, 1), np.float32))
    cases = {"raw-" + kind: b"\0" + sound(kind, momentum) for kind, momentum in [("model", 0.0), ("checkpoint", 0.5)]}
    cases |= {"open-" + kind: b"\1" + sound(kind) for kind in ("model", "checkpoint")}
    cases["cut"] = b"\0" + model[: len(model) // 2]
    cases["empty"] = b"\0"
    for name, method in [("deflate", zipfile.ZIP_DEFLATED), ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)]:
        cases["bomb-" + name] = b"\1" + _lying(weight + bytes(4 << 20), method)
    cases["overlap"] = b"\1" + _overlapping(150, npy(np.zeros(10_000, np.uint8)))
    cases["twice"] = b"\1" + _twice(model, weight)
    return cases


def _lying(data: bytes, method: int) -> bytes:
    """Return an archive whose entry is compressed but claims to be as large as it is there."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("weight0.npy", data)
        entry = archive.infolist()[0]
        entry.file_size = entry.compress_size  # the directory is written from it
    return file.getvalue()


def _overlapping(entries: int, data: bytes) -> bytes:
    """Return an archive whose entries are all the same bytes, so that reading it takes their size times their number.

    Each entry's header takes those that follow for a field of its own (Fifield, A better zip bomb, 2019).
    """
    names = [b"%03d" % i for i in range(entries)]
    local = 30 + 3
    headers, directory = b"", b""
    for i, name in enumerate(names):
        common = struct.pack("<HHHHHIII", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data))
        headers += b"PK\3\4" + common + struct.pack("<HH", len(name), local * (entries - 1 - i)) + name
        directory += b"PK\1\2\24\0" + common + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, local * i) + name
    start = len(headers) + len(data)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, entries, entries, len(directory), start, 0)
    return headers + data + directory + end


def _twice(content: bytes, weight: bytes) -> bytes:
    """Return the archive with a second entry of one name."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo("weight0"), weight)
    return file.getvalue()


def main() -> None:
    """Write all cases, each in a file of its name."""
    cases = {f"array-{name}": b"\4" + data for name, data in ARRAYS.items()}
    cases |= {f"config-{name}": data for name, data in CONFIGS.items()} | archives()
    for target, named in [("idx", idx_cases()), ("checkpoint", cases)]:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in named.items():
            (folder / name).write_bytes(content)
        print(f"{target}: {len(named)} cases, {sum(map(len, named.values())):,} bytes")


if __name__ == "__main__":
    main()
