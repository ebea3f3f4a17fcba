"""Learners' files as editors save them: byte order marks, encodings, ends of lines; what is no text is refused."""

import codecs
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import posix, refused, shell

from fastae.check import learner
from fastae.check.file.reading import read_source
from fastae.errors import InputError

PLAIN = "def axpy(alpha, x, y):\n    y += alpha * x  # dérivée\n"
CUDA = """// launch axpy: grid (ceil(m * n / 64)), block (64)
// dérivée
extern "C" __global__ void axpy(int m, int n, real alpha, const real* alpha_at, const real* x, long long x_stride,
                                real* y, long long y_stride) {
  if (alpha_at) alpha = *alpha_at;
  const int i = blockIdx.x * 64 + threadIdx.x, row = i / n, col = i % n;
  if (row < m) y[row * y_stride + col] += alpha * x[row * x_stride + col];
}
"""
LATIN = "# -*- coding: latin-1 -*-\n"
SAVED = {
    "UTF-8": (".py", PLAIN.encode()),
    "a byte order mark": (".py", codecs.BOM_UTF8 + PLAIN.encode()),
    "CRLF": (".py", PLAIN.replace("\n", "\r\n").encode()),
    "a coding line": (".py", (LATIN + PLAIN).encode("latin-1")),
    "a coding line below another": (".py", ("#!/usr/bin/python\r\n" + LATIN + PLAIN).encode("latin-1")),
    "a mark and a coding line that agree": (".py", codecs.BOM_UTF8 + b"# coding: utf-8\n" + PLAIN.encode()),
    "CUDA with a mark": (".cu", codecs.BOM_UTF8 + CUDA.encode()),
    "CUDA with CRLF and a mark": (".cu", codecs.BOM_UTF8 + CUDA.replace("\n", "\r\n").encode()),
    "CUDA in Latin-1": (".cu", CUDA.encode("latin-1")),
}
UNREADABLE = {
    "UTF-16": (".py", PLAIN.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    "big-endian UTF-16": (".py", codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "it is UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (".py", PLAIN.encode("utf-16-le"), "line 1 has a null byte, as UTF-16"),
    "UTF-32": (".py", PLAIN.encode("utf-32"), "it is UTF-32; save it as UTF-8"),
    "a null byte": (".py", PLAIN.encode() + b"# \0\n", "line 3 has a null byte"),
    "Latin-1 without a coding line": (".py", PLAIN.encode("latin-1"), "line 2 is not UTF-8; save it as UTF-8"),
    "a coding that is not kept": (".py", b"# coding: utf-8\n" + PLAIN.encode("latin-1"), "line 3 is not UTF-8"),
    "an unknown coding": (".py", b"# coding: latin-99\n" + PLAIN.encode(), "unknown encoding: latin-99; leave out"),
    "a mark and another coding": (".py", codecs.BOM_UTF8 + (LATIN + PLAIN).encode(), "leave out the coding line"),
    "CUDA in UTF-16": (".cu", CUDA.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    "CUDA with a null byte": (".cu", CUDA.encode() + b"\0", "line 9 has a null byte"),
    "another suffix": (".png", b"\x89PNG\0", "kernels are in a .py or a .cu file"),
}  # fmt: skip


@pytest.mark.parametrize("how", SAVED)
def test_a_file_is_read_as_python_and_compilers_read_it(how: str, tmp_path: Path) -> None:
    suffix, content = SAVED[how]
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    text = read_source(path)
    assert "dérivée" in text
    assert "\ufeff" not in text
    assert "\r" not in text
    k: Any = learner.load(path, "emulator" if suffix == ".cu" else "auto")
    assert k.kernels == ("axpy",)
    y = k.asarray(np.ones(3))
    k.axpy(2.0, k.asarray(np.arange(3.0)), y)
    assert k.to_host(y).tolist() == [1, 3, 5]


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_file_that_is_no_text_is_refused_in_one_line(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix, content, words = UNREADABLE[how]
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        learner.load(path)
    error = refused(capsys, "check", path)
    assert words in error
    assert str(path) in error


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@posix
@pytest.mark.parametrize(
    ("name", "oops"), [("mine.cu", ""), ("mine.cu", "ø"), pytest.param("σ.cu", "", marks=pytest.mark.thorough)]
)
def test_an_ascii_locale_changes_nothing(name: str, oops: str, tmp_path: Path) -> None:
    """What is compiled is written anew, in UTF-8; what a compiler quotes is read so too."""
    (tmp_path / name).write_text(CUDA.replace("if (row < m)", f"if (row < m{oops}) /* σ */"), encoding="utf-8")
    options = ["--no-speed", "--json", "--seed", 1, "--backend", "emulator"]
    done = shell("check", *options, name, cwd=tmp_path, **ASCII, XDG_CACHE_HOME=str(tmp_path / "cache"))
    if oops:
        assert done.returncode in (1, 2)
        assert b"Unicode" not in done.stdout + done.stderr
        assert b"mine.cu:7:" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["right"]
