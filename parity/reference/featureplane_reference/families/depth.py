"""Reference of family ``depth``. Spec: ``specs/features/depth.md``."""

from __future__ import annotations

from ..numeric import ratio
from .base import Column, Feature, View

REV = {
    "bid_depth": 1,
    "ask_depth": 1,
    "bid_price": 1,
    "ask_price": 1,
    "bid_qty": 1,
    "ask_qty": 1,
    "bid_depth_within": 1,
    "ask_depth_within": 1,
    "bid_depth_band": 1,
    "ask_depth_band": 1,
    "band_imbalance": 1,
    "depth_band": 1,
}

# A bid at p has distance d with d*S = (S - 2*p)*10000, where S = b + a; an ask (2*p - S)*10000.
# Each comparison of d with a bound is turned into a comparison of p with an integer:
#   bid  d >= x  <=>  20000*p <= S*(10000 - x)  <=>  p <= floor(S*(10000 - x) / 20000)
#   bid  d <= x  <=>  20000*p >= S*(10000 - x)  <=>  p >= ceil(...)
#   ask  d >= x  <=>  20000*p >= S*(10000 + x)  <=>  p >= ceil(S*(10000 + x) / 20000)
#   ask  d <= x  <=>  20000*p <= S*(10000 + x)  <=>  p <= floor(...)
# and "not (d >= x)" is the next integer outside.


def floor_div(num: int, den: int) -> int:
    """``floor(num / den)``."""
    return num // den


def ceil_div(num: int, den: int) -> int:
    """``ceil(num / den)``."""
    return -(-num // den)


def bid_within(view: View, bps: int) -> int:
    """Quantity of the bids with ``d <= bps``."""
    bound = (view.bid + view.ask) * (10_000 - bps)
    return view.book.bids.depth_between(ceil_div(bound, 20_000), view.bid)


def ask_within(view: View, bps: int) -> int:
    """Quantity of the asks with ``d <= bps``."""
    bound = (view.bid + view.ask) * (10_000 + bps)
    return view.book.asks.depth_between(view.ask, floor_div(bound, 20_000))


def bid_band(view: View, lo_bps: int, hi_bps: int) -> int:
    """Quantity of the bids with ``lo_bps <= d < hi_bps``."""
    total = view.bid + view.ask
    nearest = floor_div(total * (10_000 - lo_bps), 20_000)
    farthest = floor_div(total * (10_000 - hi_bps), 20_000) + 1
    return view.book.bids.depth_between(farthest, nearest)


def ask_band(view: View, lo_bps: int, hi_bps: int) -> int:
    """Quantity of the asks with ``lo_bps <= d < hi_bps``."""
    total = view.bid + view.ask
    nearest = ceil_div(total * (10_000 + lo_bps), 20_000)
    farthest = ceil_div(total * (10_000 + hi_bps), 20_000) - 1
    return view.book.asks.depth_between(nearest, farthest)


class BidDepth(Feature):
    """Sum of the first ``levels`` bid quantities."""

    def compute(self, view: View) -> int:
        return view.book.bids.depth(self.params["levels"])


class AskDepth(Feature):
    """Sum of the first ``levels`` ask quantities."""

    def compute(self, view: View) -> int:
        return view.book.asks.depth(self.params["levels"])


class BidPrice(Feature):
    """Price of bid level ``level``."""

    def compute(self, view: View) -> int | None:
        level = view.book.bids.level(self.params["level"])
        return None if level is None else level[0]


class AskPrice(Feature):
    """Price of ask level ``level``."""

    def compute(self, view: View) -> int | None:
        level = view.book.asks.level(self.params["level"])
        return None if level is None else level[0]


class BidQty(Feature):
    """Quantity of bid level ``level``."""

    def compute(self, view: View) -> int | None:
        level = view.book.bids.level(self.params["level"])
        return None if level is None else level[1]


class AskQty(Feature):
    """Quantity of ask level ``level``."""

    def compute(self, view: View) -> int | None:
        level = view.book.asks.level(self.params["level"])
        return None if level is None else level[1]


class BidDepthWithin(Feature):
    """Bid quantity not farther than ``bps`` from the mid."""

    def compute(self, view: View) -> int:
        return bid_within(view, self.params["bps"])


class AskDepthWithin(Feature):
    """Ask quantity not farther than ``bps`` from the mid."""

    def compute(self, view: View) -> int:
        return ask_within(view, self.params["bps"])


class BidDepthBand(Feature):
    """Bid quantity in the band ``[lo_bps, hi_bps)``."""

    def compute(self, view: View) -> int:
        return bid_band(view, self.params["lo_bps"], self.params["hi_bps"])


class AskDepthBand(Feature):
    """Ask quantity in the band ``[lo_bps, hi_bps)``."""

    def compute(self, view: View) -> int:
        return ask_band(view, self.params["lo_bps"], self.params["hi_bps"])


class BandImbalance(Feature):
    """Imbalance of the two bands; undefined when both are empty."""

    def compute(self, view: View) -> float | None:
        lo_bps, hi_bps = self.params["lo_bps"], self.params["hi_bps"]
        bid, ask = bid_band(view, lo_bps, hi_bps), ask_band(view, lo_bps, hi_bps)
        return ratio(bid - ask, bid + ask)


class DepthBand(Feature):
    """Quantity of both sides in the band ``[lo_bps, hi_bps)``."""

    def compute(self, view: View) -> int:
        lo_bps, hi_bps = self.params["lo_bps"], self.params["hi_bps"]
        return bid_band(view, lo_bps, hi_bps) + ask_band(view, lo_bps, hi_bps)


_BAND = {"lo_bps": None, "hi_bps": None}

COLUMNS = {
    "bid_depth": Column(BidDepth, "i64", "qty", "quantity", params={"levels": 5}, name="bid_depth_{levels}"),
    "ask_depth": Column(AskDepth, "i64", "qty", "quantity", params={"levels": 5}, name="ask_depth_{levels}"),
    "bid_price": Column(BidPrice, "i64", "price", "price", params={"level": None}, name="bid_price_{level}"),
    "ask_price": Column(AskPrice, "i64", "price", "price", params={"level": None}, name="ask_price_{level}"),
    "bid_qty": Column(BidQty, "i64", "qty", "quantity", params={"level": None}, name="bid_qty_{level}"),
    "ask_qty": Column(AskQty, "i64", "qty", "quantity", params={"level": None}, name="ask_qty_{level}"),
    "bid_depth_within": Column(
        BidDepthWithin, "i64", "qty", "quantity", params={"bps": None}, name="bid_depth_within_{bps}bps"
    ),
    "ask_depth_within": Column(
        AskDepthWithin, "i64", "qty", "quantity", params={"bps": None}, name="ask_depth_within_{bps}bps"
    ),
    "bid_depth_band": Column(
        BidDepthBand, "i64", "qty", "quantity", params=_BAND, name="bid_depth_band_{lo_bps}_{hi_bps}bps"
    ),
    "ask_depth_band": Column(
        AskDepthBand, "i64", "qty", "quantity", params=_BAND, name="ask_depth_band_{lo_bps}_{hi_bps}bps"
    ),
    "band_imbalance": Column(
        BandImbalance, "f64", "none", "ratio", params=_BAND, name="band_imbalance_{lo_bps}_{hi_bps}bps"
    ),
    "depth_band": Column(DepthBand, "i64", "qty", "quantity", params=_BAND, name="depth_band_{lo_bps}_{hi_bps}bps"),
}
