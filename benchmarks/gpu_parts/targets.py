"""Compare the measured time of a step with the targets for an H100, and with the device's limits."""

from typing import Any

MICROSECONDS = {16: 20.0, 128: 26.0, 1024: 90.0}  # in float32
TIMES_GRAPHS = {16: 2.0, 128: 2.0, 1024: 1.0}  # as fast as the fastest captured or compiled peer, in float32
TIMES_EAGER = {128: 10.0}  # as fast as PyTorch eager


def step_cost(m: int) -> tuple[float, float]:
    """Return the floating-point operations of a step on m images, and the least bytes that it must move.

    Every weight is read and written; the images are read as bytes. Activations fit in a cache and are not counted.
    """
    sizes = (784, 256, 128, 256, 784)
    products = [i * o for i, o in zip(sizes, sizes[1:])]
    multiply_adds = 3 * sum(products) - products[0]  # the first layer needs no gradient of its input
    return 2.0 * m * multiply_adds, 2 * 4.0 * (sum(products) + sum(sizes[1:])) + 784 * m


def fastest(steps: list[dict[str, Any]], kind: str, m: int) -> tuple[float, str] | None:
    """Return the µs and the name of the fastest of a kind in float32 at a batch size; the first of two measurements."""
    times = [(s["us"], s["contender"]) for s in steps
             if (s["kind_of"], s["batch"], s["precision"], s["again"]) == (kind, m, "float32", False)]  # fmt: skip
    return min(times, default=None)


def judged(steps: list[dict[str, Any]]) -> list[tuple[str, str, bool | None]]:
    """Return each target, what was measured, and whether it is met; None where something was not measured."""
    rows: list[tuple[str, str, bool | None]] = []
    for m, most in MICROSECONDS.items():
        ours = fastest(steps, "ours", m)
        words = f"{ours[0]:.1f} µs, {ours[1]}" if ours else "not measured"
        rows.append((f"batch {m:,}: at most {most:g} µs a step", words, ours[0] <= most if ours else None))
    for kind, peers, least in (("graphs", "the fastest captured or compiled peer", TIMES_GRAPHS),
                               ("eager", "PyTorch eager", TIMES_EAGER)):  # fmt: skip
        for m, times in least.items():
            ours, peer = fastest(steps, "ours", m), fastest(steps, kind, m)
            target = f"batch {m:,}: at least {times:g} times as fast as {peers}"
            if ours and peer:
                ratio = peer[0] / ours[0]
                rows.append((target, f"{ratio:.2f} times, {peer[1]} takes {peer[0]:.1f} µs", ratio >= times))
            else:
                rows.append((target, "not measured", None))
    return rows


def lines(steps: list[dict[str, Any]]) -> list[str]:
    """Return the table of the targets."""
    words = {True: "met", False: "**missed**", None: ""}
    rows = [f"| {target} | {measured} | {words[met]} |" for target, measured, met in judged(steps)]
    return ["## Targets on an H100, in float32", "", "| target | measured | |", "| --- | --- | --- |", *rows]


def shares(steps: list[dict[str, Any]], limits: dict[str, float]) -> list[str]:
    """Return for each batch size how much of the limits our fastest step reaches."""
    found = []
    for m in sorted({s["batch"] for s in steps}):
        ours = fastest(steps, "ours", m)
        if ours and "flops" in limits and "bytes" in limits:
            flops, size = step_cost(m)
            share, moved = flops / ours[0] * 1e6 / limits["flops"], size / ours[0] * 1e6 / limits["bytes"]
            found.append(
                f"- Batch {m:,}: {ours[1]} reaches {share:.0%} of the multiply-adds, {moved:.0%} of the bytes."
            )
    return found
