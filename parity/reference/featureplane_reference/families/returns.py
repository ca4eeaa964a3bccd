"""Reference of family ``returns``: what the mid price did. Spec: ``specs/features/returns.md``."""

from __future__ import annotations

import math
from collections import deque

from ..numeric import det_ln, ratio, round_half_even
from .base import Column, Feature, View

REV = {
    "log_return_step": 1,
    "log_return": 1,
    "realized_vol": 1,
    "realized_variance": 1,
    "mid_velocity": 1,
    "mid_acceleration": 1,
    "mid_autocov_x1e6": 1,
}

UNIT = float(1 << 52)


class StepReturn:
    """The return between consecutive mids, an integer of units of 2**-52."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.clamped = False

    def step(self, mid: int) -> int | None:
        """The return to this mid; ``None`` where there is nothing to compare it with."""
        last, self.last = self.last, mid
        self.clamped = False
        if last is None or last <= 0 or mid <= 0:
            return None
        units = det_ln(float(mid) / float(last)) * UNIT
        self.clamped = abs(units) > UNIT
        return round_half_even(max(-UNIT, min(UNIT, units)))


class LogReturnStep(Feature):
    """The return of this packet: a step value."""

    def clear_state(self) -> None:
        self.returns = StepReturn()

    def compute(self, view: View) -> float | None:
        is_first = self.returns.last is None
        units = self.returns.step(view.bid + view.ask)
        self.clamped = self.returns.clamped
        if view.gap_step:
            return None
        if is_first:
            return 0.0
        return None if units is None else float(units) / UNIT

    def break_chain(self) -> None:
        self.returns.last = None

    def idle(self, view: View) -> None:
        self.value = 0.0


class LogReturn(Feature):
    """The return since the mid as it stood ``window_ns`` ago."""

    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.path: list[tuple[int, int]] = []

    def break_chain(self) -> None:
        self.path.clear()

    def compute(self, view: View) -> float | None:
        self.path.append((view.now, view.bid + view.ask))
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> float | None:
        horizon = now - self.params["window_ns"]
        while len(self.path) > 1 and self.path[1][0] <= horizon:
            del self.path[0]
        if not self.path or self.path[0][0] > horizon:
            return None
        before, mid = self.path[0][1], self.path[-1][1]
        return det_ln(float(mid) / float(before)) if min(before, mid) > 0 else None


class ReturnWindow(Feature):
    """Something of the step returns of the last ``window_ns``."""

    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.returns = StepReturn()
        self.window: deque[tuple[int, int]] = deque()
        self.s1 = self.s2 = 0

    def break_chain(self) -> None:
        self.returns.last = None

    def compute(self, view: View) -> float | None:
        units = self.returns.step(view.bid + view.ask)
        self.clamped = self.returns.clamped
        if units is not None:
            self.window.append((view.now, units))
            self.s1 += units
            self.s2 += units * units
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> float | None:
        while self.window and self.window[0][0] <= now - self.params["window_ns"]:
            units = self.window.popleft()[1]
            self.s1 -= units
            self.s2 -= units * units
        return self.of(len(self.window))

    def of(self, n: int) -> float | None:
        """The value of ``n`` returns."""
        raise NotImplementedError


class RealizedVol(ReturnWindow):
    """The standard deviation of a sample."""

    def of(self, n: int) -> float | None:
        if n < 2:
            return None
        return math.sqrt(float(n * self.s2 - self.s1 * self.s1) / float(n * (n - 1))) / UNIT


class RealizedVariance(ReturnWindow):
    """The sum of squares."""

    def of(self, n: int) -> float | None:
        return float(self.s2) / (UNIT * UNIT)


class Speed(Feature):
    """Something of the mid at the last different times, newest last."""

    def clear_state(self) -> None:
        self.points: list[tuple[int, int]] = []

    def break_chain(self) -> None:
        self.points.clear()

    def compute(self, view: View) -> float | None:
        if self.points and self.points[-1][0] == view.now:
            self.points.pop()
        self.points.append((view.now, view.bid + view.ask))
        del self.points[:-3]
        return self.of(view.price_unit)

    def of(self, unit: int) -> float | None:
        """The value of the points."""
        raise NotImplementedError


class Velocity(Speed):
    """Change over elapsed seconds."""

    def of(self, unit: int) -> float | None:
        if len(self.points) < 2:
            return None
        (t0, m0), (t1, m1) = self.points[-2:]
        return ratio((m1 - m0) * 10**9, 2 * unit * (t1 - t0))


class Acceleration(Speed):
    """Change of the velocity over the mean of the two elapsed times."""

    def of(self, unit: int) -> float | None:
        if len(self.points) < 3:
            return None
        (t0, m0), (t1, m1), (t2, m2) = self.points
        early, late = t1 - t0, t2 - t1
        turn = float((m2 - m1) * early - (m1 - m0) * late)
        times = float(late) * float(early) * float(late + early)
        return turn / times * 1e18 / float(unit)


class Autocov(Feature):
    """Mean product of neighbouring changes among the last ``count`` of them."""

    def clear_state(self) -> None:
        self.last: int | None = None
        self.changes: list[int] = []

    def break_chain(self) -> None:
        self.clear_state()
        self.steps = 0

    def compute(self, view: View) -> int | None:
        mid = view.bid + view.ask
        self.changes.append(0 if self.last is None else mid - self.last)
        self.last = mid
        del self.changes[: -self.params["count"]]
        pairs = len(self.changes) - 1
        if pairs < 2:
            return None
        total = sum(a * b for a, b in zip(self.changes, self.changes[1:]))
        return round_half_even(float(total) * 1e6 / float(pairs))


def _column(make: type[Feature], unit: str, events: int) -> Column:
    return Column(make, "f64", "none", unit, warmup_min_events=events)


def _window(name: str, make: type[Feature], unit: str, events: int) -> Column:
    return Column(
        make,
        "f64",
        "none",
        unit,
        warmup_min_events=events,
        warmup_ns_param="window_ns",
        params={"window_ns": None},
        name=f"{name}_{{window_ns}}ns",
    )


COLUMNS = {
    "log_return_step": _column(LogReturnStep, "log return", 2),
    "log_return": _window("log_return", LogReturn, "log return", 1),
    "realized_vol": _window("realized_vol", RealizedVol, "log return", 2),
    "realized_variance": _window("realized_variance", RealizedVariance, "squared log return", 2),
    "mid_velocity": _column(Velocity, "price per s", 2),
    "mid_acceleration": _column(Acceleration, "price per s^2", 3),
    "mid_autocov_x1e6": Column(
        Autocov,
        "i64",
        "1000000",
        "squared price x2, x 1e6",
        warmup_min_events=2,
        warmup_count_param="count",
        params={"count": 40},
        name="mid_autocov_x1e6_{count}",
    ),
}
