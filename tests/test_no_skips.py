"""``pytest --no-skips``, for a machine with a GPU: a test that is skipped fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest

def test_that_runs():
    pass

def test_that_skips():
    pytest.skip("no GPU can be used: no NVIDIA driver was found")

@pytest.fixture
def gpu():
    pytest.skip("no GPU can be used: a fixture says so")

def test_whose_fixture_skips(gpu):
    pass
"""


@pytest.mark.thorough
def test_a_skip_is_a_failure_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "conftest",
        str(tmp_path / "test_it.py"),
        "--rootdir",
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for option, summary in (([], "1 passed, 2 skipped"), (["--no-skips"], "1 failed, 1 passed, 1 error")):
        done = subprocess.run([*command, *option], capture_output=True, text=True, env=environment)
        assert summary in done.stdout, done.stdout
        assert ("skipped, where nothing may be: Skipped: no GPU can be used" in done.stdout) == bool(option)
