"""`fastae run --check`: memory that nobody has written, and streams that nothing orders."""

import sys
from pathlib import Path

import pytest
from faulty_programs import copied, with_lines

from fastae import cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux")

READ = "read before anything is written there; it lies in the 1024 bytes that cudaMalloc at order.cu:{allocated} gave"
NOBODY = "of these 1024 bytes were never written, of the 1024 bytes that cudaMalloc at order.cu:"
FAULTS = {  # by case: what is said, with the lines of marks
    "read by a kernel": "{add}, kernel add, block (0, 0, 0), thread (0, 0, 0) reading: global memory is " + READ,
    "read in part by a kernel": "{add}, kernel add, block (0, 0, 0), thread (0, 0, 0) reading: global memory is "
    + READ,
    "counted by a kernel": "kernel count, block (0, 0, 0), thread (0, 0, 0) in an atomic operation: global memory is "
    + READ,
    "read by the host": "{read by the host}: cudaMemcpy: 1024 " + NOBODY + "{allocated} gave",
    "read by the host through another": "{read by the host through another}: cudaMemcpy: 1024 "
    + NOBODY
    + "{second} gave",
    "another stream writes": "{add}: kernel add reads what kernel set, asked for at order.cu:{writer} on another "
    "stream, writes: nothing orders the two",
    "another stream has read": "{set}: kernel set writes what kernel add, asked for at order.cu:{reader} on another "
    "stream, reads: nothing orders the two",
    "an event of the wrong moment": "{add}: kernel add reads what kernel set, asked for at order.cu:{late} on",
    "a stream that does not wait for the default": "{add}: kernel add reads what cudaMemset, asked for at "
    "order.cu:{default} on another stream, writes",
    "a copy beside": "{a copy beside}: cudaMemcpyAsync reads what kernel set, asked for at order.cu:{copied} on",
    "read too early": "{read too early}: the host reads this memory before cudaMemcpyAsync, asked for at "
    "order.cu:{to the host}, has ended: cudaStreamSynchronize",
    "compared too early": "{compared too early}: the host reads this memory before cudaMemcpyAsync, asked for at "
    "order.cu:{to compare}, has ended",
    "written too early": "{written too early}: the host writes this memory before cudaMemcpyAsync, asked for at "
    "order.cu:{from the host}, has ended",
    "freed too early": "{freed too early}: cudaFreeHost: it is freed before cudaMemcpyAsync, asked for at "
    "order.cu:{from freed}, has ended",
    "another stream is waited for": "{another stream is waited for}: the host reads managed memory, of the 64 bytes "
    "that cudaMallocManaged at order.cu:{managed} gave, before it has waited for the kernel that uses it",
}
RIGHT = (
    "set by cudaMemset", "half is copied on", "padding", "an event", "the host between", "the default stream between",
    "each its part", "all count", "both read", "a graph", "read in time", "memory that is not pinned",
    "a function that the stream calls", "a managed array in time",
)  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied("order.cu", tmp_path_factory)


@pytest.mark.feature("host programs", "global memory that nobody has written, and streams that nothing orders")
@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_by_its_lines(case: str, program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["run", "--check", str(program), "--", case])
    said = capfd.readouterr().err
    assert with_lines(program, FAULTS[case]) in said
    assert said.count("\n") == 1
    assert status == 1


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_not_accused(case: str, program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["run", "--check", str(program), "--", case])
    assert capfd.readouterr().err == ""
    assert status == 0
