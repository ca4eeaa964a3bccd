"""Reference of family ``mid_spread``. Spec: ``specs/features/mid_spread.md``."""

from __future__ import annotations

from ..numeric import ratio
from .base import Column, Feature, View

REV = {"mid_price_x2": 1, "spread_scaled": 1, "mid": 1, "spread": 1, "spread_bps": 1, "rel_spread": 1}


class MidPriceX2(Feature):
    """``b + a``."""

    def compute(self, view: View) -> int:
        return view.bid + view.ask


class SpreadScaled(Feature):
    """``a - b``."""

    def compute(self, view: View) -> int:
        return view.ask - view.bid


class Mid(Feature):
    """``f(b + a) / f(2*P)``."""

    def compute(self, view: View) -> float | None:
        return ratio(view.bid + view.ask, 2 * view.price_unit)


class Spread(Feature):
    """``f(a - b) / f(P)``."""

    def compute(self, view: View) -> float | None:
        return ratio(view.ask - view.bid, view.price_unit)


class SpreadBps(Feature):
    """``f(2*(a - b)*10000) / f(b + a)``."""

    def compute(self, view: View) -> float | None:
        return ratio(2 * (view.ask - view.bid) * 10_000, view.bid + view.ask)


class RelSpread(Feature):
    """``f(2*(a - b)) / f(b + a)``."""

    def compute(self, view: View) -> float | None:
        return ratio(2 * (view.ask - view.bid), view.bid + view.ask)


COLUMNS = {
    "mid_price_x2": Column(MidPriceX2, "i64", "price_x2", "price x2"),
    "spread_scaled": Column(SpreadScaled, "i64", "price", "price"),
    "mid": Column(Mid, "f64", "none", "price"),
    "spread": Column(Spread, "f64", "none", "price"),
    "spread_bps": Column(SpreadBps, "f64", "none", "bps"),
    "rel_spread": Column(RelSpread, "f64", "none", "ratio"),
}
