"""Reference of family ``ofi_l1``: order-flow imbalance at the touch. Spec: ``specs/features/ofi_l1.md``.

Written in the indicator form of the paper (Cont, Kukanov, Stoikov 2014).
"""

from __future__ import annotations

from collections import deque

from .base import Column, Feature, View

REV = {"ofi_l1_raw": 1, "ofi_l1_cum": 1, "ofi_l1_sum": 1}


class Flow:
    """The flow between consecutive quotes."""

    def __init__(self) -> None:
        self.anchor: tuple[int, int, int, int] | None = None

    def step(self, view: View) -> int | None:
        """The flow of this packet, ``None`` when packets are missing before it."""
        b, qb, a, qa = view.bid, view.bid_qty, view.ask, view.ask_qty
        anchor, self.anchor = self.anchor, (b, qb, a, qa)
        if view.gap_step:
            return None
        if anchor is None:
            return 0
        b0, qb0, a0, qa0 = anchor
        flow = 0
        flow += qb if b >= b0 else 0
        flow -= qb0 if b <= b0 else 0
        flow -= qa if a <= a0 else 0
        flow += qa0 if a >= a0 else 0
        return flow


class OfiRaw(Feature):
    """The flow of this packet: a step value."""

    def clear_state(self) -> None:
        self.flow = Flow()

    def compute(self, view: View) -> int | None:
        return self.flow.step(view)

    def idle(self, view: View) -> None:
        self.value = 0


class OfiCum(Feature):
    """The sum of the flows since the reset."""

    def clear_state(self) -> None:
        self.flow = Flow()
        self.total = 0

    def compute(self, view: View) -> int:
        self.total += self.flow.step(view) or 0
        return self.total


class OfiSum(Feature):
    """The sum of the flows of the last ``window_ns``."""

    is_window = True
    resamples = True

    def clear_state(self) -> None:
        self.flow = Flow()
        self.window: deque[tuple[int, int]] = deque()
        self.total = 0

    def compute(self, view: View) -> int:
        flow = self.flow.step(view)
        if flow:
            self.window.append((view.now, flow))
            self.total += flow
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> int:
        while self.window and self.window[0][0] <= now - self.params["window_ns"]:
            self.total -= self.window.popleft()[1]
        return self.total


COLUMNS = {
    "ofi_l1_raw": Column(OfiRaw, "i64", "qty", "quantity per packet", warmup_min_events=2),
    "ofi_l1_cum": Column(OfiCum, "i64", "qty", "quantity since reset", warmup_min_events=2),
    "ofi_l1_sum": Column(
        OfiSum,
        "i64",
        "qty",
        "quantity per window",
        warmup_min_events=2,
        warmup_ns_param="window_ns",
        params={"window_ns": None},
        name="ofi_l1_sum_{window_ns}ns",
    ),
}
