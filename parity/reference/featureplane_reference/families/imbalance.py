"""Reference of family ``imbalance``. Spec: ``specs/features/imbalance.md``."""

from __future__ import annotations

from ..numeric import ratio, round_half_even
from .base import Column, Feature, View

REV = {
    "l1_imbalance_ppm": 1,
    "l1_imbalance": 1,
    "depth_imbalance_ppm": 1,
    "depth_imbalance": 1,
    "queue_imbalance": 1,
}


def ppm(bid: int, ask: int) -> int | None:
    """``round_half_even((f(bid - ask)*1e6) / f(bid + ask))``."""
    if bid + ask == 0:
        return None
    return round_half_even((float(bid - ask) * 1e6) / float(bid + ask))


class L1ImbalancePpm(Feature):
    """Imbalance of the best quantities in parts per million."""

    def compute(self, view: View) -> int | None:
        return ppm(view.bid_qty, view.ask_qty)


class L1Imbalance(Feature):
    """Imbalance of the best quantities."""

    def compute(self, view: View) -> float | None:
        return ratio(view.bid_qty - view.ask_qty, view.bid_qty + view.ask_qty)


class DepthImbalancePpm(Feature):
    """Imbalance of the first ``levels`` quantities in parts per million."""

    def compute(self, view: View) -> int | None:
        levels = self.params["levels"]
        return ppm(view.book.bids.depth(levels), view.book.asks.depth(levels))


class DepthImbalance(Feature):
    """Imbalance of the first ``levels`` quantities."""

    def compute(self, view: View) -> float | None:
        levels = self.params["levels"]
        bid, ask = view.book.bids.depth(levels), view.book.asks.depth(levels)
        return ratio(bid - ask, bid + ask)


class QueueImbalance(Feature):
    """Imbalance of level ``level`` of both sides; undefined when a side has no such level."""

    def compute(self, view: View) -> float | None:
        bid = view.book.bids.level(self.params["level"])
        ask = view.book.asks.level(self.params["level"])
        if bid is None or ask is None:
            return None
        return ratio(bid[1] - ask[1], bid[1] + ask[1])


COLUMNS = {
    "l1_imbalance_ppm": Column(L1ImbalancePpm, "i64", "1000000", "ppm"),
    "l1_imbalance": Column(L1Imbalance, "f64", "none", "ratio"),
    "depth_imbalance_ppm": Column(
        DepthImbalancePpm, "i64", "1000000", "ppm", params={"levels": 5}, name="depth_imbalance_ppm_{levels}"
    ),
    "depth_imbalance": Column(
        DepthImbalance, "f64", "none", "ratio", params={"levels": 5}, name="depth_imbalance_{levels}"
    ),
    "queue_imbalance": Column(
        QueueImbalance, "f64", "none", "ratio", params={"level": None}, name="queue_imbalance_{level}"
    ),
}
