"""Reference of family ``microprice``. Spec: ``specs/features/microprice.md``."""

from __future__ import annotations

from ..numeric import ratio, ratio_half_even
from .base import Column, Feature, View

REV = {"microprice_x2": 1, "microprice": 1, "micro_minus_mid": 1}


def weighted_sum(view: View) -> int:
    """``a*qb + b*qa``: each price weighs with the quantity of the other side."""
    return view.ask * view.bid_qty + view.bid * view.ask_qty


class MicropriceX2(Feature):
    """``2*(a*qb + b*qa) / (qb + qa)`` rounded once, from the exact rational."""

    def compute(self, view: View) -> int:
        return ratio_half_even(2 * weighted_sum(view), view.bid_qty + view.ask_qty)


class Microprice(Feature):
    """``f(a*qb + b*qa) / f((qb + qa)*P)``."""

    def compute(self, view: View) -> float | None:
        return ratio(weighted_sum(view), (view.bid_qty + view.ask_qty) * view.price_unit)


class MicroMinusMid(Feature):
    """``f(2*(a*qb + b*qa) - (a + b)*(qb + qa)) / f(2*(qb + qa)*P)``."""

    def compute(self, view: View) -> float | None:
        total = view.bid_qty + view.ask_qty
        num = 2 * weighted_sum(view) - (view.ask + view.bid) * total
        return ratio(num, 2 * total * view.price_unit)


COLUMNS = {
    "microprice_x2": Column(MicropriceX2, "i64", "price_x2", "price x2"),
    "microprice": Column(Microprice, "f64", "none", "price"),
    "micro_minus_mid": Column(MicroMinusMid, "f64", "none", "price"),
}
