"""A market maker that leans with the order book: signals by hand, pulled, and looked up.

Prints an A/B report: every order decision and the result of the three runs, side by side, and a small grid
search over a parameter of the feature (levels) and one of the strategy (lean) that reads one precomputed
table.

Run with ``python examples_hftbacktest/market_maker.py array.npz`` (BTCUSDT: tick 0.1, lot 0.001).
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from hftbacktest import GTX, LIMIT, HashMapMarketDepthBacktest
from numba import njit

from featureplane.hftbacktest import FeatureAsset, advance, lookup

TICK, LOT = 0.1, 0.001
LEVELS = 5
WAKE_NS = 100_000_000
HALF_SPREAD_TICKS, LEAN_TICKS, SKEW_TICKS = 2.0, 10.0, 1.0
MAX_POSITION = 0.005
BY_HAND, PULLED, LOOKED_UP = 0, 1, 2
NO_TICK = 0

# What the strategy pulls, and no more.
SET: dict[str, Any] = {
    "id": "market_maker",
    "features": [
        {"family": "mid_spread", "column": "mid_price_x2"},
        {"family": "imbalance", "column": "depth_imbalance", "params": {"levels": 5}},
    ],
}


def new_asset(array: str) -> FeatureAsset:
    """The asset of every run."""
    return (
        FeatureAsset()
        .data(array)
        .linear_asset(1.0)
        .constant_order_latency(10_000_000, 10_000_000)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(-0.00005, 0.0007)
        .tick_size(TICK)
        .lot_size(LOT)
    )


@njit
def signal_by_hand(depth: Any) -> tuple[float, float]:
    """Twice the mid in ticks, and the imbalance of five levels, tick by tick."""
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    if bid <= 0 or ask > 1_000_000_000 or bid > ask:
        return np.nan, np.nan
    bids, levels, tick = 0, 0, bid
    while levels < LEVELS and tick > bid - 10_000:
        lots = round(depth.bid_qty_at_tick(tick) / LOT)
        bids += lots
        levels += lots > 0
        tick -= 1
    asks, levels, tick = 0, 0, ask
    while levels < LEVELS and tick < ask + 10_000:
        lots = round(depth.ask_qty_at_tick(tick) / LOT)
        asks += lots
        levels += lots > 0
        tick += 1
    return float(bid + ask), (bids - asks) / (bids + asks)


@njit
def quote(hbt: Any, side: int, tick: int, decisions: Any, count: int) -> int:
    """Rest one lot at a price unless one rests there; the number of decisions so far."""
    order_id = tick * 2 + (side < 0)
    if order_id in hbt.orders(0):
        return count
    decisions[count, 0] = hbt.current_timestamp
    decisions[count, 1] = side
    decisions[count, 2] = tick
    if side > 0:
        hbt.submit_buy_order(0, order_id, tick * TICK, LOT, GTX, LIMIT, False)
    else:
        hbt.submit_sell_order(0, order_id, tick * TICK, LOT, GTX, LIMIT, False)
    return count + 1


@njit
def cancel_others(hbt: Any, bid: int, ask: int) -> None:
    """Cancel every order that is not at one of two prices."""
    orders = hbt.orders(0).values()
    gone = np.zeros(64, np.int64)
    count = 0
    while orders.has_next():
        order = orders.get()
        keep = order.order_id == bid * 2 or order.order_id == ask * 2 + 1
        if order.cancellable and not keep and count < 64:
            gone[count] = order.order_id
            count += 1
    for order_id in np.sort(gone[:count]):
        hbt.cancel(0, order_id, False)


@njit
def strategy(
    hbt: Any,
    mode: int,
    handle: int,
    values: Any,
    times: Any,
    table: Any,
    mid: int,
    imb: int,
    lean: float,
    decisions: Any,
) -> int:
    """Quote around the leaning mid every 100 ms; the number of decisions."""
    count, row = 0, -1
    while hbt.elapse(WAKE_NS) == 0:
        hbt.clear_inactive_orders(0)
        if mode == BY_HAND:
            mid_ticks_x2, imbalance = signal_by_hand(hbt.depth(0))
        elif mode == PULLED:
            advance(handle, hbt.current_timestamp)
            mid_ticks_x2, imbalance = values[mid], values[imb]
        else:
            row = lookup(times, hbt.current_timestamp, row)
            if row < 0:
                continue
            mid_ticks_x2, imbalance = table[row, mid], table[row, imb]
        if np.isnan(mid_ticks_x2):
            continue
        position = hbt.position(0)
        fair = mid_ticks_x2 / 2.0 + lean * imbalance - position / LOT * SKEW_TICKS
        bid = int(np.floor(fair - HALF_SPREAD_TICKS)) if position < MAX_POSITION else NO_TICK
        ask = int(np.ceil(fair + HALF_SPREAD_TICKS)) if position > -MAX_POSITION else NO_TICK
        cancel_others(hbt, bid, ask)
        if bid != NO_TICK:
            count = quote(hbt, 1, bid, decisions, count)
        if ask != NO_TICK:
            count = quote(hbt, -1, ask, decisions, count)
    return count


class Run:
    """What one run did."""

    def __init__(
        self,
        array: str,
        mode: int,
        lean: float = LEAN_TICKS,
        matrix: Any = None,
        signal: str = "depth_imbalance_5",
    ) -> None:
        asset = new_asset(array)
        hbt = HashMapMarketDepthBacktest([asset])
        feed = asset.features(SET)
        if matrix is None:
            times, table = np.zeros(0, np.int64), np.zeros((0, len(feed.names)))
            mid, imbalance = feed.index("mid_price_x2"), feed.index(signal)
        else:
            times, table = matrix.times, matrix.values
            mid, imbalance = matrix.index("mid_price_x2"), matrix.index(signal)
        decisions = np.zeros((100_000, 3), np.int64)
        started = time.process_time()
        count = strategy(
            hbt,
            mode,
            feed.handle,
            feed.values,
            times,
            table,
            mid,
            imbalance,
            lean,
            decisions,
        )
        self.seconds = time.process_time() - started
        feed.check()
        self.decisions = decisions[:count].copy()
        state = hbt.state_values(0)
        self.trades, self.position = int(state.num_trades), float(state.position)
        self.balance, self.fee = float(state.balance), float(state.fee)
        hbt.close()

    @property
    def result(self) -> tuple[int, float, float, float]:
        """Trades, position, balance and fee."""
        return self.trades, self.position, self.balance, self.fee


def report(array: str) -> dict[str, Run]:
    """Run the three forms and say where they differ."""
    matrix = new_asset(array).precompute(SET)
    modes = {"by hand": BY_HAND, "pulled": PULLED, "looked up": LOOKED_UP}
    Run(array, BY_HAND, matrix=matrix)  # Compiles.
    runs = {name: Run(array, mode, matrix=matrix) for name, mode in modes.items()}
    for name, run in runs.items():
        trades, position, balance, fee = run.result
        print(
            f"{name:>9}: {len(run.decisions)} orders, {trades} trades, position {position:.3f}, "
            f"balance {balance:.4f}, fee {fee:.6f}, {run.seconds * 1e3:.0f} ms"
        )
    hand = runs["by hand"]
    for name, run in runs.items():
        same = np.array_equal(hand.decisions, run.decisions) and hand.result == run.result
        print(f"{name:>9}: {'every decision and the result are the same' if same else 'DIFFERENT'}")
    return runs


def grid(
    array: str,
    depths: tuple[int, ...] = (1, 3, 5, 10),
    leans: tuple[float, ...] = (0.0, 5.0, 10.0, 20.0),
) -> dict[tuple[int, float], float]:
    """Profit at the last mid, by levels of the imbalance and lean, from one precomputed table."""
    features = [SET["features"][0]]
    for levels in depths:
        params = {"levels": levels}
        features.append({"family": "imbalance", "column": "depth_imbalance", "params": params})
    matrix = new_asset(array).precompute({"id": "grid", "features": features})
    mids = matrix.values[:, matrix.index("mid_price_x2")]
    last = mids[~np.isnan(mids)][-1] * TICK / 2.0
    profit = {}
    for levels in depths:
        for lean in leans:
            run = Run(array, LOOKED_UP, lean, matrix, f"depth_imbalance_{levels}")
            profit[levels, lean] = run.balance + run.position * last - run.fee
            shown = f"{run.trades} trades, profit {profit[levels, lean]:.4f}"
            print(f"{levels:>2} levels, lean {lean:>4}: {shown}")
    return profit


if __name__ == "__main__":
    report(sys.argv[1])
    grid(sys.argv[1])
