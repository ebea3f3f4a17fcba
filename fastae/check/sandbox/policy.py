"""What the text of a learner's file must not contain, found before the file is run: a reason for each, with its line.

Code that this does not see (names put together at run time, generated code) is denied by
`fastae.check.sandbox.confine`, and cannot reach the judge in any case. The purpose here is a clear message.

`python_policy` and `cuda_policy` have the rules of the two languages.
"""

import ast
from pathlib import Path

from fastae.backends.contract import KERNELS
from fastae.backends.emulator.source import kernels_of
from fastae.check.sandbox.cuda_policy import of_cuda
from fastae.check.sandbox.python_policy import imported, of_python
from fastae.cuda.includes import shown_name


def kernels_in(path: Path, text: str) -> list[str]:
    """Return the kernels of the contract that a file seems to define, without running it."""
    if path.suffix == ".cu":
        return [name for name in KERNELS if name in kernels_of(text)]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    names = set(imported(tree))
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return [name for name in KERNELS if name in names]


def reasons(path: Path, text: str) -> list[str]:
    """Return the reasons to refuse a file before it is run; empty if there is none."""
    return of_cuda(text, shown_name(path.name)) if path.suffix == ".cu" else of_python(text)
