"""The order book: one dictionary and one sorted list of prices a side, in scaled units."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Any

from .orders import Orders

MAX_LEVELS = 50_000


class BookCapacityError(ValueError):
    """A packet would leave more levels on a side than a book may hold."""


class Side:
    """One side of the book. ``prices`` ascends; ``best_last`` says which end is the best price."""

    def __init__(self, best_last: bool) -> None:
        self.best_last = best_last
        self.qty: dict[int, int] = {}
        self.prices: list[int] = []

    def copy(self) -> Side:
        """An independent copy."""
        twin = Side(self.best_last)
        twin.qty = dict(self.qty)
        twin.prices = list(self.prices)
        return twin

    def clear(self) -> None:
        """Remove every level."""
        self.qty.clear()
        self.prices.clear()

    def set(self, price: int, qty: int) -> bool:
        """Set a level, or delete it when ``qty`` is 0. False when there was nothing to delete."""
        if qty:
            if price not in self.qty:
                insort(self.prices, price)
            self.qty[price] = qty
            return True
        if price not in self.qty:
            return False
        del self.qty[price]
        del self.prices[bisect_left(self.prices, price)]
        return True

    def clear_through(self, price: int) -> None:
        """Remove the levels from the best one up to and including ``price``."""
        if self.best_last:
            cut = bisect_left(self.prices, price)
            gone, self.prices = self.prices[cut:], self.prices[:cut]
        else:
            cut = bisect_right(self.prices, price)
            gone, self.prices = self.prices[:cut], self.prices[cut:]
        for each in gone:
            del self.qty[each]

    def become(self, levels: dict[int, int]) -> None:
        """Hold these levels and no others."""
        self.qty = levels
        self.prices = sorted(levels)

    def level(self, i: int) -> tuple[int, int] | None:
        """Price and quantity of level ``i`` (0 is the best), if it exists."""
        if i >= len(self.prices):
            return None
        price = self.prices[-1 - i] if self.best_last else self.prices[i]
        return price, self.qty[price]

    def depth(self, levels: int) -> int:
        """Sum of the first ``levels`` quantities, fewer if there are fewer."""
        if levels <= 0:
            return 0
        best = self.prices[-levels:] if self.best_last else self.prices[:levels]
        return sum(map(self.qty.__getitem__, best))

    def depth_between(self, low: int, high: int) -> int:
        """Sum of the quantities at ``low <= price <= high``."""
        inside = self.prices[bisect_left(self.prices, low) : bisect_right(self.prices, high)]
        return sum(map(self.qty.__getitem__, inside))


class Book:
    """Both sides of one symbol."""

    def __init__(self, tick_scaled: int, lot_scaled: int) -> None:
        self.tick_scaled = tick_scaled
        self.lot_scaled = lot_scaled
        self.bids = Side(best_last=True)
        self.asks = Side(best_last=False)
        self.unknown_deletes = 0
        self.orders: Orders | None = None  # on a book of orders

    def clear(self) -> None:
        """Remove every level and every order of both sides."""
        self.bids.clear()
        self.asks.clear()
        self.orders = None

    @property
    def is_two_sided(self) -> bool:
        """Both sides have a level and do not cross."""
        bid, ask = self.bids.level(0), self.asks.level(0)
        return bid is not None and ask is not None and bid[0] <= ask[0]

    def check_capacity(self, runs: list[Any], replaces: bool) -> None:
        """Refuse runs that would leave too many levels; nothing is changed."""
        changes = sum(len(levels) for _, levels in runs)
        held = 0 if replaces else max(len(self.bids.prices), len(self.asks.prices))
        if held + changes <= MAX_LEVELS:
            return
        trial = Book(self.tick_scaled, self.lot_scaled)
        if not replaces:
            trial.bids, trial.asks = self.bids.copy(), self.asks.copy()
        trial.apply(runs)
        if max(len(trial.bids.prices), len(trial.asks.prices)) > MAX_LEVELS:
            raise BookCapacityError(f"more than {MAX_LEVELS} levels on a side")

    def check_orders(self, runs: list[Any], events: list[Any], replaces: bool) -> None:
        """Refuse a packet of another kind than the book, and orders out of range; nothing is changed."""
        held = None if replaces else self.orders
        if held is None and not events:
            return
        has_levels = not replaces and self.orders is None and (self.bids.prices or self.asks.prices)
        if has_levels or any(op.startswith("set") and levels for op, levels in runs):
            raise BookCapacityError("levels and orders in one book")
        (held or Orders(self.tick_scaled, self.lot_scaled)).check(events)

    def apply_orders(self, runs: list[Any], events: list[Any], now: int, replaces: bool) -> bool:
        """Apply a packet of a feed of orders; whether it contradicts the book."""
        if self.orders is None:
            self.orders = Orders(self.tick_scaled, self.lot_scaled)
        orders = self.orders
        if self.is_two_sided:
            orders.forget_flow()
        before = orders.contradictions
        for op, levels in runs:
            if op.startswith("clear"):
                orders.clear(op.removeprefix("clear_"), levels[0][0] * self.tick_scaled if levels else None)
        for event in events:
            orders.apply(event, now)
        if replaces:
            orders.forget_flow()
        self.bids.become(orders.levels("bid"))
        self.asks.become(orders.levels("ask"))
        return orders.contradictions > before

    def apply(self, runs: list[Any]) -> None:
        """Apply runs of level changes, in order."""
        tick, lot = self.tick_scaled, self.lot_scaled
        for op, levels in runs:
            side = self.bids if op in ("set_bid", "clear_bid") else self.asks
            if op in ("set_bid", "set_ask"):
                for price, qty in levels:
                    if not side.set(price * tick, qty * lot):
                        self.unknown_deletes += 1
            elif levels:
                for price, _ in levels:
                    side.clear_through(price * tick)
            else:
                side.clear()
