"""The cases that the fuzzers found or that were thought of, replayed; see `fuzz.py`."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import targets

CORPUS = Path(__file__).parent / "corpus"
CASES = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]


@pytest.fixture(autouse=True, scope="module")
def _folder() -> Iterator[None]:
    yield
    shutil.rmtree(targets.folder(), ignore_errors=True)
    targets.tracemalloc.stop()


def test_the_corpus_is_there_and_small() -> None:
    for name in targets.TARGETS:
        assert len([path for target, path in CASES if target == name]) >= 10
    assert sum(path.stat().st_size for _, path in CASES) < 130_000


@pytest.mark.parametrize(("target", "path"), CASES, ids=[f"{target}-{path.name}" for target, path in CASES])
def test_a_case_is_read_or_refused_in_little_time_and_memory(target: str, path: Path) -> None:
    began = time.process_time()
    targets.TARGETS[target](path.read_bytes())
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["idx/bomb", "checkpoint/bomb-deflate", "checkpoint/overlap", "checkpoint/array-huge"])
def test_a_reader_that_trusts_a_file_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This shows that the targets would notice."""
    monkeypatch.setattr(targets, "read_idx", lambda path, ndim: bytearray(2**25))
    monkeypatch.setattr(targets.storage, "read", lambda path, kind: bytearray(2**25))
    with pytest.raises(AssertionError, match="were taken"):
        targets.TARGETS[name.partition("/")[0]]((CORPUS / name).read_bytes())
