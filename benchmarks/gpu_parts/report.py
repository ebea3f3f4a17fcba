"""What was found, as Markdown and as a figure."""

from pathlib import Path
from typing import Any

from gpu_parts.contenders import CONTENDERS


def step_cost(m: int) -> tuple[float, float]:
    """Return the floating-point operations of a step on m images, and the bytes that it must move at least.

    Every weight is read and written; the images are read as bytes. Activations fit in a cache and are not counted.
    """
    sizes = (784, 256, 128, 256, 784)
    products = [i * o for i, o in zip(sizes, sizes[1:])]
    multiply_adds = 3 * sum(products) - products[0]  # the first layer needs no gradient of its input
    return 2.0 * m * multiply_adds, 2 * 4.0 * (sum(products) + sum(sizes[1:])) + 784 * m


def markdown(found: dict[str, Any]) -> str:
    """Return the report."""
    lines = ["# On a GPU", "", f"{found['device']}; {found['versions']}; {found['when']}.", ""]
    if found["rehearsal"]:
        lines += ["**A rehearsal on a CPU: that the command works is all that this shows.**", ""]
    lines += ["## Right or wrong", "", "| check | | |", "| --- | --- | --- |"]
    lines += [f"| {c['check']} | {'right' if c['ok'] else '**WRONG**'} | {c['detail']} |" for c in found["checks"]]
    if found["limits"]:
        limits = found["limits"]
        lines += [
            "",
            f"Limits measured in the same run: {limits['flops'] / 1e12:.1f} TFLOP/s of multiply-adds in float32, "
            f"{limits['bytes'] / 1e12:.2f} TB/s to and from memory; {limits['launch']:.2f} µs a launch, "
            f"{limits['node']:.2f} µs a node of a graph, {limits['barrier']:.2f} µs a barrier across the device.",
        ]
    if found["training"]:
        columns = ["mode", "batch_size", "epochs", "images", "seconds", "test_mse"]
        lines += ["", "## Seconds of training on MNIST", "", *table(columns, found["training"])]
    sizes = found["sizes"]
    lines += ["", "## Microseconds a step, median of the rounds", ""]
    lines += [
        "| contender | precision |" + "".join(f" {m:,} |" for m in sizes),
        "| --- | --- |" + " ---: |" * len(sizes),
    ]
    for name, contender in CONTENDERS.items():
        times = found["times"].get(name, {})
        cells = [f"{times[str(m)]['us']:,.1f}" if str(m) in times else "" for m in sizes]
        reason = found["failed"].get(name)
        lines.append(f"| {name}{f' ({reason})' if reason else ''} | {contender.precision} | {' | '.join(cells)} |")
    lines += ["", *ratios(found)]
    if found["products"]:
        columns = [c for c in found["products"][0] if c not in ("inputs", "outputs")]
        lines += ["", "## Each product, µs", "", *table(columns, found["products"])]
    lines += ["", *(f"- {note}" for note in found["notes"])]
    return "\n".join(lines).rstrip() + "\n"


def table(columns: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    for row in rows:
        cells = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in map(row.get, columns))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def ratios(found: dict[str, Any]) -> list[str]:
    """Return for each batch size our fastest against the peers, and how far from the limits it is."""
    lines = []
    for m in map(str, found["sizes"]):
        for precision in ("float32", "TF32"):
            group = {n: found["times"][n][m]["us"] for n, c in CONTENDERS.items()
                     if c.precision == precision and m in found["times"].get(n, {})}  # fmt: skip
            ours = {n: t for n, t in group.items() if not CONTENDERS[n].peer}
            peers = {n: t for n, t in group.items() if CONTENDERS[n].peer}
            if not ours or not peers:
                continue
            name, peer = min(ours, key=ours.__getitem__), min(peers, key=peers.__getitem__)
            text = f"- Batch {int(m):,}, {precision}: {name} takes {ours[name] / peers[peer]:.2f} of {peer}"
            if "PyTorch eager" in peers:
                text += f", and PyTorch eager {peers['PyTorch eager'] / ours[name]:.1f} times as long"
            if found["limits"] and precision == "float32":
                flops, size = step_cost(int(m))
                t = ours[name] / 1e6
                text += (
                    f"; {flops / t / found['limits']['flops']:.0%} of the limit in multiply-adds, "
                    f"{size / t / found['limits']['bytes']:.0%} in bytes"
                )
            lines.append(text + ".")
    return lines


def figure(found: dict[str, Any], path: Path) -> None:
    """Draw microseconds a step against the batch size; raises `OutputError`."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    from fastae.bench.figures import MARKERS, new
    from fastae.figures import save

    title = f"A training step, {found['device']}" + (" (rehearsal on a CPU)" if found["rehearsal"] else "")
    drawing, axes = new(title)
    for i, (name, contender) in enumerate(CONTENDERS.items()):
        times = found["times"].get(name, {})
        sizes = [m for m in found["sizes"] if str(m) in times]
        if sizes:
            style = "--" if contender.tf32 else "-"
            axes.plot(sizes, [times[str(m)]["us"] for m in sizes], style, color=f"C{i % 10}", label=name, ms=5,
                      marker=MARKERS[i % len(MARKERS)], lw=1.0 if contender.peer else 2.4)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(found["sizes"]))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("batch size", fontsize=9)
    axes.set_ylabel("µs a step", fontsize=9)
    drawing.legend(loc="outside right upper", fontsize=7, frameon=False)
    save(drawing, path)
