"""A stand-in for ``cupy.cuda.nccl`` where there is no GPU: what it moves goes over MPI, and it keeps NCCL's rules.

The rules are those of NCCL's manual and of CuPy 14: whole numbers for addresses and streams; sends and receives in
groups, each with its counterpart of the same count and type, in the same order; all ranks call the same, and all or
none while they capture; memory that is the device's and is not written while it is read; a device for each rank.
"""

import os
import platform
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fake_cupy
import numpy as np

from fastae.backends.emulator import arrays, streams

NCCL_FLOAT32, NCCL_FLOAT64 = 7, 8  # as nccl.h has them
TYPES = {NCCL_FLOAT32: np.dtype(np.float32), NCCL_FLOAT64: np.dtype(np.float64)}
UNIQUE_ID_BYTES = 128


class NcclError(RuntimeError):
    """CuPy's error of NCCL, whose text gives the status."""


class Misuse(AssertionError):
    """A call that with NCCL or CuPy would end in an error, a deadlock, or wrong numbers."""


@dataclass
class Call:
    """One operation, as it was asked for: what it reads and writes lies at these addresses."""

    name: str
    count: int
    type: int
    peer: int = -1
    reads: int = 0
    writes: int = 0

    @property
    def nbytes(self) -> int:
        return self.count * TYPES[self.type].itemsize


@dataclass
class Group:
    """What a group's calls are, of one communicator and one stream."""

    communicator: Any = None
    stream: int = 0
    calls: list[Call] = field(default_factory=list)


@dataclass
class Cluster:
    """The processes and their GPUs.

    Attributes
    ----------
    comm : mpi4py.MPI.Intracomm or None
        None for a process alone.
    gpus : list of str
        Names of the devices that this process can see.
    made : list of NcclCommunicator
    """

    comm: Any
    gpus: list[str]
    made: list[Any] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    group: Group | None = None
    device: int = 0

    def gather(self, value: Any) -> list[Any]:
        """Gather a value from each rank."""
        return [value] if self.comm is None else self.comm.allgather(value)

    def exchange(self, values: list[Any]) -> list[Any]:
        """Send each rank one value, and return what each has sent."""
        return values if self.comm is None else self.comm.alltoall(values)


def bounds_of(address: int) -> tuple[int, int, np.ndarray]:
    """Return where the array begins and ends that an address is in, and its memory."""
    for memory in list(arrays.memory.values()):
        begin = memory.ctypes.data
        if begin <= address < begin + memory.nbytes:
            rest = memory.nbytes - arrays.ALIGNMENT  # the array, and a gap that depends on its size
            if rest <= 2 * arrays.LEAST_GAP:
                size = rest - arrays.LEAST_GAP
            else:
                size = rest // 2 if rest <= 2 * arrays.MOST_GAP else rest - arrays.MOST_GAP
            begin += -begin % arrays.ALIGNMENT
            return begin, begin + size, memory
    raise Misuse(f"{address:#x} is no address of the device's memory")


def memory_of(address: int, nbytes: int) -> np.ndarray:
    begin, end, memory = bounds_of(address)
    if not begin <= address <= address + nbytes <= end:
        raise Misuse(f"{nbytes} bytes at {address:#x} are more than the array has, which ends at {end:#x}")
    offset = address - memory.ctypes.data
    return memory[offset : offset + nbytes]


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def module(cluster: Cluster) -> dict[str, types.ModuleType]:
    """Return what stands for CuPy with NCCL and these GPUs, by name."""
    (cupy,) = fake_cupy.module().values()
    cuda, nccl = types.ModuleType("cupy.cuda"), types.ModuleType("cupy.cuda.nccl")
    cupy.__path__, cuda.__path__ = [], []  # type: ignore[attr-defined]  packages
    vars(cuda).update({name: x for name, x in vars(streams).items() if not name.startswith("__")})
    cupy.cuda, cuda.nccl = cuda, nccl  # type: ignore[attr-defined]
    cuda.Device = type("Device", (Device,), {"_cluster": cluster})  # type: ignore[attr-defined]
    cuda.runtime = types.SimpleNamespace(  # type: ignore[attr-defined]
        getDeviceCount=lambda: len(cluster.gpus), runtimeGetVersion=lambda: 13020
    )
    names = {"available": True, "NcclError": NcclError, "NCCL_FLOAT32": NCCL_FLOAT32, "NCCL_FLOAT64": NCCL_FLOAT64}
    names["NcclCommunicator"] = type("NcclCommunicator", (NcclCommunicator,), {"_cluster": cluster})
    names |= {function.__name__: function for function in functions(cluster)}
    vars(nccl).update(names)
    return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.nccl": nccl}


class Device(streams.Device):
    """One of the GPUs."""

    _cluster: Cluster

    def __init__(self, number: int | None = None) -> None:
        self.id = self._cluster.device if number is None else number

    def use(self) -> None:
        if not 0 <= self.id < len(self._cluster.gpus):
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._cluster.device = self.id

    @property
    def pci_bus_id(self) -> str:
        return self._cluster.gpus[self.id]


def functions(cluster: Cluster) -> list[Callable[[], Any]]:
    """Return the module's functions."""

    def get_unique_id() -> bytes:
        cluster.ids.append(os.urandom(UNIQUE_ID_BYTES))
        return cluster.ids[-1]

    def groupStart() -> None:
        if cluster.group is not None:
            raise Misuse("a group is begun in a group")
        cluster.group = Group()

    def groupEnd() -> None:
        group, cluster.group = cluster.group, None
        if group is None:
            raise Misuse("no group has begun")
        if group.calls:
            group.communicator._submit(group.calls, group.stream)

    return [get_unique_id, groupStart, groupEnd]


class NcclCommunicator:
    """The ranks, seen by one of them."""

    _cluster: Cluster

    def __init__(self, ndev: int, commId: bytes, rank: int, config: None = None) -> None:
        if not (type(ndev) is type(rank) is int and type(commId) is bytes):
            raise TypeError("NcclCommunicator(int ndev, bytes commId, int rank, NcclConfig config=None)")
        if len(commId) != UNIQUE_ID_BYTES:
            raise ValueError(f"commId length {len(commId)} != {UNIQUE_ID_BYTES}.")
        cluster = self._cluster
        mine = ndev, rank, commId, commId in cluster.ids
        sizes, ranks, ids, makers = zip(*cluster.gather(mine))
        if set(sizes) != {len(ranks)} or sorted(ranks) != list(range(len(ranks))):
            raise Misuse(f"{len(ranks)} ranks call themselves {ranks}, of {sizes}")
        if len(set(ids)) > 1 or not makers[ranks.index(0)]:
            raise Misuse("the ranks have different ids, or one that rank 0 has not made")
        where = cluster.gather((platform.node(), cluster.gpus[cluster.device]))
        if len(set(where)) < len(where):
            raise NcclError("NCCL_ERROR_INVALID_USAGE: invalid usage (run with NCCL_DEBUG=WARN for details)")
        self._size, self._rank, self._device, self._used = ndev, rank, cluster.device, False
        cluster.made.append(self)

    def size(self) -> int:
        return self._size

    def check_async_error(self) -> None:
        pass

    def send(self, sendbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        self._ask(stream, Call("send", count, datatype, peer, reads=sendbuf))

    def recv(self, recvbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        self._ask(stream, Call("recv", count, datatype, peer, writes=recvbuf))

    def allGather(self, sendbuf: int, recvbuf: int, count: int, datatype: int, stream: int) -> None:
        self._ask(stream, Call("allGather", count, datatype, reads=sendbuf, writes=recvbuf))

    def _ask(self, stream: int, call: Call) -> None:
        for value in (stream, call.count, call.type, call.peer, call.reads, call.writes):
            if type(value) is not int:
                raise TypeError(f"an integer is required, not {value!r}")
        current = streams.get_current_stream()
        if stream != current.ptr or not current.is_non_blocking:
            raise Misuse(f"{call.name} is not on the stream of all else")
        if self._cluster.device != self._device:
            raise Misuse(f"{call.name} while another device than the communicator's is the current one")
        if call.type not in TYPES or call.count < 1:
            raise Misuse(f"{call.name} of {call.count} numbers of type {call.type}")
        if call.peer >= self._size or (call.peer < 0 and call.name != "allGather"):
            raise NcclError("NCCL_ERROR_INVALID_ARGUMENT: invalid argument")
        group = self._cluster.group
        if group is None and call.name != "allGather":
            raise Misuse(f"a {call.name} outside of a group waits for its counterpart, and that for this one")
        if group is None:
            self._submit([call], stream)
            return
        if group.calls and (group.communicator is not self or group.stream != stream):
            raise Misuse("a group of two communicators or streams")
        group.communicator, group.stream = self, stream
        group.calls.append(call)

    def _submit(self, calls: list[Call], stream: int) -> None:
        captured = streams.capture() is not None
        if captured and not self._used:
            raise Misuse("the first call is captured: it makes the connections, for which memory is allocated")
        self._used = True
        _check_overlaps(calls, self._rank, self._size)
        memory = [bounds_of(address)[2] for call in calls for address in (call.reads, call.writes) if address]
        names = "+".join(dict.fromkeys(call.name for call in calls))
        streams.submit(f"nccl {names}", lambda: self._run(calls, captured), memory)

    def _run(self, calls: list[Call], captured: bool) -> None:
        told = [(call.name, call.peer, call.count, call.type) for call in calls]
        everybody = self._cluster.gather((self._rank, captured, told))
        if len({captured for _, captured, _ in everybody}) > 1:
            raise Misuse("some ranks have captured what others have not")
        by_rank = {rank: told for rank, _, told in everybody}
        gathers = {rank: [t for t in told if t[0] == "allGather"] for rank, told in by_rank.items()}
        if any(theirs != gathers[self._rank] for theirs in gathers.values()):
            raise Misuse(f"the ranks gather {gathers}")
        for rank, theirs in by_rank.items():
            sent = [t[2:] for t in theirs if t[:2] == ("send", self._rank)]
            received = [t[2:] for t in told if t[:2] == ("recv", rank)]
            if sent != received:
                raise Misuse(f"rank {rank} sends {sent} to rank {self._rank}, which receives {received}")
        sent = [
            [memory_of(c.reads, c.nbytes).tobytes() for c in calls if c.name == "send" and c.peer == rank]
            for rank in range(self._size)
        ]
        arrived = self._cluster.exchange(sent)
        for call in calls:
            if call.name == "recv":
                _write(call.writes, arrived[call.peer].pop(0))
            elif call.name == "allGather":
                whole = self._cluster.gather((self._rank, memory_of(call.reads, call.nbytes).tobytes()))
                _write(call.writes, b"".join(data for _, data in sorted(whole)))


def _write(address: int, data: bytes) -> None:
    memory_of(address, len(data))[:] = np.frombuffer(data, np.uint8)


def _check_overlaps(calls: list[Call], rank: int, size: int) -> None:
    """Refuse memory that is written while another call of the group, or the same one, has it."""
    spans = []
    for call in calls:
        times = size if call.name == "allGather" else 1
        for address, length, written in ((call.reads, 1, False), (call.writes, times, True)):
            if address:
                memory_of(address, call.nbytes * length)
                in_place = call.name == "allGather" and call.reads == call.writes + rank * call.nbytes
                if not (in_place and not written):
                    spans.append((address, address + call.nbytes * length, written))
    for i, (begin, end, written) in enumerate(spans):
        for other_begin, other_end, other_written in spans[:i]:
            if (written or other_written) and overlap((begin, end), (other_begin, other_end)):
                raise Misuse("memory is written while it is sent, or twice")
