"""Change a module in every small way, one at a time, and see that its tests notice: mutation testing with mutmut.

    pip install mutmut
    nice -n 19 python tests/attacks/mutate.py idx        # or another name in MODULES
    nice -n 19 python tests/attacks/mutate.py idx FOLDER # keeps the copy that is worked on, for `mutmut show`

Works on a copy of the tree. Prints how many mutants there were, how many the tests killed, and each survivor as a
difference; MUTATION.md tells what became of them.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The module, and tests that take seconds and should notice.
CHECKPOINTS = ["test_checkpoints.py", "test_checkpoint_configuration.py"]
TRAINER = ["test_trainer.py", "test_trainer_arguments.py", "test_progress.py"]
MODULES = {
    "idx": (
        "fastae/datasets/idx.py",
        ["test_idx.py", "test_idx_names.py", "test_datasets.py", "test_data_formats.py", "-k", "not shipped"],
    ),
    "storage": (
        "fastae/storage.py",
        ["test_storage.py", "test_model.py", *CHECKPOINTS, *TRAINER, "test_fuzz_corpus.py"]
        + ["-k", "not numba and not flipped"],
    ),
    "model": (
        "fastae/model.py",
        ["test_model.py", *CHECKPOINTS[1:], *TRAINER[1:], "-k", "not every_damaged"],
    ),
    "trainer": (
        "fastae/trainer.py",
        [*TRAINER, *CHECKPOINTS, "test_schedule.py"]
        + ["-k", "not numba and not emulator and not captured and not command and not flipped and not cut_short"],
    ),
    "checkpoints": (
        "fastae/checkpoints.py",
        [*CHECKPOINTS, "test_storage.py", "test_trainer_arguments.py"]
        + ["-k", "not numba and not flipped and not cut_short"],
    ),
    "step": (
        "fastae/step.py",
        ["test_composed_step.py", "test_step.py", *TRAINER[1:]]
        + ["-k", "composed or progress or weights_of_another or pure-python or (numpy and not real and not allocates)"],
    ),
    "numpy": (
        "fastae/backends/numpy_backend/__init__.py",
        ["test_numpy.py", "test_kernels.py", "test_image_kernels.py", "test_kernel_refusals.py", "test_step.py"]
        + ["test_kernel_edges.py", "test_composed_step.py", "test_properties.py", "test_progress.py"]
        + ["-k", "composed or progress or (numpy and not real and not allocates)"],
    ),
}
SETUP = """[mutmut]
source_paths = fastae
only_mutate = {module}
pytest_add_cli_args_test_selection =
    {tests}
pytest_add_cli_args =
    -p
    no:xdist
    -p
    no:cacheprovider
    -x
    --assert=plain
use_git_change_detection = false
do_not_mutate_patterns =
    {texts}
"""
# Lines of nothing but a message: whether a test knows every word of it says little of the arithmetic.
TEXTS = [r'^\s*raise \w+\(f?"', r'^\s*f?"[^"]*"[,)]*$', r"^\s*(wrong|remedy|reason) = "]
SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[2:]:
    print("# " + name, get_diff_for_mutant(name, path=sys.argv[1]), sep="\\n")
"""


def main() -> None:
    """Mutate the module that the first argument names."""
    module, tests = MODULES[sys.argv[1]]
    if len(sys.argv) > 2:
        mutate(Path(sys.argv[2]), module, tests)
    else:
        with tempfile.TemporaryDirectory() as folder:
            mutate(Path(folder), module, tests)


def mutate(folder: Path, module: str, tests: list[str]) -> None:
    """Copy the tree into the folder, run mutmut there, and report."""
    for name in ("fastae", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    texts = "\n    ".join(TEXTS if module != MODULES["idx"][0] else ["$^"])  # whose messages the tests know
    selected = "\n    ".join(with_paths(tests))
    (folder / "setup.cfg").write_text(SETUP.format(module=module, tests=selected, texts=texts))
    (folder / module).write_text(undecorated((folder / module).read_text()))
    mutmut = [sys.executable, "-m", "mutmut"]
    whole = os.environ | {"FASTAE_SEEDS": "20"}  # the tests' grids in full
    subprocess.run([*mutmut, "run", "--max-children", "2"], cwd=folder, check=True, stdout=sys.stderr, env=whole)
    told = subprocess.run([*mutmut, "results", "--all", "true"], cwd=folder, check=True, text=True, capture_output=True)
    results = [line.strip().rsplit(": ", 1) for line in told.stdout.splitlines() if ": " in line]
    print(module, dict(Counter(status for _, status in results)))
    living = [name for name, status in results if status != "killed"]
    show = [sys.executable, "-c", SHOW, module, *living]  # `mutmut show` takes seconds for each
    shown = subprocess.run(show, cwd=folder, check=True, text=True, capture_output=True).stdout
    for line in shown.splitlines():
        if line[:1] in ("+", "-") and line[:3] not in ("+++", "---"):
            print(line)
        elif line.startswith("# "):
            print(f"\n{line}: {dict(results)[line[2:]]}")


def with_paths(arguments: list[str]) -> list[str]:
    """Return pytest's arguments with the paths of the test files, whose names are unique."""
    paths = {path.name: str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    return [paths[word] if word.endswith(".py") else word for word in arguments]


def undecorated(source: str) -> str:
    """Return the same module with ``f = decorator(f)`` for decorators of functions, which mutmut passes over."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for function in sorted(functions, key=lambda function: -function.lineno):
        for decorator in reversed(function.decorator_list):
            text = ast.unparse(decorator)
            if text not in ("classmethod", "staticmethod", "property"):
                indent = " " * function.col_offset
                lines.insert(function.end_lineno, f"{indent}{function.name} = {text}({function.name})")
                del lines[decorator.lineno - 1]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
