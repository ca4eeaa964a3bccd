"""Reference of family ``momentum``: depth behind the best. Spec: ``specs/features/momentum.md``."""

from __future__ import annotations

from ..book import Side
from ..numeric import det_exp, round_half_even
from .base import Column, Feature, View
from .ofi_ml import Flow

REV = {"deep_momentum": 1, "deep_depth_momentum_x1000": 1}


class Averages:
    """The fast, the slow and the smoothed average."""

    def __init__(self, fast: int, slow: int, smooth: int) -> None:
        self.weights = [1.0 - det_exp(-(1.0 / float(n))) for n in (fast, slow, smooth)]
        self.u = self.v = self.m = 0.0

    def step(self, x: float) -> None:
        """Average in ``x``."""
        fast, slow, smooth = self.weights
        self.u = self.u + fast * (x - self.u)
        self.v = self.v + slow * (x - self.v)
        self.m = self.m + smooth * ((self.u - self.v) - self.m)


class DeepMomentum(Feature):
    """By price; stands still when a best price moved."""

    def clear_state(self) -> None:
        self.flow = Flow(self.params["levels"], "price")
        self.best: tuple[int, int] | None = None
        self.averages = Averages(self.params["fast"], self.params["slow"], self.params["smooth"])

    def compute(self, view: View) -> float:
        flows = self.flow.step(view)
        best, self.best = self.best, (view.bid, view.ask)
        if flows is not None and best == self.best:
            self.averages.step(float(sum(flows[1:])))
        return self.averages.m / float(view.qty_unit)


class DeepDepthMomentumX1000(Feature):
    """By position, as deployed."""

    def clear_state(self) -> None:
        self.best: tuple[int, int] | None = None
        self.deep = 0
        self.count = 0
        self.averages = Averages(8, 64, 16)

    def behind(self, side: Side) -> int:
        """Quantity of the levels behind the best."""
        return side.depth(self.params["levels"]) - side.depth(1)

    def compute(self, view: View) -> int:
        bids, asks = view.book.bids, view.book.asks
        before, self.deep = self.deep, self.behind(bids) - self.behind(asks)
        best, self.best = self.best, (view.bid, view.ask)
        is_moved = best is not None and best != self.best
        is_thin = len(bids.prices) < 2 or len(asks.prices) < 2
        is_blind = is_moved or is_thin or view.gap_step
        self.averages.step(0.0 if is_blind else float(self.deep - before))
        self.count += 1
        if self.count < self.params["silent_steps"]:
            return 0
        return round_half_even(min(2.0, max(-2.0, self.averages.m)) * 1000.0)


COLUMNS = {
    "deep_momentum": Column(
        DeepMomentum,
        "f64",
        "none",
        "quantity per packet",
        128,
        params={"levels": 5, "fast": 8, "slow": 64, "smooth": 16},
        name="deep_momentum_{levels}_{fast}_{slow}_{smooth}",
    ),
    "deep_depth_momentum_x1000": Column(
        DeepDepthMomentumX1000,
        "i64",
        "1000",
        "quantity per packet",
        128,
        params={"levels": 5, "silent_steps": 128},
        name="deep_depth_momentum_x1000_{levels}_{silent_steps}",
    ),
}
