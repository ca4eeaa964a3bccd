"""Reference of family ``impact``: what flow does to the price. Spec: ``specs/features/impact.md``."""

from __future__ import annotations

import math
from collections import deque

from ..numeric import round_half_even
from .base import Column, Feature, View
from .ofi_l1 import Flow

REV = {"kyle_lambda": 1, "kyle_r2": 1, "impact_surprise_x1000": 1}


class Pairs:
    """Flow and change of the mid from packet to packet."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the anchors."""
        self.flow = Flow()
        self.mid: int | None = None

    def step(self, view: View) -> tuple[int, int] | None:
        """The pair of this packet; ``None`` where there is nothing to compare it with."""
        mid, self.mid = self.mid, view.bid + view.ask
        flow = self.flow.step(view)
        return None if mid is None or flow is None else (flow, self.mid - mid)


class Regression(Feature):
    """Something of the pairs of the last ``window_ns``."""

    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.pairs = Pairs()
        self.window: deque[tuple[int, int, int]] = deque()
        self.x = self.y = self.xx = self.xy = self.yy = 0
        self.unit = 1.0, 1.0

    def break_chain(self) -> None:
        self.pairs.start_anew()

    def compute(self, view: View) -> float | None:
        pair = self.pairs.step(view)
        if pair is not None:
            self.window.append((view.now, *pair))
            self.add(*pair, 1)
        self.unit = float(view.qty_unit), float(2 * view.price_unit)
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> float | None:
        while self.window and self.window[0][0] <= now - self.params["window_ns"]:
            _, x, y = self.window.popleft()
            self.add(x, y, -1)
        n = len(self.window)
        xx = n * self.xx - self.x * self.x
        if n < 3 or xx == 0:
            return None
        return self.of(n * self.xy - self.x * self.y, xx, n * self.yy - self.y * self.y)

    def add(self, x: int, y: int, sign: int) -> None:
        """Move the exact sums by a pair that comes (1) or goes (-1)."""
        self.x += sign * x
        self.y += sign * y
        self.xx += sign * x * x
        self.xy += sign * x * y
        self.yy += sign * y * y

    def of(self, xy: int, xx: int, yy: int) -> float | None:
        """The value of the centred moments, each times ``n**2``."""
        raise NotImplementedError


class KyleLambda(Regression):
    """The slope, price per quantity."""

    def of(self, xy: int, xx: int, yy: int) -> float:
        return float(xy) / float(xx) * self.unit[0] / self.unit[1]


class KyleR2(Regression):
    """The share of the variance that is explained."""

    def of(self, xy: int, xx: int, yy: int) -> float | None:
        if yy == 0:
            return None
        return min(1.0, (float(xy) / float(xx)) * (float(xy) / float(yy)))


class ImpactSurprise(Feature):
    """Deviation of the average impact from its baseline."""

    def clear_state(self) -> None:
        self.pairs = Pairs()
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the averages."""
        self.x = self.y = self.xy = self.base = 0.0
        self.xx = 1.0

    def break_chain(self) -> None:
        self.pairs.start_anew()
        self.start_anew()
        self.steps = 0

    def compute(self, view: View) -> int:
        levels, count = self.params["levels"], self.params["count"]
        sides = (view.book.bids, view.book.asks)
        found = [side.level(i) for side in sides for i in range(levels)]
        depth = sum(level[1] for level in found if level is not None)
        by_depth = 1.0 / float(2 * max(depth, 1) + 1)
        # The flow of a gap step is unknown, and so is the pair: it is a first packet.
        pair = self.pairs.step(view)
        if pair is None:
            self.base = by_depth
            return 0
        x, y, a = float(pair[0]), float(pair[1]), 4.0 / float(count + 2)
        self.x = self.x + a * (x - self.x)
        self.y = self.y + a * (y - self.y)
        self.xx = self.xx + a * (x * x - self.xx)
        self.xy = self.xy + a * (x * y - self.xy)
        variance = self.xx - self.x * self.x
        late = (self.xy - self.x * self.y) / variance if variance > 0.01 else by_depth
        self.base = self.base + 2.0 / float(5 * count + 1) * (late - self.base)
        deviation = (late - self.base) / self.base if self.base != 0.0 else math.inf
        if self.steps + 1 < count or not math.isfinite(deviation) or abs(deviation) < 0.3:
            return 0
        return round_half_even(max(-1.0, min(1.0, deviation)) * 1000.0)


def _window(name: str, make: type[Feature], unit: str) -> Column:
    return Column(
        make,
        "f64",
        "none",
        unit,
        warmup_min_events=2,
        warmup_ns_param="window_ns",
        params={"window_ns": None},
        name=f"{name}_{{window_ns}}ns",
    )


COLUMNS = {
    "kyle_lambda": _window("kyle_lambda", KyleLambda, "price per quantity"),
    "kyle_r2": _window("kyle_r2", KyleR2, "ratio"),
    "impact_surprise_x1000": Column(
        ImpactSurprise,
        "i64",
        "1000",
        "thousandths",
        warmup_min_events=0,
        warmup_count_param="count",
        params={"count": 400, "levels": 5},
        name="impact_surprise_x1000_{count}_{levels}",
    ),
}
