"""Orders of a book, rule 8 of the semantics: a dictionary by id, in scaled units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_ORDERS = 1_000_000
MAX_LOTS = (1 << 53) - 1


class OrderRefusedError(ValueError):
    """A packet with orders that the book cannot take."""


@dataclass
class Order:
    """What rests at a price."""

    side: str
    price: int
    qty: int
    placed: int  # t_eff of the packet in which it got its place


@dataclass
class Flow:
    """Orders and quantity that were added, cancelled and filled."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("add", "cancel", "fill"), 0))
    qtys: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("add", "cancel", "fill"), 0))

    def take(self, kind: str, qty: int) -> None:
        """Count one event; a quantity of 0 is none."""
        self.counts[kind] += qty > 0
        self.qtys[kind] += qty


class Orders:
    """The orders of both sides and what happened to them since the last two-sided book."""

    def __init__(self, tick_scaled: int, lot_scaled: int) -> None:
        self.tick_scaled = tick_scaled
        self.lot_scaled = lot_scaled
        self.by_id: dict[int, Order] = {}
        self.forget_flow()
        self.contradictions = 0

    def forget_flow(self) -> None:
        """Nothing has happened."""
        self.flows = {"bid": Flow(), "ask": Flow()}

    def check(self, events: list[Any]) -> None:
        """Refuse events that are out of range or too many, as if nothing left; nothing is changed."""
        entering = [event for event in events if event[0] in ("add", "modify")]
        for _, _, _, price, qty in entering:
            if not 1 <= price <= MAX_LOTS or not 0 <= qty <= MAX_LOTS:
                raise OrderRefusedError(f"{qty} lots at {price} ticks")
        if any(not 0 <= event[4] <= MAX_LOTS for event in events):
            raise OrderRefusedError("a quantity out of range")
        if len(self.by_id) + len(entering) > MAX_ORDERS:
            raise OrderRefusedError(f"more than {MAX_ORDERS} orders")
        for side in ("bid", "ask"):
            lots = sum(order.qty // self.lot_scaled for order in self.by_id.values() if order.side == side)
            lots += sum(event[4] for event in entering if event[2] == side)
            if lots > MAX_LOTS:
                raise OrderRefusedError(f"more than {MAX_LOTS} lots of the {side} side")

    def clear(self, side: str, bound: int | None) -> None:
        """Remove the orders of a side from the best price to ``bound``, or all."""
        for order_id, order in list(self.by_id.items()):
            reaches = bound is None or (order.price >= bound if side == "bid" else order.price <= bound)
            if order.side == side and reaches:
                del self.by_id[order_id]

    def apply(self, event: list[Any], now: int) -> None:
        """Take one event ``[op, id, side, ticks, lots]``."""
        op, order_id, side, ticks, lots = event
        stated = Order(side, ticks * self.tick_scaled, lots * self.lot_scaled, now)
        known = self.by_id.get(order_id)
        if (known is None) != (op == "add"):
            self.contradictions += 1
        if op == "add":
            self.by_id.pop(order_id, None)
            self.enter(order_id, stated)
        elif op == "modify":
            self.modify(order_id, known, stated)
        elif known is not None:
            self.contradictions += stated.qty > known.qty
            self.withdraw(order_id, known, min(stated.qty, known.qty) or known.qty, op)

    def enter(self, order_id: int, order: Order) -> None:
        """A new order, unless it is empty."""
        if order.qty:
            self.by_id[order_id] = order
            self.flows[order.side].take("add", order.qty)

    def modify(self, order_id: int, known: Order | None, stated: Order) -> None:
        """An order is something else now."""
        if known is None:
            self.enter(order_id, stated)
        elif (known.side, known.price) == (stated.side, stated.price) and 0 < stated.qty <= known.qty:
            self.withdraw(order_id, known, known.qty - stated.qty, "cancel")
        else:
            self.withdraw(order_id, known, known.qty, "cancel")
            self.enter(order_id, stated)

    def withdraw(self, order_id: int, order: Order, qty: int, kind: str) -> None:
        """Quantity leaves an order."""
        order.qty -= qty
        self.flows[order.side].take(kind, qty)
        if order.qty == 0:
            del self.by_id[order_id]

    def levels(self, side: str) -> dict[int, int]:
        """The quantity at each price of a side."""
        found: dict[int, int] = {}
        for order in self.by_id.values():
            if order.side == side:
                found[order.price] = found.get(order.price, 0) + order.qty
        return found

    def queue(self, side: str, price: int) -> list[int]:
        """When each of the orders at a price got its place."""
        return [each.placed for each in self.by_id.values() if (each.side, each.price) == (side, price)]
