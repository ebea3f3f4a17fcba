"""Cheats: files that try to be called right, or fast, without being so. Each is refused by its name, or called wrong.

A file of ``cheats/`` says what it tries, in which family, and what the judge must say of it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sampling import sample

import fastae
from fastae import cli
from fastae.backends.emulator import EmulatorBackend
from fastae.check import exhibits
from fastae.check.sandbox import cuda_policy, policy, python_policy
from fastae.ladder.rungs import KERNELS, Rung, ladder

FOLDER = Path(__file__).parent / "cheats"
CHEATS = sorted(path for path in FOLDER.iterdir() if path.suffix in (".py", ".cu"))
FAMILIES = {"clock", "memory", "the judge", "exit and signals", "other people's kernels"}


def said(path: Path, what: str) -> str:
    """Return what the head of a file says after a word and a colon."""
    match = re.search(rf"^(?://\s*)?{what}: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def judged(path: Path | None, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    assert path is not None
    backend = ("--backend", "emulator") if path.suffix == ".cu" else ()
    status = cli.main(["check", "--json", "--patience", "120", *backend, *options, str(path)])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("path", CHEATS, ids=lambda path: path.name)
def test_a_cheat_is_refused_by_its_name_or_wrong(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if path.suffix == ".cu" and not EmulatorBackend.availability().ok:
        pytest.fail(f"the emulator is missing: {EmulatorBackend.availability().remedy}")
    refused = said(path, "Refused")
    status, found = judged(
        path, capsys, *([] if path.stem in ("clock_timed_shapes", "clock_early") else ["--no-speed"])
    )
    assert (status, found["right"], found["verdict"]) == (1, False, "refused" if refused else "wrong")
    (kernel,) = found["kernels"]
    assert (kernel["kernel"] in ("bce_gradient", "column_sum"), kernel["verdict"]) == (True, found["verdict"])
    text = json.dumps([[p["what"], p["case"], p["causes"]] for p in kernel["problems"]])
    assert re.search(refused or said(path, "Wrong"), text), text


def test_there_are_cheats_of_every_family_in_every_language() -> None:
    assert {said(path, "Family") for path in CHEATS} == FAMILIES
    assert len(CHEATS) >= 25
    assert sum(path.suffix == ".cu" for path in CHEATS) >= 6
    assert sum("numba" in path.read_text(encoding="utf-8") for path in CHEATS) >= 2
    assert len(HONEST) >= 90


HONEST = sorted(
    path
    for folder in ("ladder", "check/gallery")
    for path in (Path(fastae.__file__).parent / folder).rglob("[0-9a-z]*.*")
    if path.suffix in (".py", ".cu") and (folder != "ladder" or path.parent.name in ("numpy", "numba", "cuda"))
)


@pytest.mark.parametrize("path", HONEST, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_honest_is_not_refused(path: Path) -> None:
    assert policy.reasons(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\ndef matmul(a, b, out, trans_a, trans_b, alpha, beta):\n    np.matmul(a, b, out=out)\n",
        "import os\nimport time\n\nTHREADS = os.cpu_count()\n\ndef axpy(alpha, x, y):\n    y += alpha * x\n",
        "from scipy import signal\nimport scipy.signal\nfrom scipy.signal import convolve2d\n",
        "import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport numba\nnumba.config.THREADING_LAYER = 'omp'\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fastae.backends.base import Backend\n",
        "import gc\nimport inspect\ngc.disable()\ninspect.signature(len)\n",
        "class T:\n    pass\nt = T()\nt.modules = [1]\ndef main():\n    input(vars(t))\n    open('settings.txt')\n",
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n",
        "import numpy as np\nnp.seterr(all='ignore')\nclass T:\n    pass\nt = T()\nt.x = 1\n",
        'if __name__ == "__main__":\n    import fastae.backends\n    import timeit\n    open("x", "w")\n',
        '"""A kernel that is compared with fastae.backends later."""\nfrom fastae.datasets import load_images\n',
        "import numpy as np\nfrom numba import njit, prange\n@njit(parallel=True)\ndef axpy(alpha, x, y):\n    pass\n",
    ],
)
def test_habits_of_honest_people_are_not_refused(text: str) -> None:
    assert python_policy.of_python(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "#include <float.h>\n__device__ float least = FLT_MAX;\n",
        "#include <cuda_fp16.h>\n#include <math.h>\n// system() in a comment, asm too\nconstexpr int T = 8;\n",
        "__constant__ float table[2] = {1, 2};\nstatic const int N = 4 * (2 + 2);\n#define write(x) out = (x)\n",
        '__device__ float f(float x) { const char* s = "system(1)"; return expf(x); }\n',
        "template <class T> struct Tile { T v[4]; __device__ T sum() const { return v[0]; } };\n",
    ],
)
def test_ordinary_cuda_is_not_refused(text: str) -> None:
    assert cuda_policy.of_cuda(text) == []


GALLERY = exhibits.exhibits()
# Of each ladder the first rung and the last: the ladders' own tests judge the others, in one process. For Numba, which
# compiles a step with each, the last alone.
RUNGS = [
    ladder(key, language)[i]
    for key in KERNELS
    for language, places in (("numpy", (0, -2)), ("numba", (-2,)), ("cuda", (0, -2)))
    for i in places
]


@pytest.mark.parametrize("exhibit", sample(GALLERY[::3], 4, lambda exhibit: exhibit.name))
def test_two_processes_judge_the_gallery_as_one_does(
    exhibit: exhibits.Exhibit, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(["check", "--gallery", exhibit.name, "--json", "--no-speed", "--seed", "7"])
    found = json.loads(capsys.readouterr().out)
    assert (status, found["kernels"][0]["verdict"]) == (int(exhibit.verdict == "wrong"), exhibit.verdict)
    problem = found["kernels"][0]["problems"][0]
    assert re.search(exhibit.cause, " ".join([problem["what"], *problem["causes"][:1]])), problem


@pytest.mark.parametrize("rung", sample(RUNGS, 14, lambda rung: rung.exercise))
def test_two_processes_judge_the_rungs_as_one_does(rung: Rung, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = judged(rung.path, capsys, "--no-speed", "--seed", "7")
    assert (status, found["verdict"], found["kernels"][0]["kernel"]) == (0, "right", rung.kernel)
    assert found["uses"] == python_policy.given(rung.source)
