"""The tests marked ``gpu``, of which none may skip: those of persistent mode apart."""

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
    """Tells every failure as soon as it is known, and counts what was right."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.passed = self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of one test, or of what its fixtures did."""
        if report.failed:
            self.failed += 1
            self._told(report)
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell that a file cannot be read."""
        if report.failed:
            self.failed += 1
            self._told(report)

    def _told(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        words = crash.message if crash else (report.longreprtext.strip().splitlines() or ["not a word"])[-1]
        self._findings.check(report.nodeid, False, " ".join(words.split())[:300])


def others(findings: Findings, rehearse: bool) -> None:
    """Run all but persistent mode's, in several processes where there is pytest-xdist."""
    several = not rehearse and importlib.util.find_spec("xdist") is not None
    _run(findings, rehearse, f"not ({PERSISTENT})", ["-n", WORKERS, "--dist", "worksteal"] if several else [])


def persistent(findings: Findings, rehearse: bool) -> None:
    """Run persistent mode's, one after another."""
    _run(findings, rehearse, PERSISTENT, [])


def _run(findings: Findings, rehearse: bool, names: str, more: list[str]) -> None:
    """Run those of these names; in a rehearsal some of the same tests with the stand-in for CuPy."""
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
