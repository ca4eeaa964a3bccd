"""Reference of family ``ofi_norm``: order flow over depth. Spec: ``specs/features/ofi_norm.md``."""

from __future__ import annotations

from ..numeric import ratio, round_half_even
from . import ofi_l1, ofi_ml
from .base import Column, Feature, View
from .ema import span_alpha

REV = {"ofi_norm": 1, "ofi_depth_norm_ppm": 1}


class OfiNorm(Feature):
    """The flow of this packet over the average depth: a step value."""

    def clear_state(self) -> None:
        self.flow = ofi_ml.Flow(self.params["levels"], "price")

    def compute(self, view: View) -> float | None:
        flows = self.flow.step(view)
        if flows is None:
            return None
        levels = self.params["levels"]
        return ratio(2 * sum(flows), view.book.bids.depth(levels) + view.book.asks.depth(levels))

    def idle(self, view: View) -> None:
        self.value = 0.0


class OfiDepthNormPpm(Feature):
    """The average flow at the touch over the average best quantity."""

    def clear_state(self) -> None:
        self.flow = ofi_l1.Flow()
        self.state = 0.0

    def compute(self, view: View) -> int:
        flow = self.flow.step(view)
        if flow is not None:
            a = span_alpha(self.params["span"])
            self.state = (1.0 - a) * self.state + a * float(flow)
        depth = (view.bid_qty + view.ask_qty) // 2
        return round_half_even((self.state * 1e6) / float(depth))


COLUMNS = {
    "ofi_norm": Column(OfiNorm, "f64", "none", "ratio per packet", 2, params={"levels": 1}, name="ofi_norm_{levels}"),
    "ofi_depth_norm_ppm": Column(
        OfiDepthNormPpm, "i64", "1000000", "ppm", 8, params={"span": 8}, name="ofi_depth_norm_ppm_{span}"
    ),
}
