"""Turn the events that the emulator has recorded into steps of warps, and count what each step costs.

A step is a request of ``runtime/counts.h``: the n-th time after a barrier that the lanes of a warp come to an
instruction. The emulator runs one thread after another; the steps of a warp are sorted so that each of its lanes goes
through them in this order, a branch at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastae.backends.emulator.faults import ATOMIC, FAULTS, VOLATILE, WRITES, enumerators
from fastae.backends.emulator.recording import EVENT, HEADER, Recorded

WARP, SECTOR, WORD, BANKS, LINE = 32, 32, 4, 32, 256
MARKS, WAIT = enumerators("trace.h", "Mark"), enumerators("trace.h", "Wait")
CONSTANT, SHARED, WAITS, ENDS = (MARKS[x] for x in ("CONSTANT_MEMORY", "SHARED_MEMORY", "WAITS", "ENDS"))
BARRIER, GRID = WAIT["BARRIER"], WAIT["GRID"]
STOP = GRID + 1  # a fault that is no access, among the operations
Columns = np.ndarray


@dataclass(frozen=True)
class Spot:
    """A lane in a step: where a fault was seen."""

    step: int
    lane: int


class Launch:
    """A launch as steps of its warps.

    Parameters
    ----------
    recorded : Recorded

    Attributes
    ----------
    grid, block : tuple of int
    blocks : ndarray
        The numbers of the blocks that were recorded, in order: none after a fault, or beyond the recording's end.
    rows, column, place, kind, operation, size, lanes, cost, best : ndarray
        Of each step: its warp among those of `blocks`; its place in time; its place in the code, an index of `places`;
        what it does, as trace.h has it; bytes of an access; bits of the lanes that take part; sectors of global memory,
        rounds of shared memory's banks, or of constant memory, and the fewest that would do, both 0 of what `counting`
        leaves out. Steps are sorted by warp and time.
    address, values : ndarray
        Of each access, lane by lane: where, as a place in `lines`; the numbers of 4 bytes that were read or written.
    lines : ndarray
        The pieces of 256 bytes that were touched: ``address`` a is at ``lines[a // 256] + a % 256``.
    places : ndarray
        Offsets into the library.
    barriers : ndarray
        The places in time of the block's barriers.
    fault, other : Spot or None
        Where a fault ended the launch, and the other thread of a race.
    """

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.header: Any = np.frombuffer(recorded.block, HEADER, 1)[0]
        if self.header["magic"] != b"FASTAETR" or self.header["bytes_of_event"] != EVENT.itemsize:
            raise ValueError("this is no recording of a launch, or one of another version of fastae")
        self.grid = tuple(int(x) for x in self.header["grid"])
        self.block = tuple(int(x) for x in self.header["block"])
        self.threads = int(np.prod(self.block))
        self.warps = -(-self.threads // WARP)
        self.lost = int(self.header["lost"])
        events = np.frombuffer(recorded.block, EVENT, offset=HEADER.itemsize)
        events, fault, other = self._with_fault(events)
        kept = self._kept(events)
        self._build(events, kept, fault, other)

    def _number(self, what: str) -> tuple[int, int]:
        """Return the number of a block and of a thread in it, of the header."""
        b, t = self.header[f"{what}_block"], self.header[f"{what}_thread"]
        return (
            int(b[0] + self.grid[0] * (b[1] + self.grid[1] * b[2])),
            int(t[0] + self.block[0] * (t[1] + self.block[1] * t[2])),
        )

    def _with_fault(self, events: Columns) -> tuple[Columns, int, int]:
        """Return the events, and the numbers of those of a fault and of the other thread's; -1 if there are none."""
        fault = int(self.header["fault"])
        if not fault:
            return events, -1, -1
        block, thread = self._number("at")
        own = np.flatnonzero((events["block"] == block) & (events["thread"] == thread))
        at = int(own[-1]) if len(own) else -1
        if at < 0 or events["where"][at] != self.header["where"]:  # it is no access, or was not written down
            stop = np.zeros(1, EVENT)
            stop["block"], stop["thread"], stop["kind"], stop["operation"] = block, thread, WAITS, STOP
            stop["where"] = self.header["where"]
            events, at = np.concatenate([events, stop]), len(events)
        if not FAULTS[fault].has_other:
            return events, at, -1
        block, thread = self._number("other")
        theirs = (events["block"] == block) & (events["thread"] == thread) & (events["kind"] != ENDS)
        if FAULTS[fault].reported == "RACE":
            low, size = events["address"], events["size"]
            mine = events[at]
            touching = (low < mine["address"] + mine["size"]) & (mine["address"] < low + size)
            theirs &= (events["where"] == self.header["other_where"]) & touching
        found = np.flatnonzero(theirs)
        return events, at, int(found[-1]) if len(found) else -1

    def _kept(self, events: Columns) -> Columns:
        """Return which events are shown: of a launch that is cut, those of whole blocks, if there is one."""
        kept = events["kind"] != ENDS
        if not self.lost or self.header["fault"]:
            return kept
        ended = np.bincount(events["block"][~kept], minlength=int(np.prod(self.grid)))
        whole = ended == self.threads
        return kept & whole[events["block"]] if whole.any() else kept

    def _build(self, events: Columns, kept: Columns, fault: int, other: int) -> None:
        order = np.flatnonzero(kept)
        all_threads = events["block"].astype(np.int64) * self.threads + events["thread"]
        order = order[np.argsort(all_threads[order], kind="stable")]
        e, thread = events[order], all_threads[order]
        self.blocks = np.unique(events["block"][kept])
        warp = np.searchsorted(self.blocks, e["block"]) * self.warps + e["thread"] // WARP
        ends = (e["kind"] == WAITS) & ((e["operation"] == BARRIER) | (e["operation"] == GRID))
        epoch = _passed(ends, thread)
        step = _grouped(e, ends, thread, warp, epoch)
        by_step = np.lexsort((e["thread"], step))
        begin = np.flatnonzero(np.diff(step[by_step], prepend=-1))
        first = by_step[begin]
        position = _positions(step, thread, epoch, by_step, begin, warp[first], epoch[first])
        column, self.barriers = _columns(position, epoch[first], ends[first])
        ranked = np.lexsort((column, warp[first]))  # steps in their final order
        rank = np.empty_like(ranked)
        rank[ranked] = np.arange(len(ranked))
        one = e[first[ranked]]
        self.row, self.column = warp[first[ranked]], column[ranked]
        self.kind, self.operation = one["kind"], one["operation"]
        self.places, self.place = np.unique(one["where"], return_inverse=True)
        by_step = np.lexsort((e["thread"], rank[step]))
        e, step = e[by_step], rank[step][by_step]
        lane = e["thread"] % WARP
        begin = np.flatnonzero(np.diff(step, prepend=-1))
        self.size = np.maximum.reduceat(e["size"], begin) if len(begin) else e["size"]
        bits = np.uint32(1) << lane.astype(np.uint32)
        self.lanes = np.add.reduceat(bits, begin).astype(np.uint32) if len(begin) else bits
        self.events, self.step_of = e, step
        self._place_addresses(e)
        self._take_costs(e, step)
        where = np.full(len(events), -1)
        where[order[by_step]] = np.arange(len(e))
        self.fault, self.other = (
            Spot(int(step[where[i]]), int(lane[where[i]])) if i >= 0 and where[i] >= 0 else None for i in (fault, other)
        )

    def _place_addresses(self, e: Columns) -> None:
        touches = e["kind"] != WAITS
        at, last = e["address"][touches], e["address"][touches] + np.maximum(e["size"][touches], 1) - 1
        long = [np.arange(at[i] // LINE, last[i] // LINE) for i in np.flatnonzero(last - at > LINE)]
        lines = np.unique(np.concatenate([at // LINE, last // LINE, *long]))
        self.lines = lines * LINE
        self.address = np.zeros(len(e), np.uint32)
        self.address[touches] = np.searchsorted(lines, at // LINE) * LINE + at % LINE

    def _take_costs(self, e: Columns, step: Columns) -> None:
        """Count as counts.h does."""
        count = len(self.row)
        self.cost, self.best = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
        counted = (e["kind"] & (WAITS | ATOMIC | VOLATILE)) == 0
        for shared, unit, at_once in ((False, SECTOR, SECTOR), (True, WORD, BANKS * WORD)):
            chosen = np.flatnonzero(counted & (e["kind"] & (SHARED | CONSTANT) == SHARED * shared))
            at, size, of = self.address[chosen].astype(np.int64), e["size"][chosen].astype(np.int64), step[chosen]
            moved_of, units = _units(of, at, size, unit)
            if shared:
                banks, words = np.unique(moved_of * BANKS + units % BANKS, return_counts=True)
                np.maximum.at(self.cost, banks // BANKS, words.astype(np.uint32))
            else:
                self.cost += np.bincount(moved_of, minlength=count).astype(np.uint32)
            where_from, _ = _units(of, at, np.ones_like(size), 1)
            wanted = np.bincount(where_from, minlength=count) * self.size
            self.best += (-(-wanted // at_once) * (np.bincount(of, minlength=count) > 0)).astype(np.uint32)
        chosen = np.flatnonzero(counted & (e["kind"] & CONSTANT > 0))  # one place a round, to any number of lanes
        where_from, _ = _units(step[chosen], self.address[chosen].astype(np.int64), np.ones(len(chosen), np.int64), 1)
        places = np.bincount(where_from, minlength=count)
        self.cost += places.astype(np.uint32)
        self.best += (places > 0).astype(np.uint32)

    @cached_property
    def values(self) -> Columns:
        """The numbers of 4 bytes of all accesses, one after another; how many each has follows from its step."""
        words = np.ascontiguousarray(self.events["value"]).view("<u4")
        width = words_of(self.kind, self.operation, self.size)[self.step_of]
        taken = np.arange(4) < width[:, None]
        atomic = self.events["kind"] & ATOMIC > 0
        short = atomic & (self.events["size"] <= WORD)  # the old number, and the new: the third word
        words[short, 1] = words[short, 2]
        return words[taken]

    def traffic(self) -> Iterator[tuple[int, str, bool, int, int, int, int]]:
        """Yield for each place in the code its index, which memory it is, whether it writes, and what it cost.

        That is requests, accesses, sectors or rounds, and the fewest, as `counting` has them.
        """
        counted = np.flatnonzero(self.best > 0)
        lanes = _bits(self.lanes)
        for place in np.unique(self.place[counted]):
            chosen = counted[self.place[counted] == place]
            kind = int(self.kind[chosen[0]])
            accesses, cost, best = (int(x[chosen].sum()) for x in (lanes, self.cost, self.best))
            yield int(place), memory_of(kind), kind & WRITES > 0, len(chosen), accesses, cost, best


def memory_of(kind: int) -> str:
    """Return which memory an access is of, as `counting` calls it."""
    return "shared" if kind & SHARED else "constant" if kind & CONSTANT else "global"


def words_of(kind: Columns, operation: Columns, size: Columns) -> Columns:
    """Return how many numbers of 4 bytes of each access of a step are kept."""
    words = (np.clip(size, 1, 16) + WORD - 1) // WORD
    words = np.where(kind & ATOMIC > 0, 2 * np.minimum(words, 2), words)
    return np.where(kind == WAITS, np.where(operation < BARRIER, 1, 0), words)


def _bits(masks: Columns) -> Columns:
    return np.unpackbits(np.ascontiguousarray(masks.astype("<u4")).view(np.uint8).reshape(-1, 4), axis=1).sum(axis=1)


def _passed(ends: Columns, thread: Columns) -> Columns:
    """Return of each event how many barriers its thread has passed before."""
    before = np.cumsum(ends) - ends
    begins = np.flatnonzero(np.diff(thread, prepend=-1))
    return before - np.repeat(before[begins], np.diff(begins, append=len(thread)))


def _grouped(e: Columns, ends: Columns, thread: Columns, warp: Columns, epoch: Columns) -> Columns:
    """Return the step of each event: by warp, barriers passed, instruction, and how many times its lane was there."""
    _, code = np.unique(np.where(ends, 0, e["where"]), return_inverse=True)
    epochs, codes = int(epoch.max(initial=0)) + 1, int(code.max(initial=0)) + 1
    mine = (thread * epochs + epoch) * codes + code
    order = np.argsort(mine, kind="stable")
    begins = np.flatnonzero(np.diff(mine[order], prepend=-1))
    times = np.empty(len(e), np.int64)
    times[order] = np.arange(len(e)) - np.repeat(begins, np.diff(begins, append=len(e)))
    _, ours = np.unique((warp * epochs + epoch) * codes + code, return_inverse=True)
    _, step = np.unique(ours * (int(times.max(initial=0)) + 1) + times, return_inverse=True)
    return step


def _positions(
    step: Columns, thread: Columns, epoch: Columns, by_step: Columns, begin: Columns, warp: Columns, epochs: Columns
) -> Columns:
    """Return of each step how many of its warp come before it since the last barrier."""
    if not len(step):
        return np.zeros(0, np.int64)
    lane = thread * (int(epoch.max()) + 1) + epoch  # a lane between two barriers
    begins = np.flatnonzero(np.diff(lane, prepend=-1))
    index = np.arange(len(step)) - np.repeat(begins, np.diff(begins, append=len(step)))
    least, most = (f.reduceat(index[by_step], begin) for f in (np.minimum, np.maximum))
    _, group = np.unique(warp * (int(epochs.max()) + 1) + epochs, return_inverse=True)
    steps = np.bincount(group)
    split = np.zeros(len(steps), bool)  # lanes do not go through the same steps
    np.logical_or.at(split, group, (least != most) | (most >= steps[group]))
    longest = np.zeros(len(steps), np.int64)
    np.maximum.at(longest, group, most + 1)
    split |= longest != steps
    position = most.copy()
    group_of = group[step]
    chosen = np.flatnonzero(split[group_of])
    chosen = chosen[np.argsort(group_of[chosen], kind="stable")]
    for part in np.split(chosen, np.flatnonzero(np.diff(group_of[chosen])) + 1) if len(chosen) else ():
        lanes = np.split(step[part], np.flatnonzero(np.diff(lane[part])) + 1)
        for i, s in enumerate(_merged([x.tolist() for x in lanes])):
            position[s] = i
    return position


def _merged(lanes: list[list[int]]) -> Iterator[int]:
    """Yield the steps of all lanes in an order that each lane has, one branch after another."""
    size: dict[int, int] = {}
    for lane in lanes:
        for s in lane:
            size[s] = size.get(s, 0) + 1
    at, there, done = [0] * len(lanes), dict[int, list[int]](), set[int]()

    def arrive(i: int) -> None:
        while at[i] < len(lanes[i]) and lanes[i][at[i]] in done:
            at[i] += 1
        if at[i] < len(lanes[i]):
            there.setdefault(lanes[i][at[i]], []).append(i)

    for i in range(len(lanes)):
        arrive(i)
    together = list(range(len(lanes)))  # who was in the last step, and goes on as far as it can
    while there:
        fronts = (lanes[i][at[i]] for i in together if at[i] < len(lanes[i]))
        ready = (s for s in (*fronts, *there) if len(there[s]) == size[s])
        # If all wait for each other, they have taken the branches of a loop in turns.
        s = next(ready, next(iter(there)))
        done.add(s)
        yield s
        together = there.pop(s)
        for i in together:
            at[i] += 1
            arrive(i)


def _columns(position: Columns, epoch: Columns, ends: Columns) -> tuple[Columns, Columns]:
    """Return of each step its place in time, with the same barrier of all warps at one place; and those places."""
    widths = np.zeros(int(epoch.max(initial=-1)) + 1, np.int64)
    np.maximum.at(widths, epoch, position + 1)
    begin = np.concatenate([[0], np.cumsum(widths)])
    column = np.where(ends, begin[epoch + 1] - 1, begin[epoch] + position)
    return column, np.unique(column[ends])


def _units(step: Columns, at: Columns, size: Columns, unit: int) -> tuple[Columns, Columns]:
    """Return the distinct units of memory that each step touches: the steps, and the units."""
    if not len(step):
        return step, at
    low, high = at // unit, (at + size - 1) // unit
    count = high - low + 1
    ends = np.cumsum(count)
    units = np.arange(ends[-1]) - np.repeat(ends - count, count) + np.repeat(low, count)
    most = int(units.max()) + 1
    found = np.unique(np.repeat(step, count) * most + units)
    return found // most, found % most
