"""The report in Markdown: faults first, then the parts, then the measurements."""

from statistics import median
from typing import Any

from gpu_parts import targets

MOST = 12  # that is wrong of one part, in the Markdown; the JSON has all
AGREE = 2e-3  # relative: TF32 and other orders of sums, in the mean loss of a first epoch


def found_by(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the findings of one kind from all parts."""
    return [f for part in found["parts"] for f in part["findings"] if f["kind"] == kind]


def agreement(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Check that all contenders had the same loss in their first epoch, at each batch size."""
    steps, checks = found_by(found, "step"), []
    for m in sorted({s["batch"] for s in steps}):
        losses = {s["contender"]: s["loss"] for s in steps if s["batch"] == m}
        middle = median(losses.values())
        others = [name for name, loss in losses.items() if not abs(loss / middle - 1) < AGREE]  # NaN too
        detail = f"{', '.join(others)} not" if others else f"{len(losses)} contenders, within {AGREE:g}"
        checks.append(
            {"name": f"the first epoch's loss at batch {m} is the others'", "ok": not others, "detail": detail}
        )
    return checks


def is_right(found: dict[str, Any]) -> bool:
    """Return whether every part ran to its end and found nothing wrong."""
    checks = found_by(found, "check") + found["agreement"]
    return all(part["status"] == "done" for part in found["parts"]) and all(c["ok"] is not False for c in checks)


def markdown(found: dict[str, Any]) -> str:
    """Return the report."""
    lines = [f"# On a GPU: {found['command']}", ""]
    lines += [
        f"{found['device']}; {found['versions']}; {found['when']}; {found['took']:.0f} of {found['limit']:.0f} s.",
        "",
    ]
    if found["rehearsal"]:
        lines += ["**A rehearsal on the emulator: that everything runs is all it shows; its times mean nothing.**", ""]
    lines += [*_wrong(found), *_parts(found)]
    if found["command"] == "measure":
        lines += [*_limits(found), *_steps(found), *_products(found), *targets.lines(found_by(found, "step"))]
    return "\n".join(lines).rstrip() + "\n"


def _wrong(found: dict[str, Any]) -> list[str]:
    """Return lines about the parts that failed and the faults that were found; then what could not be tested."""
    lines, missing = [], []
    for part in [*found["parts"], {"part": "all", "status": "done", "findings": found["agreement"], "output": []}]:
        if part["status"] not in ("done", "running"):
            lines.append(f"- **{part['part']}: {part['status']}**")
            raised = [line for f in part["findings"] if f["kind"] == "raised" for line in f["lines"]]
            if not part["status"].startswith("skipped"):
                shown = raised or part["output"]
                lines += ["  ```", *(f"  {line[:160]}" for line in shown), "  ```"] if shown else []
        wrong = [f for f in part["findings"] if f.get("ok") is False]
        lines += [f"- {part['part']}: {f['name']}: **wrong**: {f['detail']}" for f in wrong[:MOST]]
        if len(wrong) > MOST:
            lines.append(f"- {part['part']}: and {len(wrong) - MOST} more that are wrong")
        missing += [
            f"- {part['part']}: {f['name']}: {f['detail']}" for f in part["findings"] if "ok" in f and f["ok"] is None
        ]
    head = ["## Wrong", ""] if lines else ["Nothing is wrong."]
    return [*head, *lines, "", *(["## Neither right nor wrong", "", *missing, ""] if missing else [])]


def _parts(found: dict[str, Any]) -> list[str]:
    lines = ["## Parts", "", "| part | | s | right | wrong |", "| --- | --- | ---: | ---: | ---: |"]
    for part in found["parts"]:
        oks = [f["ok"] for f in part["findings"] if f["kind"] == "check"]
        status = part["status"].split(":")[0][:40]
        lines.append(f"| {part['part']} | {status} | {part['seconds']:.1f} | {oks.count(True)} | {oks.count(False)} |")
    agreed = [c["ok"] for c in found["agreement"]]
    if agreed:
        lines.append(f"| all contenders' losses | | | {agreed.count(True)} | {agreed.count(False)} |")
    return [*lines, "", *(f"- {f['text']}" for f in found_by(found, "note")), ""]


UNITS = {
    "flops": (1e-12, "TFLOP/s of float32 multiply-adds"),
    "bytes": (1e-12, "TB/s read and written by a copy"),
    "launch": (1, "µs a launch"),
    "node": (1, "µs a node of a graph"),
    "barrier": (1, "µs a barrier across the device"),
}


def _limits(found: dict[str, Any]) -> list[str]:
    limits = [f"{f['value'] * UNITS[f['name']][0]:.3g} {UNITS[f['name']][1]}" for f in found_by(found, "limit")]
    host = [f"| {f['name']} | {f['us']:,.2f} |" for f in found_by(found, "host")]
    lines = ["## Limits", "", f"{'; '.join(limits) or 'none was measured'}.", ""]
    return lines + (["| the host spends | µs |", "| --- | ---: |", *host, ""] if host else [])


def _steps(found: dict[str, Any]) -> list[str]:
    """Return the table of microseconds per step; a repeated measurement has its own row, with the drift."""
    steps, rows = found_by(found, "step"), dict[tuple[str, bool], dict[int, dict[str, Any]]]()
    if not steps:
        return []
    for s in steps:
        rows.setdefault((s["contender"], s["again"]), {})[s["batch"]] = s
    sizes = sorted({s["batch"] for s in steps})
    lines = ["## Microseconds a step, the median of the rounds", ""]
    lines += [
        "| contender | precision |" + "".join(f" {m:,} |" for m in sizes),
        "| --- | --- |" + " ---: |" * len(sizes),
    ]
    for (name, again), by_size in rows.items():
        precision = next(iter(by_size.values()))["precision"]
        cells = [f"{by_size[m]['us']:,.1f}" if m in by_size else "" for m in sizes]
        lines.append(f"| {name}{', at the end' * again} | {precision} | {' | '.join(cells)} |")
        if again:
            first = rows.get((name, False), {})
            cells = [f"{by_size[m]['us'] / first[m]['us']:.3f}" if m in by_size and m in first else "" for m in sizes]
            lines.append(f"| drift: end / beginning | | {' | '.join(cells)} |")
    limits = {f["name"]: f["value"] for f in found_by(found, "limit")}
    return [*lines, "", *targets.shares(steps, limits), ""]


def _products(found: dict[str, Any]) -> list[str]:
    products = found_by(found, "product")
    if not products:
        return []
    columns = list(products[0]["us"])
    lines = ["## Each product, µs by tile, and by cuBLAS", ""]
    lines += [
        "| product | batch | chosen |" + "".join(f" {c} |" for c in columns),
        "| --- |" + " ---: |" * (len(columns) + 2),
    ]
    for p in products:
        cells = " | ".join(f"{p['us'][c]:.2f}" if c in p["us"] else "" for c in columns)
        lines.append(f"| {p['name']}, {p['shape']} | {p['batch']} | {p['chosen']} | {cells} |")
    return [*lines, ""]
