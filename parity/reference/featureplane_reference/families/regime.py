"""Reference of family ``regime``: is the market calm? Spec: ``specs/features/regime.md``."""

from __future__ import annotations

from ..numeric import ratio
from .base import Column, Feature, View

REV = {
    "spread_tight": 1,
    "spread_percentile": 1,
    "spread_regime": 1,
    "tight_fraction": 1,
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
        self.spreads: list[tuple[int, int]] = []  # time and spread; the last one is the current

    def note(self, view: View) -> None:
        self.spreads.append((view.now, view.ask - view.bid))

    def rank(self, now: int) -> tuple[int, int]:
        """``below`` and ``n``."""
        current = self.spreads[-1]
        inside = [each for each in self.spreads[:-1] if each[0] > now - self.params["window_ns"]]
        self.spreads = [*inside, current]
        return sum(spread < current[1] for _, spread in inside), len(inside)

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
        if self.first is None:
            self.first = view.now
        self.states.append((view.now, is_tight(view, self.params["tight_ppm"])))

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
