"""Reference of family ``ofi_ml``: order-flow imbalance by level. Spec: ``specs/features/ofi_ml.md``."""

from __future__ import annotations

from typing import Any

from ..book import Side
from ..numeric import det_exp
from .base import Column, Feature, Value, View

REV = {"ofi_ml": 1, "ofi_ml_level": 1, "ofi_ml_decayed": 1}

Levels = list[tuple[int, int]]  # price and quantity, best first


def seen(side: Side, count: int) -> Levels:
    """The first ``count`` levels of a side, or as many as there are."""
    found: Levels = []
    for i in range(count):
        level = side.level(i)
        if level is None:
            break
        found.append(level)
    return found


def knows(levels: Levels, count: int, sign: int, price: int) -> bool:
    """Whether a list of at most ``count`` levels says what stands at ``price``."""
    return len(levels) < count or sign * price >= sign * levels[-1][0]


def flows_by_price(old: Levels, new: Levels, count: int, sign: int) -> dict[int, int]:
    """Change of quantity by level of one side; ``sign`` is 1 for bids, whose best price is the highest."""
    flows: dict[int, int] = {}
    before, now = dict(old), dict(new)
    for price in {*before, *now}:
        if knows(old, count, sign, price) and knows(new, count, sign, price):
            where = new if price in now else old
            level = [each for each, _ in where].index(price)
            flows[level] = flows.get(level, 0) + now.get(price, 0) - before.get(price, 0)
    return flows


def flow_by_index(old: tuple[int, int], new: tuple[int, int], sign: int) -> int:
    """The flow of one level of one side when a level is its number (indicator form of the paper)."""
    flow = new[1] if sign * new[0] >= sign * old[0] else 0
    return flow - (old[1] if sign * new[0] <= sign * old[0] else 0)


class Flow:
    """The flow by level between consecutive two-sided books."""

    def __init__(self, levels: int, align: str) -> None:
        if align not in ("price", "index"):
            raise ValueError(f"unknown alignment {align!r}")
        self.levels = levels
        self.align = align
        self.anchor: tuple[Levels, Levels] | None = None

    def step(self, view: View) -> list[int] | None:
        """``e_0, e_1, ...`` as far as they can be compared; ``None`` when packets are missing."""
        book = view.book
        now = seen(book.bids, self.levels), seen(book.asks, self.levels)
        anchor, self.anchor = self.anchor, now
        if view.gap_step:
            return None
        if anchor is None:
            return [0] * self.levels
        if self.align == "price":
            bids = flows_by_price(anchor[0], now[0], self.levels, 1)
            asks = flows_by_price(anchor[1], now[1], self.levels, -1)
            return [bids.get(i, 0) - asks.get(i, 0) for i in range(self.levels)]
        common = min(map(len, (*anchor, *now)))
        return [
            flow_by_index(anchor[0][i], now[0][i], 1) - flow_by_index(anchor[1][i], now[1][i], -1)
            for i in range(common)
        ]


class OfiMl(Feature):
    """The sum over the levels: a step value."""

    def clear_state(self) -> None:
        self.flow = Flow(self.params["levels"], self.params["align"])

    def compute(self, view: View) -> Value:
        flows = self.flow.step(view)
        return None if flows is None else self.shown(flows, view)

    def shown(self, flows: list[int], view: View) -> Value:
        """What the column makes of the flows."""
        return sum(flows)

    def idle(self, view: View) -> None:
        self.value = 0


class OfiMlLevel(OfiMl):
    """The flow of one level: a step value."""

    def shown(self, flows: list[int], view: View) -> Value:
        level = self.params["level"]
        return flows[level] if level < len(flows) else None


class OfiMlDecayed(OfiMl):
    """The sum with weights that fall from level to level: a step value."""

    def __init__(self, params: dict[str, Any], inputs: dict[str, Feature]) -> None:
        super().__init__(params, inputs)
        decay = params["decay_permille"]
        self.weights = [det_exp(-(float(i * decay) / 1000.0)) for i in range(params["levels"])]

    def shown(self, flows: list[int], view: View) -> Value:
        total = 0.0
        for weight, flow in zip(self.weights, flows):
            total += weight * float(flow)
        return total / float(view.qty_unit)

    def idle(self, view: View) -> None:
        self.value = 0.0


_LEVELS = {"levels": 5, "align": "price"}

COLUMNS = {
    "ofi_ml": Column(OfiMl, "i64", "qty", "quantity per packet", 2, params=_LEVELS, name="ofi_ml_{levels}_{align}"),
    "ofi_ml_level": Column(
        OfiMlLevel,
        "i64",
        "qty",
        "quantity per packet",
        2,
        params={"level": 0, **_LEVELS},
        name="ofi_ml_level_{level}_of_{levels}_{align}",
    ),
    "ofi_ml_decayed": Column(
        OfiMlDecayed,
        "f64",
        "none",
        "quantity per packet",
        2,
        params={"decay_permille": 500, **_LEVELS},
        name="ofi_ml_decayed_{levels}_{decay_permille}_{align}",
    ),
}
