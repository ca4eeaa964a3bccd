"""Reference of family ``regime``: is the market calm? Spec: ``specs/features/regime.md``."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from ..numeric import ratio
from .base import Column, Feature, View

REV = {
    "spread_tight": 1,
    "spread_percentile": 1,
    "spread_regime": 1,
    "tight_fraction": 2,
    "tob_survival_ms": 1,
}


def is_tight(view: View, tight_ppm: int) -> bool:
    """``2*(a - b)*1000000 <= tight_ppm*(a + b)``."""
    return 2 * (view.ask - view.bid) * 1_000_000 <= tight_ppm * (view.ask + view.bid)


class SpreadTight(Feature):
    """1 when the spread is small."""

    def compute(self, view: View) -> int:
        return 1 if is_tight(view, self.params["tight_ppm"]) else 0


class OverTime(Feature):
    """A feature that is read at a time."""

    resamples = True

    def compute(self, view: View) -> int | float | None:
        self.note(view)
        return self.at(view.now, view.last_book_t)

    def note(self, view: View) -> None:
        """Remember this book packet."""
        raise NotImplementedError

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)


class SpreadPercentile(OverTime):
    """The rank of the spread among the earlier ones of the window."""

    is_window = True

    def clear_state(self) -> None:
        self.current: tuple[int, int] | None = None  # time and spread
        self.earlier: deque[tuple[int, int]] = deque()
        self.ranked: list[int] = []  # the spreads of `earlier`

    def note(self, view: View) -> None:
        if self.current is not None:
            self.earlier.append(self.current)
            insort(self.ranked, self.current[1])
        self.current = view.now, view.ask - view.bid

    def rank(self, now: int) -> tuple[int, int]:
        """``below`` and ``n``."""
        assert self.current is not None
        while self.earlier and self.earlier[0][0] <= now - self.params["window_ns"]:
            del self.ranked[bisect_left(self.ranked, self.earlier.popleft()[1])]
        return bisect_left(self.ranked, self.current[1]), len(self.earlier)

    def at(self, now: int, last_book_t: int) -> int | float | None:
        below, count = self.rank(now)
        return ratio(below, count)


class SpreadRegime(SpreadPercentile):
    """The rank against two bounds."""

    def at(self, now: int, last_book_t: int) -> int | float | None:
        below, count = self.rank(now)
        if count == 0:
            return None
        if 100 * below <= self.params["tight_pct"] * count:
            return -1
        return 1 if 100 * below >= self.params["wide_pct"] * count else 0


class TightFraction(OverTime):
    """The share of the window in which the spread was tight."""

    is_window = True

    def clear_state(self) -> None:
        self.first: int | None = None
        self.states: list[tuple[int, bool]] = []  # since when the book is tight or not

    def note(self, view: View) -> None:
        if self.first is None or view.gap_step:
            self.first, self.states = view.now, []
        tight = is_tight(view, self.params["tight_ppm"])
        if not self.states or self.states[-1][1] != tight:
            self.states.append((view.now, tight))

    def at(self, now: int, last_book_t: int) -> float | None:
        assert self.first is not None
        start = now - self.params["window_ns"]
        ends = [since for since, _ in self.states[1:]] + [now]
        kept = [(state, end) for state, end in zip(self.states, ends) if end > start or end == ends[-1]]
        self.states = [state for state, _ in kept]
        tight = sum(end - max(since, start) for (since, is_tight), end in kept if is_tight and end > start)
        covered = min(self.params["window_ns"], now - self.first)
        return float(tight) / float(covered) if covered > 0 else None


class TobSurvivalMs(OverTime):
    """Time since a best price changed."""

    def clear_state(self) -> None:
        self.prices: tuple[int, int] | None = None
        self.since = 0

    def note(self, view: View) -> None:
        prices = view.bid, view.ask
        if prices != self.prices or view.gap_step:
            self.prices, self.since = prices, view.now

    def at(self, now: int, last_book_t: int) -> int:
        return (now - self.since) // 1_000_000


_WINDOW = {"window_ns": None}

COLUMNS = {
    "spread_tight": Column(
        SpreadTight, "u32", "none", "0 or 1", params={"tight_ppm": 100}, name="spread_tight_{tight_ppm}ppm"
    ),
    "spread_percentile": Column(
        SpreadPercentile,
        "f64",
        "none",
        "ratio",
        2,
        "window_ns",
        params=_WINDOW,
        name="spread_percentile_{window_ns}ns",
    ),
    "spread_regime": Column(
        SpreadRegime,
        "i64",
        "none",
        "regime",
        2,
        "window_ns",
        params={"tight_pct": 20, "wide_pct": 80, **_WINDOW},
        name="spread_regime_{tight_pct}_{wide_pct}_{window_ns}ns",
    ),
    "tight_fraction": Column(
        TightFraction,
        "f64",
        "none",
        "ratio",
        2,
        "window_ns",
        params={"tight_ppm": 100, **_WINDOW},
        name="tight_fraction_{tight_ppm}ppm_{window_ns}ns",
    ),
    "tob_survival_ms": Column(TobSurvivalMs, "i64", "none", "ms", 2),
}
