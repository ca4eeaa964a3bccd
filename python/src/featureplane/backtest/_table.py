"""The backtest over a table of scores, with a market of its own."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featureplane._linear import LinearModel
from featureplane.backtest._rules import Rules, Run, edge, edge_places, next_target
from featureplane.table import FeatureTable

if TYPE_CHECKING:
    from featureplane.backtest._rules import Floats, Ints


def over_table(table: FeatureTable, model: LinearModel, rules: Rules) -> Run:
    """Run the rules over a table of `featureplane.models.score`, one row per packet.

    An order meets the quotes that stand at the exchange when it arrives: those of the last row that changed
    them at an event time not later. A row that changed none says nothing about that time, since trades may be
    received before an older book. Rows without ``mid`` and ``spread`` have no quotes. An order is sent only
    while none is under way, and not when its answer would come after the last packet.

    Parameters
    ----------
    table
        Needs the columns ``mid`` and ``spread`` of the family ``mid_spread``, and local times.
    """
    import numpy as np
    import polars as pl

    frame = pl.DataFrame(table)
    wanted = ("mid", "spread", *model.outputs)
    columns = {name: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in wanted}
    before = pl.struct("mid", "spread").shift(1)
    moves = frame.with_row_index("row").filter((pl.struct("mid", "spread") != before).fill_null(True))
    clock = moves["ts_event"].cum_max().cast(pl.Int64).to_list()
    received = frame["ts_recv"].cast(pl.Int64)
    if received.null_count() or not received.is_sorted():
        raise ValueError("expected local times that do not decrease; the table has others")
    market = _Market(columns["mid"], columns["spread"], clock, moves["row"].to_list(), rules)
    scores = np.column_stack([columns[name] for name in model.outputs])
    return _replay(market, received.to_numpy(), scores, edge_places(model.outputs), rules)


@dataclass(frozen=True)
class Fill:
    """One trade: exchange time, signed number of positions bought (negative: sold), price and fee."""

    time_ns: int
    units: int
    price: float
    fee: float


@dataclass
class _Market:
    """Quotes by row, when which row changed them, and money after the fills that are known."""

    mids: Floats
    spreads: Floats
    clock: list[int]
    moves: list[int]
    rules: Rules
    held: int = 0
    balance: float = 0.0
    fees: float = 0.0
    trades: int = 0

    def quote_ticks(self, row: int, side: int) -> int | None:
        """Price of the best ask (side 1) or bid (side -1) in ticks; None without quotes."""
        price = float(self.mids[row]) + side * 0.5 * float(self.spreads[row])
        return None if math.isnan(price) else round(price / self.rules.tick_size)

    def fill(self, row: int, target: int, arrival_ns: int) -> Fill | None:
        """What an order sent at a row meets at the exchange; None when it is not filled."""
        units = target - self.held
        side = 1 if units > 0 else -1
        seen = self.quote_ticks(row, side)
        moves = bisect_right(self.clock, arrival_ns)
        there = self.quote_ticks(self.moves[moves - 1], side) if moves else None
        if seen is None or there is None or (there - seen) * side > self.rules.collar_ticks:
            return None
        price = there * self.rules.tick_size
        fee = price * abs(units) * self.rules.quantity * self.rules.taker_fee
        return Fill(arrival_ns, units, price, fee)

    def settle(self, fill: Fill | None) -> None:
        """Take the answer to an order."""
        if fill is not None:
            self.held += fill.units
            self.balance -= fill.units * self.rules.quantity * fill.price
            self.fees += fill.fee
            self.trades += 1


def _replay(
    market: _Market, received: Ints, scores: Floats, places: tuple[int, int, float], rules: Rules
) -> Run:
    import numpy as np

    # Packets of one local time are seen together: the last of them is what the strategy sees.
    rows = np.flatnonzero(np.append(received[1:] != received[:-1], True))
    edges = np.array([edge(scores[row], *places) for row in rows])
    targets = np.zeros(len(rows), np.int64)
    equity, paid = np.zeros(len(rows)), np.zeros(len(rows))
    last_ns, target, mid = int(received[-1]), 0, float("nan")
    answer_ns, fill = 0, None
    for place, row in enumerate(rows.tolist()):
        now = int(received[row])
        if 0 < answer_ns < now:
            market.settle(fill)
            answer_ns, fill = 0, None
        target = next_target(float(edges[place]), target, rules.enter, rules.leave)
        mid = float(market.mids[row]) if market.mids[row] == market.mids[row] else mid
        worth = 0.0 if market.held == 0 else market.held * rules.quantity * mid
        targets[place], paid[place] = target, market.fees
        equity[place] = market.balance + worth - market.fees
        answer = now + rules.entry_ns + rules.response_ns
        is_open = rules.start_ns <= now and answer < last_ns
        if is_open and answer_ns == 0 and target != market.held and market.mids[row] == mid:
            fill = market.fill(row, target, now + rules.entry_ns)
            answer_ns = answer
    return Run(
        "table", received[rows], rows + 1, edges, targets, equity, paid, market.trades,
        market.balance, market.fees, market.held * rules.quantity,
    )  # fmt: skip
