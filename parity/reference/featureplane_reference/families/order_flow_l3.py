"""Reference of family ``order_flow_l3``: no column has a value on a book of levels.

Spec: ``specs/features/order_flow_l3.md``.
"""

from __future__ import annotations

from .base import Column, Feature, View

REV = {
    "best_bid_orders": 1,
    "best_ask_orders": 1,
    "best_bid_queue_age_ns": 1,
    "best_ask_queue_age_ns": 1,
    "bid_add_count": 1,
    "bid_add_qty": 1,
    "bid_cancel_count": 1,
    "bid_cancel_qty": 1,
    "bid_fill_count": 1,
    "bid_fill_qty": 1,
    "ask_add_count": 1,
    "ask_add_qty": 1,
    "ask_cancel_count": 1,
    "ask_cancel_qty": 1,
    "ask_fill_count": 1,
    "ask_fill_qty": 1,
    "cancel_to_add": 1,
}


class NeedsOrders(Feature):
    """A column that a book of levels cannot give."""

    def compute(self, view: View) -> None:
        return None


class NeedsOrdersWindow(NeedsOrders):
    """The same over a time window."""

    is_window = True


_QUEUE = ("best_bid_orders", "best_ask_orders", "best_bid_queue_age_ns", "best_ask_queue_age_ns")


def _column(column: str) -> Column:
    if column in _QUEUE:
        return Column(NeedsOrders, "i64", "none", "ns" if column.endswith("ns") else "orders")
    dtype = "f64" if column == "cancel_to_add" else "i64"
    scale = "qty" if column.endswith("qty") else "none"
    params = {"window_ns": None}
    name = f"{column}_{{window_ns}}ns"
    return Column(NeedsOrdersWindow, dtype, scale, "flow", 1, "window_ns", params=params, name=name)


COLUMNS = {column: _column(column) for column in REV}
