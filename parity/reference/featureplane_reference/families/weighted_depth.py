"""Reference of family ``weighted_depth``: depth that fades. Spec: ``specs/features/weighted_depth.md``."""

from __future__ import annotations

from typing import Any

from ..book import Side
from ..numeric import det_exp
from .base import Column, Feature, View

REV = {
    "weighted_bid": 1,
    "weighted_ask": 1,
    "weighted_oib": 1,
    "smart_bid": 1,
    "smart_ask": 1,
    "smart_oib": 1,
}

LN2 = 0.6931471805599453


class Weighted(Feature):
    """Both sums for one choice of parameters."""

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        super().__init__(params, inputs)
        self.notional = False
        self.cutoff_bps: int | None = None
        self.weights: dict[int, float] = {}  # by distance, for the mid of `weighed_at`
        self.weighed_at = 0
        if "k" in params:
            self.rate = float(params["k"])
            return
        halflife_bps = params["halflife_bps"]
        if params["measure"] not in ("qty", "notional"):
            raise ValueError(f"unknown measure {params['measure']!r}")
        self.rate = (LN2 * 10_000.0) / float(halflife_bps)
        self.notional = params["measure"] == "notional"
        self.cutoff_bps = halflife_bps * params["cutoff_halflives"]

    def sum_of(self, side: Side, view: View) -> float:
        """``W`` of a side, computed once a frame for all columns with these parameters."""
        key = Weighted, side.best_last, tuple(self.params.items())
        if key not in view.shared:
            view.shared[key] = self.summed(side, view.bid + view.ask)
        return view.shared[key]

    def summed(self, side: Side, total: int) -> float:
        """``W`` of a side, from the best level outwards; ``total`` is ``S``."""
        if total != self.weighed_at:
            self.weights, self.weighed_at = {}, total
        weights = self.weights
        prices = side.prices[::-1] if side.best_last else side.prices
        found = 0.0
        for price in prices[: self.params.get("levels")]:
            distance = abs(2 * price - total)
            if self.cutoff_bps is not None and distance * 10_000 > self.cutoff_bps * total:
                break
            if distance not in weights:
                weights[distance] = det_exp(-(self.rate * (float(distance) / float(total))))
            qty = side.qty[price]
            found += float(price * qty if self.notional else qty) * weights[distance]
        return found

    def unit(self, view: View) -> float:
        """What the sums are divided by."""
        return float(view.price_unit * view.qty_unit if self.notional else view.qty_unit)


class WeightedBid(Weighted):
    """Weighted depth of the bids."""

    def compute(self, view: View) -> float:
        return self.sum_of(view.book.bids, view) / self.unit(view)


class WeightedAsk(Weighted):
    """Weighted depth of the asks."""

    def compute(self, view: View) -> float:
        return self.sum_of(view.book.asks, view) / self.unit(view)


class WeightedOib(Weighted):
    """Imbalance of the two sums."""

    def compute(self, view: View) -> float | None:
        bid, ask = self.sum_of(view.book.bids, view), self.sum_of(view.book.asks, view)
        return (bid - ask) / (bid + ask) if bid + ask != 0.0 else None


def _halflife(make: type[Feature], unit: str, column: str) -> Column:
    params = {"halflife_bps": None, "measure": "qty", "cutoff_halflives": 40}
    name = f"{column}_{{halflife_bps}}bps_{{measure}}_{{cutoff_halflives}}"
    return Column(make, "f64", "none", unit, params=params, name=name)


def _smart(make: type[Feature], unit: str, column: str) -> Column:
    return Column(make, "f64", "none", unit, params={"k": 100, "levels": 50}, name=f"{column}_{{k}}_{{levels}}")


COLUMNS = {
    "weighted_bid": _halflife(WeightedBid, "quantity or notional", "weighted_bid"),
    "weighted_ask": _halflife(WeightedAsk, "quantity or notional", "weighted_ask"),
    "weighted_oib": _halflife(WeightedOib, "ratio", "weighted_oib"),
    "smart_bid": _smart(WeightedBid, "quantity", "smart_bid"),
    "smart_ask": _smart(WeightedAsk, "quantity", "smart_ask"),
    "smart_oib": _smart(WeightedOib, "ratio", "smart_oib"),
}
