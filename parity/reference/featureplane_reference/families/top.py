"""Reference of family ``top``: the best quotes. Spec: ``specs/features/top.md``."""

from .base import Column, Feature, View

REV = {"best_bid": 1, "best_ask": 1, "l1_bid_qty": 1, "l1_ask_qty": 1}


class BestBid(Feature):
    """``b``."""

    def compute(self, view: View) -> int:
        return view.bid


class BestAsk(Feature):
    """``a``."""

    def compute(self, view: View) -> int:
        return view.ask


class BestBidQty(Feature):
    """``qb``."""

    def compute(self, view: View) -> int:
        return view.bid_qty


class BestAskQty(Feature):
    """``qa``."""

    def compute(self, view: View) -> int:
        return view.ask_qty


COLUMNS = {
    "best_bid": Column(BestBid, "i64", "price", "price"),
    "best_ask": Column(BestAsk, "i64", "price", "price"),
    "l1_bid_qty": Column(BestBidQty, "i64", "qty", "quantity"),
    "l1_ask_qty": Column(BestAskQty, "i64", "qty", "quantity"),
}
