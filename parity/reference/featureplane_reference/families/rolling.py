"""Reference of family ``rolling``: statistics of other columns. Spec: ``specs/features/rolling.md``."""

from __future__ import annotations

import math
from typing import Any

from ..numeric import QUANTUM, clamp_i64, quantised
from .base import Column, Feature, Value, View, Windowed

REV = {
    "rolling_mean": 1,
    "rolling_sum": 1,
    "rolling_std": 1,
    "rolling_zscore": 1,
    "rolling_min": 1,
    "rolling_max": 1,
}


class Rolling(Windowed):
    """A statistic of a window; entries are integers, floats in units of 2**-40."""

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        super().__init__(params, inputs)
        self.unit = float(QUANTUM) if self.source.dtype == "f64" else 1.0

    def clear_totals(self) -> None:
        self.s1 = self.s2 = 0

    def add(self, entry: int, sign: int) -> None:
        self.s1 += sign * entry
        self.s2 += sign * entry * entry

    def step(self, view: View) -> None:
        value = self.source.value
        assert value is not None
        if self.source.dtype == "f64":
            entry, self.clamped = quantised(value)
        else:
            entry = clamp_i64(int(value))
        self.push(view.now, entry)

    def of_window(self) -> Value:
        value = self.statistic([entry for _, entry in self.window]) if self.window else None
        return None if value is None else value / self.unit

    def statistic(self, entries: list[int]) -> float | None:
        """The value in units of the entries; there is one at least."""
        raise NotImplementedError

    def deviation(self) -> float | None:
        """The standard deviation of a sample."""
        n = len(self.window)
        if n < 2:
            return None
        return math.sqrt(float(n * self.s2 - self.s1 * self.s1) / float(n * (n - 1)))


class Mean(Rolling):
    """``f(S1) / f(n)``."""

    def statistic(self, entries: list[int]) -> float:
        return float(self.s1) / float(len(entries))


class Sum(Rolling):
    """``f(S1)``; an empty window has the sum 0."""

    def of_window(self) -> float:
        return float(self.s1) / self.unit


class Std(Rolling):
    """The standard deviation."""

    def statistic(self, entries: list[int]) -> float | None:
        return self.deviation()


class ZScore(Rolling):
    """Distance of the newest entry from the mean in standard deviations."""

    def of_window(self) -> float | None:
        deviation = self.deviation()
        if not deviation:
            return None
        n, newest = len(self.window), self.window[-1][1]
        return float(n * newest - self.s1) / float(n) / deviation


class Min(Rolling):
    """The smallest entry."""

    def statistic(self, entries: list[int]) -> float:
        return float(min(entries))


class Max(Rolling):
    """The largest entry."""

    def statistic(self, entries: list[int]) -> float:
        return float(max(entries))


def _column(name: str, make: type[Feature]) -> Column:
    return Column(
        make,
        "f64",
        "none",
        "as input",
        warmup_min_events=0,
        warmup_ns_param="window_ns",
        warmup_count_param="count",
        params={"of": None},
        name=f"{name}_{{of}}_{{length}}",
    )


COLUMNS = {
    "rolling_mean": _column("rolling_mean", Mean),
    "rolling_sum": _column("rolling_sum", Sum),
    "rolling_std": _column("rolling_std", Std),
    "rolling_zscore": _column("rolling_zscore", ZScore),
    "rolling_min": _column("rolling_min", Min),
    "rolling_max": _column("rolling_max", Max),
}
