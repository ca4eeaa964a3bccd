"""Reference of family ``shape``: how quantity lies in the book. Spec: ``specs/features/shape.md``."""

from __future__ import annotations

from ..book import Side
from ..numeric import ratio
from .base import Column, Feature, View
from .depth import ask_band, bid_band

REV = {
    "bid_half_depth_level": 1,
    "ask_half_depth_level": 1,
    "bid_concentration": 1,
    "ask_concentration": 1,
    "bid_vwap": 1,
    "ask_vwap": 1,
    "vwap_spread": 1,
    "bid_slope": 1,
    "ask_slope": 1,
    "bid_slope_ols": 1,
    "ask_slope_ols": 1,
    "slope_asymmetry": 1,
    "centre_of_gravity": 1,
    "cog_minus_mid_bps": 1,
    "book_convexity": 1,
    "bid_depth_decay": 1,
    "ask_depth_decay": 1,
    "depth_decay": 1,
    "book_pressure": 1,
    "lambda_like": 1,
    "amihud_like": 1,
}


class Levels:
    """The first levels of one side: prices, quantities, distances from the best price."""

    def __init__(self, side: Side, count: int) -> None:
        found = [side.level(i) for i in range(count)]
        known = [level for level in found if level is not None]
        self.p = [price for price, _ in known]
        self.q = [qty for _, qty in known]
        self.v = [abs(price - self.p[0]) for price in self.p]
        self.n = len(known)

    @property
    def total(self) -> int:
        """``Y``."""
        return sum(self.q)

    @property
    def value(self) -> int:
        """``sum p_i*q_i``."""
        return sum(p * q for p, q in zip(self.p, self.q))

    @property
    def moment(self) -> int:
        """``sum v_i*q_i``."""
        return sum(v * q for v, q in zip(self.v, self.q))

    def half(self) -> int:
        """The first level at which half of the quantity is reached."""
        so_far = 0
        for i, q in enumerate(self.q):
            so_far += q
            if 2 * so_far >= self.total:
                return i
        raise AssertionError("the last level reaches all of it")

    def ols(self) -> float | None:
        """``f(N) / f(D)``, ``None`` below three levels."""
        if self.n < 3:
            return None
        y = [sum(self.q[: i + 1]) for i in range(self.n)]
        num = self.n * sum(v * each for v, each in zip(self.v, y)) - sum(self.v) * sum(y)
        den = self.n * sum(v * v for v in self.v) - sum(self.v) ** 2
        return ratio(num, den)


class ShapeFeature(Feature):
    """A function of the levels of both sides."""

    def bids(self, view: View) -> Levels:
        """The bids the column looks at."""
        return Levels(view.book.bids, self.params["levels"])

    def asks(self, view: View) -> Levels:
        """The asks the column looks at."""
        return Levels(view.book.asks, self.params["levels"])


class BidHalfDepthLevel(ShapeFeature):
    """Level that holds the middle of the bid quantity."""

    def compute(self, view: View) -> int:
        return self.bids(view).half()


class AskHalfDepthLevel(ShapeFeature):
    """Level that holds the middle of the ask quantity."""

    def compute(self, view: View) -> int:
        return self.asks(view).half()


def concentration(side: Levels) -> float | None:
    """``sum q^2 / (sum q)^2``."""
    return ratio(sum(q * q for q in side.q), side.total**2)


class BidConcentration(ShapeFeature):
    """Herfindahl index of the bids."""

    def compute(self, view: View) -> float | None:
        return concentration(self.bids(view))


class AskConcentration(ShapeFeature):
    """Herfindahl index of the asks."""

    def compute(self, view: View) -> float | None:
        return concentration(self.asks(view))


class BidVwap(ShapeFeature):
    """Mean bid price weighted by quantity."""

    def compute(self, view: View) -> float | None:
        bids = self.bids(view)
        return ratio(bids.value, bids.total * view.price_unit)


class AskVwap(ShapeFeature):
    """Mean ask price weighted by quantity."""

    def compute(self, view: View) -> float | None:
        asks = self.asks(view)
        return ratio(asks.value, asks.total * view.price_unit)


class VwapSpread(ShapeFeature):
    """Distance between the two mean prices, from terms that are not negative."""

    def compute(self, view: View) -> float:
        bids, asks = self.bids(view), self.asks(view)
        unit = view.price_unit
        spread = float(view.ask - view.bid) / float(unit)
        beyond_ask = float(asks.moment) / float(asks.total * unit)
        beyond_bid = float(bids.moment) / float(bids.total * unit)
        return (spread + beyond_ask) + beyond_bid


def slope(side: Levels, levels: int, view: View) -> float | None:
    """Price distance of the last level over the quantity up to it."""
    if side.n < levels:
        return None
    return ratio(side.v[-1] * view.qty_unit, side.total * view.price_unit)


class BidSlope(ShapeFeature):
    """Simple slope of the bids."""

    def compute(self, view: View) -> float | None:
        return slope(self.bids(view), self.params["levels"], view)


class AskSlope(ShapeFeature):
    """Simple slope of the asks."""

    def compute(self, view: View) -> float | None:
        return slope(self.asks(view), self.params["levels"], view)


def slope_ols(side: Levels, view: View) -> float | None:
    """Cumulative quantity over distance in bps."""
    in_prices = side.ols()
    if in_prices is None:
        return None
    return in_prices * (float(view.bid + view.ask) / float(20_000 * view.qty_unit))


class BidSlopeOls(ShapeFeature):
    """Least-squares slope of the bids."""

    def compute(self, view: View) -> float | None:
        return slope_ols(self.bids(view), view)


class AskSlopeOls(ShapeFeature):
    """Least-squares slope of the asks."""

    def compute(self, view: View) -> float | None:
        return slope_ols(self.asks(view), view)


class SlopeAsymmetry(ShapeFeature):
    """Slope of the bids over that of the asks."""

    def compute(self, view: View) -> float | None:
        bid, ask = self.bids(view).ols(), self.asks(view).ols()
        return None if bid is None or ask is None else bid / ask


class CentreOfGravity(ShapeFeature):
    """Mean price of both sides weighted by quantity."""

    def compute(self, view: View) -> float | None:
        bids, asks = self.bids(view), self.asks(view)
        return ratio(bids.value + asks.value, (bids.total + asks.total) * view.price_unit)


class CogMinusMidBps(ShapeFeature):
    """Centre of gravity minus mid."""

    def compute(self, view: View) -> float:
        bids, asks = self.bids(view), self.asks(view)
        total = view.bid + view.ask
        levels = [*zip(bids.p, bids.q), *zip(asks.p, asks.q)]
        num = sum((2 * p - total) * q for p, q in levels)
        return (float(num) * 1e4) / float(total * (bids.total + asks.total))


def band(view: View, lo_bps: int, hi_bps: int) -> int:
    """Quantity of both sides in a band."""
    return bid_band(view, lo_bps, hi_bps) + ask_band(view, lo_bps, hi_bps)


class BookConvexity(Feature):
    """Share of the quantity in the far band that is in the near one."""

    def compute(self, view: View) -> float | None:
        return ratio(band(view, 0, self.params["near_bps"]), band(view, 0, self.params["far_bps"]))


class DecayFeature(Feature):
    """A function of the best level and another one."""

    def quantities(self, side: Side) -> tuple[int, int] | None:
        """Quantity of the level and of the best one."""
        level, best = side.level(self.params["level"]), side.level(0)
        return None if level is None or best is None else (level[1], best[1])


class BidDepthDecay(DecayFeature):
    """Quantity of a bid level over the best."""

    def compute(self, view: View) -> float | None:
        found = self.quantities(view.book.bids)
        return None if found is None else ratio(*found)


class AskDepthDecay(DecayFeature):
    """Quantity of an ask level over the best."""

    def compute(self, view: View) -> float | None:
        found = self.quantities(view.book.asks)
        return None if found is None else ratio(*found)


class DepthDecay(DecayFeature):
    """The mean of the two decays, exactly."""

    def compute(self, view: View) -> float | None:
        bid, ask = self.quantities(view.book.bids), self.quantities(view.book.asks)
        if bid is None or ask is None:
            return None
        return ratio(bid[0] * ask[1] + ask[0] * bid[1], 2 * bid[1] * ask[1])


class BookPressure(ShapeFeature):
    """Imbalance of the first levels."""

    def compute(self, view: View) -> float | None:
        bid, ask = self.bids(view).total, self.asks(view).total
        return ratio(bid - ask, bid + ask)


class SpreadPerQuantity(Feature):
    """Spread over the quantity of a band."""

    def compute(self, view: View) -> float | None:
        volume = band(view, self.params["lo_bps"], self.params["hi_bps"])
        if volume == 0:
            return None
        spread = float(view.ask - view.bid) / float(view.price_unit)
        return spread / (float(volume) / float(view.qty_unit))


def _sums(make: type[Feature], dtype: str, unit: str, column: str) -> Column:
    return Column(make, dtype, "none", unit, params={"levels": 10}, name=f"{column}_{{levels}}")


def _decay(make: type[Feature], column: str) -> Column:
    return Column(make, "f64", "none", "ratio", params={"level": 4}, name=f"{column}_{{level}}")


def _per_quantity(column: str) -> Column:
    params = {"lo_bps": 0, "hi_bps": None}
    name = f"{column}_{{lo_bps}}_{{hi_bps}}bps"
    return Column(SpreadPerQuantity, "f64", "none", "price per quantity", params=params, name=name)


COLUMNS = {
    "bid_half_depth_level": _sums(BidHalfDepthLevel, "u32", "level", "bid_half_depth_level"),
    "ask_half_depth_level": _sums(AskHalfDepthLevel, "u32", "level", "ask_half_depth_level"),
    "bid_concentration": _sums(BidConcentration, "f64", "ratio", "bid_concentration"),
    "ask_concentration": _sums(AskConcentration, "f64", "ratio", "ask_concentration"),
    "bid_vwap": _sums(BidVwap, "f64", "price", "bid_vwap"),
    "ask_vwap": _sums(AskVwap, "f64", "price", "ask_vwap"),
    "vwap_spread": _sums(VwapSpread, "f64", "price", "vwap_spread"),
    "bid_slope": _sums(BidSlope, "f64", "price per quantity", "bid_slope"),
    "ask_slope": _sums(AskSlope, "f64", "price per quantity", "ask_slope"),
    "bid_slope_ols": _sums(BidSlopeOls, "f64", "quantity per bps", "bid_slope_ols"),
    "ask_slope_ols": _sums(AskSlopeOls, "f64", "quantity per bps", "ask_slope_ols"),
    "slope_asymmetry": _sums(SlopeAsymmetry, "f64", "ratio", "slope_asymmetry"),
    "centre_of_gravity": _sums(CentreOfGravity, "f64", "price", "centre_of_gravity"),
    "cog_minus_mid_bps": _sums(CogMinusMidBps, "f64", "bps", "cog_minus_mid_bps"),
    "book_convexity": Column(
        BookConvexity,
        "f64",
        "none",
        "ratio",
        params={"near_bps": 5, "far_bps": 50},
        name="book_convexity_{near_bps}_{far_bps}bps",
    ),
    "bid_depth_decay": _decay(BidDepthDecay, "bid_depth_decay"),
    "ask_depth_decay": _decay(AskDepthDecay, "ask_depth_decay"),
    "depth_decay": _decay(DepthDecay, "depth_decay"),
    "book_pressure": _sums(BookPressure, "f64", "ratio", "book_pressure"),
    "lambda_like": _per_quantity("lambda_like"),
    "amihud_like": _per_quantity("amihud_like"),
}
