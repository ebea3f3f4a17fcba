"""Change the compiled kernels in every small way, one at a time, and see that their tests notice.

    pip install mutmut
    python tests/attacks/mutate_kernels.py numba/tiles cuda/tile.cuh   # or nothing: all of them, some five hours
    python tests/attacks/mutate_kernels.py --share 0.3             # a random sample, the same each time
    python tests/attacks/mutate_kernels.py --after 0.3 --share 0.5 # what half of them has more

mutmut switches its mutants on at run time, which compiled code does not allow. So here each is a source of its own, in
a copy of the tree, compiled and tested in fresh processes: Numba's with the changes that mutmut makes, CUDA's, run by
the emulator, with those of `CUDA`. Prints how many the tests killed, and each survivor as a difference; MUTATION.md
tells what became of them.
"""

import argparse
import difflib
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mutate import ROOT, undecorated, with_paths
from tqdm import tqdm

NUMBA_FILES = ("activations", "elementwise", "kernels", "operations", "session", "simd", "sparse", "tiles", "waiting")
CUDA_FILES = (
    *(
        "activation.cu",
        "activations.cuh",
        "barrier.cuh",
        "common.cuh",
        "convolutions.cu",
        "convolve.cu",
        "descent.cuh",
        "elementwise.cu",
    ),
    *("folds.cu", "losses.cu", "matmul.cu", "multiply_adds.cuh", "operations.cu", "operations.cuh", "patches.cu"),
    *("patches.cuh", "persistent.cu", "ranks.cu", "sums.cuh", "tensor_cores.cuh", "tile.cuh"),
)
FILES = {f"numba/{name}": f"fastae/backends/numba_backend/{name}.py" for name in NUMBA_FILES}
FILES |= {f"cuda/{name}": f"fastae/cuda/{name}" for name in CUDA_FILES}

# Runs of pytest, of which one must fail: a quick one first, then those that find what it lets pass.
PRODUCTS = ["test_kernels.py", "-k", "numba and matmul and float32"]
FORMULAS = ["test_kernels.py", "test_kernel_edges.py", "test_elementwise.py", "-k", "numba and not matmul"]
KERNELS = [*FORMULAS[:3], "test_kernel_refusals.py", "test_sparse.py", "-k", "numba"]
ONE_STEP = ["test_step.py", "-k", "numba and one_step and float32 and mse"]
STEPS = ["test_step.py", "-k", "numba and float64 and one_step or numba and (momentum or any_number or total)"]
TEAM = ["test_team.py", "test_numba_session.py"]
CUDA_STEP = ["test_modes.py", "-k", "any_size or few_blocks"]
TENSOR_CORES = ["test_nvrtc.py", "test_modes.py", "-k", "operands or rounds_the_inputs"]
PERSISTENT = ["test_modes.py", "-k", "all_modes and mse and float32 or multiprocessor"]
ON_CUDA = ["test_cupy.py", "-k", "stand-in"]
EMULATED = [
    *("test_emulator.py", "test_traffic.py", "test_modes.py", "test_cupy.py"),
    *("-k", "our_matmul or whole_step or hundred_steps or test_cuda"),
]
MODES = [
    "test_modes.py",
    "test_captures.py",
    "-k",
    "all_modes or tf32 or tile or persistent or barrier",
]
PATCHES = ["test_cuda_convolutions.py", "test_convolutional_trainings.py"]
CONVOLUTIONS = [*PATCHES, "-k", "stand-in and (bit or few_blocks or activations or any_size)"]
CONVOLVED = [*PATCHES, "-k", "not mnist"]
NVRTC = ["test_nvrtc.py"]
TESTS = {"numba": [PRODUCTS, KERNELS, ONE_STEP], "cuda": [CUDA_STEP, ON_CUDA, EMULATED, NVRTC]}
TESTS["numba/activations"] = TESTS["numba/elementwise"] = [FORMULAS, ONE_STEP]
TESTS["numba/kernels"] = [["test_numba_loops.py"], PRODUCTS, KERNELS]
TESTS["numba/sparse"] = [["test_sparse.py"], ONE_STEP]
TESTS["numba/operations"] = [["test_operations.py"], ONE_STEP, STEPS, TEAM]
TESTS["numba/waiting"] = [["test_waiting.py"], TEAM]
TESTS["numba/session"] = [["test_numba_session.py", "-k", "not waits"], ONE_STEP, STEPS, TEAM]
TESTS |= {f"cuda/operations.{end}": [CUDA_STEP, MODES, EMULATED, NVRTC] for end in ("cu", "cuh")}
TESTS |= {f"cuda/{name}": [PERSISTENT, MODES, EMULATED, NVRTC] for name in ("barrier.cuh", "persistent.cu")}
OF_PATCHES = (
    "activations.cuh",
    "convolutions.cu",
    "convolve.cu",
    "descent.cuh",
    "folds.cu",
    "patches.cu",
    "patches.cuh",
)
TESTS |= {f"cuda/{name}": [CONVOLUTIONS, CONVOLVED, NVRTC] for name in OF_PATCHES}
TESTS["cuda/ranks.cu"] = [["test_ranks_device.py", "-k", "stand-in and tree"], NVRTC]
TESTS["cuda/tensor_cores.cuh"] = [TENSOR_CORES, MODES, EMULATED, NVRTC]
# For a run that takes up to 60 of both on a quiet machine, or, if it is the first, 5 (with a compiler's process beside
# it) or, where Numba compiles, 18; what hangs is found out, too.
FIRST_CPU_SECONDS, CPU_SECONDS, SECONDS = {"cuda": 15, "numba": 40}, 150, 900

# What is written in CUDA, and what else might stand there.
CUDA = [
    (r" \+ ", [" - "]),
    (r" - ", [" + "]),
    (r" \* ", [" / "]),
    (r" / ", [" * "]),
    (r" % ", [" / "]),
    (r" << ", [" >> "]),
    (r" >> ", [" << "]),
    (r" < ", [" <= "]),
    (r" <= ", [" < "]),
    (r" > ", [" >= "]),
    (r" >= ", [" > "]),
    (r" == ", [" != "]),
    (r" && ", [" || "]),
    (r" \|\| ", [" && "]),
    (r" & ", [" | "]),
    (r" \+= ", [" = ", " -= "]),
    (r" /= ", [" = "]),
    (r"(?<=[(,=] )-(?=\w)|(?<=\()-(?=\w)", [""]),
    (r"\b(min|max)(?=\()", ["max", "min"]),
    (r"\b(true|false)\b", ["true", "false"]),
    (r"(?<![\w.:])!(?=\w)", [""]),
    (r"\b\d+\b(?![.\"])", [lambda found: str(int(found[0]) + 1)]),
    (r"^ *(__sync\w+|__threadfence)\([^;]*;|\bcontinue;|\breturn;", [";"]),
    (r" \? (?=.* : )", [" ? 0 * ", " && false ? "]),
]
# Lines of nothing but speed: directions to the compiler, sizes of tiles and blocks, patience.
NOTHING = re.compile(
    r"#pragma|#include|__launch_bounds__|__nanosleep|template|^\s*//|"
    r"Shape\(\d|^ROW_BLOCK|^DOT_BLOCK|^PREFETCH_D|^NEAR_BYTES|^K_BLOCK|^ALL =|^STRIPS|^UNROLL|^WINDOW|^DOT_IMAGES|"
    r"^SPINS|^SHORT_|^FULL_SPINS|^POLL_|VECTOR_BYTES ="
)


def main() -> None:
    """Mutate the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FILE", choices=[[], *FILES])  # [] for none: a default is a choice
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants, chosen at random")
    parser.add_argument("--after", type=float, default=0.0, help="this share of them, which was tried before")
    parser.add_argument("--at-once", type=int, default=2, help="how many mutants are tested at a time")
    options = parser.parse_args()
    for name in options.names or FILES:
        mutate(name, options.after, options.share, options.at_once)


def mutate(name: str, after: float, share: float, at_once: int) -> None:
    """Try mutants of a file, and report."""
    path = FILES[name]
    source = (ROOT / path).read_text()
    source, mutants = cuda_mutants(source) if name.startswith("cuda") else numba_mutants(source)
    every, mutants = len(mutants), random.Random(name).sample(mutants, len(mutants))
    mutants = mutants[math.ceil(after * every) : math.ceil(share * every)]
    tests, first = TESTS.get(name, TESTS[name.split("/")[0]]), FIRST_CPU_SECONDS[name.split("/")[0]]
    folders: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="fastae-mutants-") as parent, ThreadPoolExecutor(at_once) as pool:
        for i in range(at_once):
            for part in ("fastae", "tests"):
                shutil.copytree(ROOT / part, Path(parent) / str(i) / part, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(ROOT / "pyproject.toml", Path(parent) / str(i))
            folders.put(Path(parent) / str(i))

        late = 0

        def lives(mutant: str) -> bool:
            nonlocal late
            folder = folders.get()
            try:
                (folder / path).write_text(mutant)
                for i, arguments in enumerate(tests):
                    if (ended := status(folder, arguments, CPU_SECONDS if i else first)) != 0:
                        late += ended is None
                        return False
                if mutant != source:
                    tqdm.write("\n".join(["", name, *difference(source, mutant)]), sys.stdout)
                return True
            finally:
                folders.put(folder)

        if not lives(source):
            raise SystemExit(f"{name}: the tests fail without a mutant")
        killed = len(mutants) - sum(tqdm(pool.map(lives, mutants), name, len(mutants), unit=" mutants"))
    print(f"\n{path}: {killed} of {len(mutants)} mutants killed, {late} by a timeout; {every} in all", flush=True)


def difference(source: str, mutant: str) -> list[str]:
    """Return the lines that a mutant changes."""
    lines = difflib.unified_diff(source.splitlines(), mutant.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:3] not in ("---", "+++")]


def status(folder: Path, arguments: list[str], cpu_seconds: int) -> int | None:
    """Return how tests end in a tree, with nothing compiled before; None if they do not."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain"]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": cache, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["FASTAE_SEEDS"] = "20"  # the tests' grids in full
        group = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *with_paths(arguments)],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds)),
        )
        try:
            ended = group.wait(SECONDS)
            return None if ended in (-signal.SIGXCPU, -signal.SIGKILL) else ended
        except subprocess.TimeoutExpired:
            os.killpg(group.pid, signal.SIGKILL)
            group.wait()
            return None


def numba_mutants(source: str) -> tuple[str, list[str]]:
    """Return a module without decorators, and its mutants.

    Left out are those that compiled code refuses without being run: arguments that are missing or None.
    """
    import libcst as cst
    from mutmut.mutation.mutators import mutation_operators

    source = undecorated(source)
    module = cst.parse_module(source)
    lines = source.splitlines()
    found = [
        module.deep_replace(node, other).code
        for node in _nodes(module)
        for kind, operator in mutation_operators
        if isinstance(node, kind) and not isinstance(node, cst.BaseString | cst.Call | cst.Assign | cst.Lambda)
        for other in operator(node)
    ]
    changed = [next(a for a, b in zip(lines, mutant.splitlines()) if a != b) for mutant in found]
    return source, [mutant for mutant, line in zip(found, changed) if not NOTHING.search(line)]


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        if type(child).__name__ != "Annotation":
            yield from _nodes(child)


def cuda_mutants(source: str) -> tuple[str, list[str]]:
    """Return a CUDA source, and its mutants, of which none is in a comment."""
    return source, list(dict.fromkeys(_cuda_mutants(source)))


def _cuda_mutants(source: str) -> Iterator[str]:
    lines = source.split("\n")
    for i, line in enumerate(lines):
        if NOTHING.search(line):
            continue
        code, mark, comment = line.partition("  //")
        for pattern, others in CUDA:
            for found in re.finditer(pattern, code):
                for other in others:
                    text = other if isinstance(other, str) else other(found)
                    if text != found[0]:
                        changed = code[: found.start()] + text + code[found.end() :] + mark + comment
                        yield "\n".join([*lines[:i], changed, *lines[i + 1 :]])


if __name__ == "__main__":
    main()
