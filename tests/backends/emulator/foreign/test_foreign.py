"""Kernels from other projects: right ones compile, run and have no fault; planted faults are found."""

from functools import cache
from typing import Any

import foreign_matrices  # noqa: F401
import foreign_patterns  # noqa: F401
import foreign_programs  # noqa: F401
import foreign_simulations  # noqa: F401
import foreign_stencils  # noqa: F401
import numpy as np
import pytest
from foreign_faults import FAULTS, Fault
from foreign_launches import FOLDER, LAUNCHES, F, I, Launch
from sampling import sample

from fastae.backends.emulator import KernelFault, RawModule, checking, device


@cache
def text_of(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def module_of(file: str, code: str, cooperative: bool) -> RawModule:
    """Compile a file with all templates that its launches name: one library for them all."""
    names = dict.fromkeys(x.name for x in LAUNCHES if x.file == file)
    return RawModule(code, file=file, name_expressions=tuple(names), enable_cooperative_groups=cooperative)


def run(case: Launch, code: str) -> tuple[list[Any], dict[Any, Any]]:
    """Launch it; return the arguments as they are then, and what is expected of them."""
    arguments, expected = case.make(np.random.default_rng(20), *case.of)
    given = [on_device(x) for x in arguments]
    module = module_of(case.file, code, case.cooperative)
    for name, value in case.variables.items():
        variable = module.get_global(name)
        variable[:] = np.frombuffer(np.resize(np.asarray(value), variable.size).tobytes(), "u1")[: variable.size]
    shape = [x if isinstance(x, tuple) else (x,) for x in (case.grid, case.block)]
    module.get_function(case.name)(*shape, tuple(converted(x) for x in given), shared_mem=case.shared)
    return given, expected


def on_device(x: Any) -> Any:
    if isinstance(x, dict):  # a struct of pointers and numbers
        return {name: on_device(part) if isinstance(part, np.ndarray) else part for name, part in x.items()}
    scalar = {bool: np.bool_, int: I, float: F}.get(type(x))
    if scalar:
        return scalar(x)
    return device.array(x) if isinstance(x, np.ndarray) else x


def converted(x: Any) -> Any:
    if not isinstance(x, dict):
        return x
    record = np.zeros((), x["type"])
    for name, part in x.items():
        if name != "type":
            record[name] = part.ctypes.data if isinstance(part, np.ndarray) else part
    return record


def judge(case: Launch, given: list[Any], expected: dict[Any, Any]) -> None:
    for place, wanted in expected.items():
        out: Any = given[place[0]][place[1]] if isinstance(place, tuple) else given[place]
        out = np.asarray(out)
        got, wanted = wanted(out) if callable(wanted) else (out, wanted)
        wanted = np.asarray(wanted)
        got = np.asarray(got)
        if wanted.size == got.size:
            got = got.reshape(wanted.shape)
        tolerance = case.tolerance if got.dtype == F else 1e-12
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=str(place))


@pytest.mark.parametrize("case", sample([x for x in LAUNCHES if "s[t +" not in x.racy], 3, lambda case: case.title))
def test_a_kernel_is_right(case: Launch) -> None:
    judge(case, *run(case, text_of(case.file)))


@pytest.mark.parametrize("order", sample(["forward", "reverse", "random"], every=3))
@pytest.mark.parametrize("case", sample([x for x in LAUNCHES if not x.racy], 2, lambda case: case.title))
def test_a_kernel_is_right_and_not_accused_in_any_order(case: Launch, order: str) -> None:
    with checking(order):
        judge(case, *run(case, text_of(case.file)))


@pytest.mark.parametrize("case", [x for x in LAUNCHES if x.racy], ids=lambda case: case.title)
def test_a_race_that_many_a_gpu_forgives_is_told(case: Launch) -> None:
    with checking(), pytest.raises(KernelFault, match="a race between two threads") as caught:
        run(case, text_of(case.file))
    assert any(line in str(caught.value) for line in lines_with(case, case.racy))  # one of the two


def lines_with(case: Launch, words: str) -> list[str]:
    found = [f"{case.file}:{i}" for i, line in enumerate(text_of(case.file).splitlines(), 1) if words in line]
    assert found, words
    return found


@cache
def spoiled(file: str) -> str:
    """Return a file with all its faults in it."""
    code = text_of(file)
    for fault in FAULTS:
        if fault.old and launch_of(fault).file == file:
            assert code.count(fault.old) == 1, fault.old
            code = code.replace(fault.old, fault.new)
    return code


def launch_of(fault: Fault) -> Launch:
    (found,) = [case for case in LAUNCHES if case.kernel == fault.kernel]
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kernel)
def test_a_planted_fault_is_found_at_its_line(fault: Fault) -> None:
    case, changed = launch_of(fault), dict(fault.launch)
    code = spoiled(case.file)
    with checking(changed.pop("order", "forward")), pytest.raises(KernelFault) as caught:
        run(case._replace(**changed), code)
    told = str(caught.value)
    assert fault.told in told
    file, line = caught.value.line.split(":")
    assert file == case.file
    places = (fault.at,) if isinstance(fault.at, str) else fault.at
    assert any(words in code.splitlines()[int(line) - 1] for words in places), told


COPIED = """struct __device_builtin__ __builtin_align__(8) Pair { float a, b; };
__global__ void copied(int m[][4], float* out, Pair* pairs, int bytes) {
  static __shared__ float row[4];
  memcpy(row, m[threadIdx.x], bytes);  // by every thread
  __syncthreads();
  memcpy(out, row, bytes);
}"""


def test_what_a_thread_copies_is_seen() -> None:
    function = RawModule(COPIED, file="mine.cu").get_function("copied")
    given = (device.array(np.arange(8, dtype=I)), device.array(np.zeros(4, F)), device.array(np.zeros(2, "c8")), I(16))
    with checking():
        function((1,), (1,), given)
        assert np.asarray(given[1]).view(I).tolist() == [0, 1, 2, 3]
        with pytest.raises(KernelFault, match="writing: a race between two threads") as caught:
            function((1,), (2,), given)
    assert caught.value.line == "mine.cu:4"
