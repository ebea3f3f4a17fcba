"""The page of `fastae trace` in a browser: it opens, shows what was recorded, and is used by keys."""

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from traced_kernels import KERNELS, NAIVE, RACE, counted, products, run, traced

from fastae.backends.emulator import KernelFault, RawModule, Trace, counting, tracing
from fastae.trace import page as pages
from fastae.trace.record import BARRIER, CONSTANT, SHARED, WAITS, Launch

pytestmark = pytest.mark.thorough
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("no browser was found: install chromium, which this test drives")
    if importlib.util.find_spec("playwright") is None:
        pytest.fail("playwright is not installed: pip install 'fastae[thorough]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = ["--no-sandbox"] * (os.geteuid() == 0)  # which root cannot have
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *own])
        yield browser
        browser.close()


DRAWN = """() => %s.map((s) => {
  step = s, drawMemory(), sayStep();
  const drawn = $("memory").querySelector("svg")?.dataset;
  return [drawn?.rounds ?? drawn?.sectors ?? "0", $("paid")?.textContent];
})"""  # what is drawn of steps, and what is said
NAMELESS = """() => [...document.querySelectorAll("button, select, input, canvas, [role=img]")]
  .filter((on) => on.offsetParent)
  .filter((on) => !(on.ariaLabel || on.textContent.trim() || on.labels?.[0]?.textContent.trim()))
  .map((on) => on.id)"""


class Seen:
    """A page in a browser, and all that it asked for or complained of."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page, self.path = page, path
        self.complaints, self.requests = list[str](), list[str]()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        self.open()

    def open(self) -> float:
        """Open it anew, and return after how many seconds it is there."""
        self.page.goto(self.path.as_uri())
        self.page.wait_for_selector("body[data-ready]")
        return float(self.page.evaluate("performance.now()")) / 1000

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def settle(self) -> None:
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    @property
    def step(self) -> int:
        return int(self.page.evaluate("step"))


Open = Callable[..., Seen]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Open]:
    seen = list[Seen]()

    def show(trace: list[Any], width: int = 1280, scheme: str = "light", note: str = "") -> Seen:
        path = tmp_path / "page.html"
        pages.write(path, trace, note)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        seen.append(Seen(context.new_page(), path))
        return seen[-1]

    yield show
    for each in seen:
        assert each.complaints == []
        assert {url.partition(":")[0] for url in each.requests} == {"file"}
        each.page.context.close()


def race() -> Trace:
    with tracing() as trace, pytest.raises(KernelFault):
        run("sequential reduction", RACE)
    return trace


def test_four_thousand_threads_open_within_two_seconds(show: Open) -> None:
    with tracing() as trace:
        RawModule(NAIVE, file="mine.cu").get_function("matmul")((4, 4), (16, 16), tuple(products(64)))
    seen = show(trace)
    assert min(seen.open() for _ in range(3)) < 2
    assert seen.ask("launch.threads * launch.blocks.length") == 4096
    assert seen.path.stat().st_size < 10e6
    assert "16 blocks (4 × 4) of 16 × 16 threads" in seen.text("#launched")


@pytest.mark.parametrize("name", KERNELS)
def test_its_numbers_are_those_of_counting(show: Open, name: str) -> None:
    """Those that it says of the launch and of each line; and of each step what it draws."""
    with counting() as counts, tracing() as trace:
        run(name)
    seen = show(trace)
    found = counted(counts)
    for memory in ("global", "shared", *(["constant"] if name == "constants" else [])):
        cost, best = (
            sum(number for key, number in found.items() if key[1] == memory and key[3] == field)
            for field in ("transactions", "best")
        )
        assert seen.ask(f"[Number($('total-{memory}').dataset.cost), Number($('total-{memory}').dataset.best)]") == [
            cost,
            best,
        ]
        assert seen.text(f"#total-{memory} b") == f"{cost:,}"
        lines = {
            line: (
                sum(found[line, memory, action, "transactions"] for action in ("read", "write")),
                sum(found[line, memory, action, "best"] for action in ("read", "write")),
            )
            for line in {key[0] for key in found if key[1] == memory}
        }
        cells = seen.ask(
            f"[...document.querySelectorAll('td.paid[data-memory={memory}]')].map("
            "(cell) => [cell.dataset.line, cell.dataset.cost, cell.dataset.best, cell.innerText])"
        )
        assert {f"mine.cu:{line}": (int(cost), int(best)) for line, cost, best, _ in cells} == lines
        assert all(text.startswith(f"{int(cost):,}") for _, cost, _, text in cells)
    launch = Launch(trace[0])
    chosen = range(0, len(launch.row), 1 + len(launch.row) // 300)
    drawn = seen.ask(DRAWN % list(chosen))
    assert any(int(pictured) > 0 for pictured, _ in drawn)
    for s, (pictured, said) in zip(chosen, drawn, strict=True):
        cost, unit = int(launch.cost[s]), "round" if launch.kind[s] & (SHARED | CONSTANT) else "sector"
        if cost:  # of what counting counts
            assert int(pictured) == cost
            assert said == f"{cost} {unit}{'s' * (cost > 1)}"


def test_values_are_shown_on_hover(show: Open) -> None:
    recorded = traced("transpose")
    seen = show([recorded])
    seen.page.hover("#memory rect.word >> nth=3")
    value = Launch(recorded).values[3:4].view("f4")[0]
    match = re.fullmatch(r"thread \(3, 0\), lane 3\nin\[3\] = (\S+)\nword 3 of in", seen.text("#tip"))
    assert match
    assert float(match[1]) == pytest.approx(value, rel=1e-6)
    seen.press("ArrowRight")
    seen.page.hover("#memory rect.word >> nth=3")
    assert "tile[0][3] = " in seen.text("#tip")
    seen.page.click("summary:has-text('table')")
    assert seen.ask("$('table').querySelectorAll('tbody tr').length") == 32


def test_the_keys_go_through_it(show: Open) -> None:
    recorded = traced("tiled matmul")
    launch, seen = Launch(recorded), show([recorded])
    steps = int((launch.row == 0).sum())
    barriers = [s for s in range(steps) if launch.kind[s] == WAITS and launch.operation[s] == BARRIER]
    assert seen.step == 0
    assert f"Step 1 of {steps}, warp 0 of block (0, 0)" in seen.text("#now")
    seen.press("ArrowLeft")
    assert seen.step == 0
    seen.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert seen.step == 2
    assert "line 9" in seen.text("#what")
    assert seen.ask("document.querySelector('#source tr.here').id") == "line-9"
    seen.press("Shift+ArrowRight")
    assert seen.step == barriers[0]
    seen.press("Shift+ArrowRight", "Shift+ArrowLeft")
    assert seen.step == barriers[0]
    seen.press("End")
    assert seen.step == steps - 1
    assert seen.page.input_value("#slider") == str(steps - 1)
    seen.press("j")
    assert f"Step {steps} of {steps}, warp 1 of block (0, 0)" in seen.text("#now")
    seen.page.focus("#overview")
    seen.press("ArrowDown", "Home")
    assert seen.step == 2 * steps
    seen.press("k", "ArrowUp", "ArrowUp")
    assert seen.step == 0
    seen.page.click("#line-14")
    seen.settle()
    assert seen.step == steps - 1


def test_it_plays_to_the_end(show: Open) -> None:
    seen = show([traced("transpose")])
    seen.page.select_option("#speed", "30")
    seen.page.evaluate("document.activeElement.blur()")
    seen.press(" ")
    assert seen.text("#play") == "Stop"
    seen.page.wait_for_selector("#play:text-is('Play')")
    assert seen.step == 4
    seen.page.click("#first")
    seen.page.click("#forward")
    seen.settle()
    assert seen.step == 1
    box = seen.page.locator("#overview").bounding_box()
    seen.page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] - 8)
    seen.settle()
    assert "Step 5 of 5, warp 31 of block (1, 1)" in seen.text("#now")


def test_a_fault_is_where_it_stops(show: Open) -> None:
    trace = race()
    launch, seen = Launch(trace[0]), show(trace)
    assert launch.fault
    assert launch.other
    assert trace[0].fault in seen.text("#fault")
    assert seen.step == launch.fault.step
    assert f"Lane {launch.fault.lane}, thread {launch.fault.lane}, stops here." in seen.text("#cost")
    assert "line 7" in seen.text("#to-fault")
    assert "part[" in seen.text("#to-other")
    seen.press("f")
    assert seen.step == launch.other.step
    assert f"thread {launch.other.lane}, is the other thread" in seen.text("#cost")
    seen.press("Home", "End")
    assert seen.step == launch.fault.step
    seen.page.click("#to-other")
    seen.settle()
    assert seen.step == launch.other.step
    assert seen.ask("document.querySelectorAll('#source tr.bad').length") == 1  # both on one line


def test_light_and_dark_can_both_be_read(show: Open) -> None:
    seen = show([traced("tiled matmul")])
    contrasts = """() => {
      const shine = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
          .map((x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      const behind = (on) => {
        const colour = getComputedStyle(on).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(on.parentElement) : colour;
      };
      return ["h1", "#launched", "#what", "#source .number", "#source .word", "#source td.paid span", "#arrays th",
        "button"].map((name) => {
        const on = document.querySelector(name), pair = [shine(getComputedStyle(on).color), shine(behind(on))];
        return [name, Math.max(...pair) / Math.min(...pair)];
      });
    }"""
    pages = []
    for scheme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=scheme)
        seen.settle()
        pages.append(seen.ask("getComputedStyle(document.body).backgroundColor"))
        assert {name: ratio for name, ratio in seen.ask(contrasts) if ratio < 4.5} == {}
    assert pages == ["rgb(255, 255, 255)", "rgb(20, 24, 29)"]


@pytest.mark.parametrize("name", ["naive matmul", "transpose", "branches", "quads", "constants", "race"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(show: Open, name: str) -> None:
    seen = show(race() if name == "race" else [traced(name)], width=360)
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        seen.press(key)
        assert seen.ask("document.documentElement.scrollWidth") <= 360
    outside = seen.ask(
        "[...document.querySelectorAll('body *')].filter((on) => on.getBoundingClientRect().right > 361 && "
        "!on.closest('#source, #arrays, #table, #tip')).map((on) => on.id || on.tagName)"
    )
    assert outside == []


def test_several_launches_are_chosen_from(show: Open) -> None:
    with tracing() as trace:
        run("transpose")
        run("strided reduction")
    seen = show(trace)
    assert seen.text("#kernel") == "transpose"
    seen.page.select_option("#launch", "1")
    seen.settle()
    assert seen.text("#kernel") == "reduce"
    assert "2 blocks of 256 threads" in seen.text("#launched")


def test_launches_of_a_program_say_where_they_were_made_and_what_is_left_out(show: Open) -> None:
    endless = "it has not come to an end"
    seen = show(
        [replace(traced("transpose"), at="mine.cu:40", fault=endless)], width=360, note="Of 20 launches the first."
    )
    assert "launched at mine.cu:40" in seen.text("#launched")
    assert seen.text("#note") == "Of 20 launches the first."
    assert seen.text("#fault-text") == endless
    assert not seen.page.is_visible("#to-fault")  # which has no place
    assert seen.ask("document.documentElement.scrollWidth") <= 360
    assert not show([traced("transpose")]).page.is_visible("#note")


def test_what_is_cut_is_told(show: Open) -> None:
    with tracing() as trace:
        trace.most = 40_000
        run("naive matmul")
    seen = show(trace)
    assert "a part of the launch: 2 blocks of 4" in seen.text("#cut")


def test_everything_has_a_name(show: Open) -> None:
    """For screen readers: every control and picture has a label."""
    seen = show([traced("tiled matmul")])
    nameless = seen.ask(NAMELESS)
    assert nameless == []
    assert seen.ask(
        "[...document.querySelectorAll('section')].every((on) => on.ariaLabel || on.getAttribute('aria-labelledby'))"
    )
