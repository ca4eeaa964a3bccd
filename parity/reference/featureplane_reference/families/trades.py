"""Reference of family ``trades``: trades and their aggressors. Spec: ``specs/features/trades.md``."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..numeric import ratio
from .aggressor import Aggressors
from .base import Column, Feature, Value, View

REV = {
    "trade_count": 1,
    "buy_qty": 1,
    "sell_qty": 1,
    "signed_flow": 1,
    "trade_count_sum": 1,
    "buy_qty_sum": 1,
    "sell_qty_sum": 1,
    "signed_flow_sum": 1,
    "trade_qty_sum": 1,
    "tfi": 1,
    "vwap": 1,
    "last_trade_price": 1,
    "last_trade_qty": 1,
}

Trade = tuple[int, int, int]  # scaled price, scaled quantity, sign


class TradeFeature(Feature):
    """A column over the trades of the epoch."""

    reads = "trades"

    def clear_state(self) -> None:
        self.aggressors = Aggressors()
        self.value = self.rest()

    def break_chain(self) -> None:
        self.aggressors.forget()

    def settle(self, view: View) -> None:
        self.aggressors.settle(view)

    def rest(self) -> Value:
        """The value without a trade."""
        return 0

    def signed(self, view: View) -> list[Trade]:
        """The trades of the packet with their signs."""
        found: list[Trade] = []
        for trade in view.trades:
            sign, _ = self.aggressors.sign(trade, view.tick)
            found.append((trade[0] * view.tick, trade[1] * view.lot, sign))
        return found


def total(trades: list[Trade], column: str) -> int:
    """One of the four sums over trades."""
    if column == "trade_count":
        return len(trades)
    buy = sum(qty for _, qty, sign in trades if sign == 1)
    sell = sum(qty for _, qty, sign in trades if sign == -1)
    return {"buy_qty": buy, "sell_qty": sell, "signed_flow": buy - sell}[column]


class OfPacket(TradeFeature):
    """A sum over the trades of this packet: a step value."""

    column = ""

    def compute(self, view: View) -> int:
        return total(self.signed(view), self.column)

    def idle(self, view: View) -> None:
        self.value = 0


class OfWindow(TradeFeature):
    """Something of the trades of the last ``window_ns``."""

    column = ""
    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.window: deque[tuple[int, Trade]] = deque()
        self.sums = dict.fromkeys(("trade_count", "buy_qty", "sell_qty", "signed_flow", "qty", "notional"), 0)
        self.price_unit = 1
        super().clear_state()

    def rest(self) -> Value:
        return self.of_sums()

    def compute(self, view: View) -> Value:
        self.price_unit = view.price_unit
        for trade in self.signed(view):
            self.window.append((view.now, trade))
            self.add(trade, 1)
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> Value:
        while self.window and self.window[0][0] <= now - self.params["window_ns"]:
            self.add(self.window.popleft()[1], -1)
        return self.of_sums()

    def add(self, trade: Trade, sign: int) -> None:
        """Move the exact sums by a trade that comes (1) or goes (-1)."""
        price, qty, _ = trade
        for column in ("trade_count", "buy_qty", "sell_qty", "signed_flow"):
            self.sums[column] += sign * total([trade], column)
        self.sums["qty"] += sign * qty
        self.sums["notional"] += sign * price * qty

    def of_sums(self) -> Value:
        """The value of these sums."""
        return self.sums[self.column]


class TradeQtySum(OfWindow):
    """Quantity of every trade, of neither side too."""

    column = "qty"


class Tfi(OfWindow):
    """``(B - S) / (B + S)``."""

    def of_sums(self) -> Value:
        buy, sell = self.sums["buy_qty"], self.sums["sell_qty"]
        return ratio(buy - sell, buy + sell)


class Vwap(OfWindow):
    """Notional over quantity."""

    def of_sums(self) -> Value:
        return ratio(self.sums["notional"], self.sums["qty"] * self.price_unit)


class Last(TradeFeature):
    """A field of the last trade."""

    index = 0

    def rest(self) -> Value:
        return None

    def compute(self, view: View) -> int:
        return self.signed(view)[-1][self.index]


class LastQty(Last):
    """Quantity of the last trade."""

    index = 1


def _of(base: type[TradeFeature], column: str) -> type[TradeFeature]:
    return type(f"{base.__name__}_{column}", (base,), {"column": column})


def _packet(column: str, scale: str, unit: str) -> Column:
    return Column(_of(OfPacket, column), "i64", scale, unit, warmup_min_events=0)


def _window(make: type[Feature], name: str, dtype: str, scale: str, unit: str) -> Column:
    window: dict[str, Any] = {"window_ns": None}
    return Column(
        make,
        dtype,
        scale,
        unit,
        warmup_min_events=0,
        warmup_ns_param="window_ns",
        params=window,
        name=f"{name}_{{window_ns}}ns",
    )


def _sum(column: str, scale: str, unit: str) -> Column:
    return _window(_of(OfWindow, column), f"{column}_sum", "i64", scale, unit)


COLUMNS = {
    "trade_count": _packet("trade_count", "none", "trades per packet"),
    "buy_qty": _packet("buy_qty", "qty", "quantity per packet"),
    "sell_qty": _packet("sell_qty", "qty", "quantity per packet"),
    "signed_flow": _packet("signed_flow", "qty", "quantity per packet"),
    "trade_count_sum": _sum("trade_count", "none", "trades per window"),
    "buy_qty_sum": _sum("buy_qty", "qty", "quantity per window"),
    "sell_qty_sum": _sum("sell_qty", "qty", "quantity per window"),
    "signed_flow_sum": _sum("signed_flow", "qty", "quantity per window"),
    "trade_qty_sum": _window(TradeQtySum, "trade_qty_sum", "i64", "qty", "quantity per window"),
    "tfi": _window(Tfi, "tfi", "f64", "none", "ratio"),
    "vwap": _window(Vwap, "vwap", "f64", "none", "price"),
    "last_trade_price": Column(Last, "i64", "price", "price"),
    "last_trade_qty": Column(LastQty, "i64", "qty", "quantity"),
}
