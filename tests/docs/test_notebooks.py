"""The two notebooks run from top to bottom, and have what a hosted service needs."""

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.thorough  # and so is the import of what runs notebooks, which `make test` does not install
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_two_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["assignment", "first_kernel"]


@notebooks
def test_it_begins_with_the_one_install_and_holds_no_output(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].source == "%pip install -q fastae"
    assert code[0].metadata.tags == ["skip-execution"]  # by nbclient and by the book, not by a hosted service
    assert not any("skip-execution" in cell.metadata.get("tags", []) for cell in code[1:])
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert "import book" not in path.read_text(encoding="utf-8")  # which is in a checkout only


@notebooks
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client")
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = "\n".join(
        str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    assert "Traceback" not in shown
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
    if path.stem == "first_kernel":  # `!` does not fail with its command
        assert shown.count("WRONG") == 2  # the two planted mistakes
        assert shown.count("the model: right") == 2
        assert shown.count("test error") == 2
        assert list(tmp_path.glob("runs/*/model.npz"))
