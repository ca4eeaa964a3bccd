"""Reference of family ``ofi_flow``: flow of every level near the mid. Spec: ``specs/features/ofi_flow.md``."""

from __future__ import annotations

from ..numeric import det_exp, ratio, round_half_even
from .base import Column, Feature, View
from .weighted_depth import LN2

REV = {"ofi_flow": 1, "ofi_flow_weighted": 1, "ofi_flow_decayed": 1}

ONE = 1 << 31

Levels = tuple[dict[int, int], dict[int, int]]  # quantity by price: bids, asks


class FlowFeature(Feature):
    """What changed since the last two-sided book."""

    def clear_state(self) -> None:
        self.anchor: Levels | None = None

    def weight(self, distance: int, total: int) -> int:
        """The weight of a change at ``u``; ``total`` is ``S``."""
        return 1

    def flow(self, view: View) -> int | None:
        """The sum of the weighted changes, ``None`` when packets are missing before this one."""
        if FlowFeature not in view.shared:
            view.shared[FlowFeature] = dict(view.book.bids.qty), dict(view.book.asks.qty)
        now = view.shared[FlowFeature]
        anchor, self.anchor = self.anchor, now
        if view.gap_step:
            return None
        if anchor is None:
            return 0
        # Columns with one anchor share the comparison.
        if id(anchor) not in view.shared:
            view.shared[id(anchor)] = changes(anchor, now)
        total = view.bid + view.ask
        found = 0
        for price, change in view.shared[id(anchor)]:
            distance = abs(2 * price - total)
            if distance * 10_000 <= self.params["depth_bps"] * total:
                found += change * self.weight(distance, total)
        return found


def changes(before: Levels, after: Levels) -> list[tuple[int, int]]:
    """Price and signed change of each level that is another one."""
    found: list[tuple[int, int]] = []
    for old, new, sign in ((before[0], after[0], 1), (before[1], after[1], -1)):
        prices = {price for price, _ in old.items() ^ new.items()}
        found += [(price, sign * (new.get(price, 0) - old.get(price, 0))) for price in prices]
    return found


class OfiFlow(FlowFeature):
    """The plain sum: a step value."""

    def compute(self, view: View) -> int | None:
        return self.flow(view)

    def idle(self, view: View) -> None:
        self.value = 0


class OfiFlowWeighted(FlowFeature):
    """Changes weighted by distance: a step value."""

    def weight(self, distance: int, total: int) -> int:
        rate = (LN2 * 10_000.0) / float(self.params["halflife_bps"])
        return round_half_even(det_exp(-(rate * (float(distance) / float(total)))) * 2147483648.0)

    def compute(self, view: View) -> float | None:
        flow = self.flow(view)
        return None if flow is None else ratio(flow, ONE * view.qty_unit)

    def idle(self, view: View) -> None:
        self.value = 0.0


class OfiFlowDecayed(FlowFeature):
    """A running sum that fades with time."""

    resamples = True

    def clear_state(self) -> None:
        super().clear_state()
        self.sum = 0.0
        self.t = 0
        self.unit = 1

    def left(self, elapsed: int) -> float:
        """``g``."""
        return det_exp(-((LN2 * float(elapsed)) / float(self.params["halflife_ns"])))

    def compute(self, view: View) -> float:
        self.unit = view.qty_unit
        flow = self.flow(view)
        if flow is not None:
            self.sum = self.sum * self.left(view.now - self.t) + float(flow)
            self.t = view.now
        return self.at(view.now, view.last_book_t)

    def idle(self, view: View) -> None:
        self.value = self.at(view.now, view.last_book_t)

    def at(self, now: int, last_book_t: int) -> float:
        return (self.sum * self.left(now - self.t)) / float(self.unit)


COLUMNS = {
    "ofi_flow": Column(
        OfiFlow, "i64", "qty", "quantity per packet", 2, params={"depth_bps": None}, name="ofi_flow_{depth_bps}bps"
    ),
    "ofi_flow_weighted": Column(
        OfiFlowWeighted,
        "f64",
        "none",
        "quantity per packet",
        2,
        params={"depth_bps": None, "halflife_bps": None},
        name="ofi_flow_weighted_{depth_bps}bps_{halflife_bps}bps",
    ),
    "ofi_flow_decayed": Column(
        OfiFlowDecayed,
        "f64",
        "none",
        "quantity",
        2,
        params={"depth_bps": None, "halflife_ns": None},
        name="ofi_flow_decayed_{depth_bps}bps_{halflife_ns}ns",
    ),
}
