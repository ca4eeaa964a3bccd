"""Reference of family ``order_flow_l3``: queues and flow of single orders.

Spec: ``specs/features/order_flow_l3.md``.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ..numeric import ratio, ratio_half_even
from ..orders import Flow
from .base import Column, Feature, Value, View

REV = {
    "best_bid_orders": 2,
    "best_ask_orders": 2,
    "best_bid_queue_age_ns": 2,
    "best_ask_queue_age_ns": 2,
    "bid_add_count": 2,
    "bid_add_qty": 2,
    "bid_cancel_count": 2,
    "bid_cancel_qty": 2,
    "bid_fill_count": 2,
    "bid_fill_qty": 2,
    "ask_add_count": 2,
    "ask_add_qty": 2,
    "ask_cancel_count": 2,
    "ask_cancel_qty": 2,
    "ask_fill_count": 2,
    "ask_fill_qty": 2,
    "cancel_to_add": 2,
}

Flows = dict[str, Flow]


class QueueFeature(Feature):
    """Something of the queue at a best price."""

    side = ""

    def places(self, view: View) -> list[int] | None:
        """When the orders at the best price got their places; ``None`` on a book of levels."""
        if view.book.orders is None:
            return None
        return view.book.orders.queue(self.side, view.bid if self.side == "bid" else view.ask)


class BestOrders(QueueFeature):
    """The number of orders."""

    def compute(self, view: View) -> Value:
        places = self.places(view)
        return None if places is None else len(places)


class QueueAge(QueueFeature):
    """Their mean age."""

    resamples = True

    def clear_state(self) -> None:
        self.placed: list[int] | None = None

    def compute(self, view: View) -> Value:
        self.placed = self.places(view)
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> Value:
        if self.placed is None:
            return None
        return ratio_half_even(sum(now - placed for placed in self.placed), len(self.placed))


class OfWindow(Feature):
    """Something of what happened in the last ``window_ns``."""

    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.window: deque[tuple[int, Flows]] = deque()
        self.has_stepped = False
        self.has_orders = False

    def compute(self, view: View) -> Value:
        orders = view.book.orders
        self.has_orders = orders is not None
        if orders is not None and self.has_stepped and not view.gap_step:
            self.window.append((view.now, orders.flows))
        self.has_stepped = True
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> Value:
        while self.window and self.window[0][0] <= now - self.params["window_ns"]:
            self.window.popleft()
        return self.of([flows for _, flows in self.window]) if self.has_orders else None

    def of(self, flows: list[Flows]) -> Value:
        """The value of these flows."""
        raise NotImplementedError


class FlowSum(OfWindow):
    """Events of one kind of one side, or their quantity."""

    column = ""

    def of(self, flows: list[Flows]) -> Value:
        side, kind, what = self.column.split("_")
        sums = [each[side].counts if what == "count" else each[side].qtys for each in flows]
        return sum(each[kind] for each in sums)


class CancelToAdd(OfWindow):
    """Cancelled over added quantity."""

    def of(self, flows: list[Flows]) -> Value:
        both = [flow for each in flows for flow in each.values()]
        return ratio(sum(flow.qtys["cancel"] for flow in both), sum(flow.qtys["add"] for flow in both))


def _of(base: type[Feature], **attributes: str) -> type[Feature]:
    return type(base.__name__, (base,), attributes)


def _column(column: str) -> Column:
    side = "bid" if "bid" in column else "ask"
    if column.endswith("orders"):
        return Column(_of(BestOrders, side=side), "i64", "none", "orders")
    if column.endswith("age_ns"):
        return Column(_of(QueueAge, side=side), "i64", "none", "ns")
    make = CancelToAdd if column == "cancel_to_add" else _of(FlowSum, column=column)
    dtype = "f64" if column == "cancel_to_add" else "i64"
    scale = "qty" if column.endswith("qty") else "none"
    params: dict[str, Any] = {"window_ns": None}
    return Column(make, dtype, scale, "flow", 1, "window_ns", params=params, name=f"{column}_{{window_ns}}ns")


COLUMNS = {column: _column(column) for column in REV}
