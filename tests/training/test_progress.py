"""Between the steps of an epoch: looks at the clock, the progress bar, and the next epoch's order."""

import itertools
from typing import Any

import numpy as np
import pytest
from trainings import tiny, tiny_images

from fastae import trainer as module


class Bar:
    """A progress bar that records its calls."""

    def __init__(self, **options: Any) -> None:
        self.options, self.updates, self.told = options, [], []

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, n: int) -> None:
        self.updates.append(n)

    def set_description(self, text: str) -> None:
        self.told.append(text)

    set_postfix_str = set_description


def test_the_next_order_is_drawn_while_a_device_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an epoch's last steps are queued and before the host waits; the number of steps between looks is kept."""
    clock = itertools.count()
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock) * 1e-6)  # on a busy machine too
    trainer, seen = tiny(), []
    session_of, order = trainer.session, trainer.order

    def session(*arguments: Any) -> Any:
        session = session_of(*arguments)
        run, finish, total = session.run, session.finish, session.total
        session.run = lambda batches: (seen.append(f"run {batches}"), run(batches))
        session.finish = lambda: (seen.append("finish"), finish())
        session.total = lambda: (seen.append("wait"), total())[1]
        return session

    monkeypatch.setattr(trainer, "session", session)
    monkeypatch.setattr(trainer, "order", lambda e, n: (seen.append(f"order {e}"), order(e, n))[1])
    trainer.fit(tiny_images(81), 3, progress=False)  # 40 batches and an image
    assert seen[:4] == ["order 0", "run 1", "wait", "run 3"]
    for e in (1, 2):
        i = seen.index(f"order {e}")
        assert seen[i - 2].startswith("run")
        assert (seen[i - 1], seen[i + 1]) == ("finish", "wait")
    assert [call for call in seen if call.startswith("run")] == [
        "run 1",
        "run 3",
        *["run 4"] * 29,
    ]  # tenths of an epoch
    assert "order 3" not in seen
    expected = tiny()
    for _ in range(3):
        expected.fit(tiny_images(81), 1, progress=False)
    assert [W.tobytes() for W in trainer.model.weights] == [W.tobytes() for W in expected.model.weights]


def test_steps_between_two_looks_grow_fourfold_to_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """They become fewer when a step takes longer; the bar counts every image; the seconds are those of training."""
    now, sizes, bars = [1000.0], [], []
    trainer = tiny()
    session_of = trainer.session

    def session(*arguments: Any) -> Any:
        session = session_of(*arguments)
        run, finish, test_error = session.run, session.finish, session.test_error

        def slow(batches: int) -> None:
            sizes.append(batches)
            now[0] += batches * (2**-10 if sum(sizes) < 300 else 2**-5)
            run(batches)

        session.run = slow
        session.finish = lambda: (now.__setitem__(0, now[0] + 2), finish())
        session.test_error = lambda: (now.__setitem__(0, now[0] + 50), test_error())[1]
        return session

    monkeypatch.setattr(trainer, "session", session)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "progress_bar", lambda **options: bars.append(Bar(**options)) or bars[-1])
    data = tiny_images(8001)
    history = trainer.fit(data, 1, data[:3], progress=True)
    assert sizes[:6] == [1, 4, 16, 64, 102, 102]  # 102 steps of 2⁻¹⁰ seconds are a tenth
    assert set(sizes[7:]) == {3, 1}  # of 2⁻⁵ seconds; what is left of a tenth of the epoch
    assert sum(sizes) == 4000
    (bar,) = bars
    assert bar.updates == [*(2 * size for size in sizes[:-1]), 2 * sizes[-1] + 1]
    assert bar.options == {
        "total": 8001,
        "unit": " images",
        "unit_scale": True,
        "disable": None,
        "dynamic_ncols": True,
        "bar_format": "{desc} {percentage:3.0f}% {bar} {rate_fmt}, {remaining} left{postfix}",
    }
    assert bar.told[0] == "epoch 1/1"
    last = float(bar.told[-1].removeprefix("loss "))
    (epoch,) = history.epochs
    assert last == pytest.approx(epoch.train_loss, rel=0.01)
    quick = sum(sizes[:6])
    assert epoch.seconds == quick * 2**-10 + (4000 - quick) * 2**-5 + 2
    assert epoch.images_per_second == 8001 / epoch.seconds
    trainer.fit(data, 2, progress=False)
    assert bars[1].options["disable"] is True
    assert bars[1].options["total"] == 16002
    assert [text for text in bars[1].told if text.startswith("epoch")] == ["epoch 2/3", "epoch 3/3"]


def test_a_clock_that_stands_still_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.repeat(np.arange(99.0), 4))  # each time is returned four times, so that a slice takes none
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    trainer = tiny()
    trainer.fit(tiny_images(9), 1, progress=False)
    assert len(trainer.history.epochs) == 1
