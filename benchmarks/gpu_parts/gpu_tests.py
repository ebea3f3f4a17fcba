"""Run the tests marked ``gpu``, of which none may be skipped; those of persistent mode separately."""

import importlib.util
import re
from pathlib import Path

import pytest
from gpu_parts.findings import Findings

ROOT = Path(__file__).resolve().parent.parent.parent
USES = re.compile(r'^def test_\w+\([^)]*\bcupy\b|usefixtures\("cupy"\)', re.MULTILINE)  # conftest.py's, a GPU's too
PERSISTENT = "persistent or all_modes or bad_modes or one_multiprocessor"  # in their names or parameters
WORKERS = "8"


class Told:
    """A pytest plugin that reports each failure at once, and counts the passed tests."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.passed = self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of a test or of its fixtures."""
        if report.failed:
            self.failed += 1
            self._told(report)
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a file that cannot be collected."""
        if report.failed:
            self.failed += 1
            self._told(report)

    def _told(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        words = crash.message if crash else (report.longreprtext.strip().splitlines() or ["not a word"])[-1]
        self._findings.check(report.nodeid, False, " ".join(words.split())[:300])


def others(findings: Findings, rehearse: bool) -> None:
    """Run all tests but those of persistent mode, in several processes if pytest-xdist is installed."""
    several = not rehearse and importlib.util.find_spec("xdist") is not None
    _run(findings, rehearse, f"not ({PERSISTENT})", ["-n", WORKERS, "--dist", "worksteal"] if several else [])


def persistent(findings: Findings, rehearse: bool) -> None:
    """Run the tests of persistent mode, one after another."""
    _run(findings, rehearse, PERSISTENT, [])


def _run(findings: Findings, rehearse: bool, names: str, more: list[str]) -> None:
    """Run the tests with these names; in a rehearsal, run some of them with the stand-in for CuPy."""
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if USES.search(path.read_text())]
    if rehearse:
        files = [file for file in files if file.endswith("test_modes.py")]
        names = f"({names}) and stand-in and (without_another_capture or default)"
    told = Told(findings)
    # What other libraries call deprecated is no fault of a kernel; `make test` has warnings for errors.
    status = pytest.main(
        ["-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", "-W", "default", "--no-skips", "--tb=short",
         "--continue-on-collection-errors",
         "-m", "not gpu" if rehearse else "gpu", "-k", names, *more, *files],
        plugins=[told],
    )  # fmt: skip
    detail = f"{told.passed} passed, {told.failed} failed" + (f"; pytest's status is {status:d}" if status > 1 else "")
    findings.check("the tests marked gpu", told.passed > 0 and status == 0, detail)
