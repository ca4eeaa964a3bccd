"""The backtest of a trained model in hftbacktest, through features and scores that the strategy pulls.

Needs ``hftbacktest`` and ``numba``.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os
from typing import Any

import numba
import numpy as np
from hftbacktest import LIMIT, HashMapMarketDepthBacktest
from hftbacktest.order import IOC

from featureplane._convert import Features
from featureplane._linear import load_model
from featureplane.backtest._rules import Rules, Run, edge, edge_places, next_target
from featureplane.hftbacktest import END, FRAMES, LOCAL_TS, FeatureAsset, advance

__all__ = ["in_hftbacktest"]

# One definition: what the table's backtest calls is what is compiled here.
_edge = numba.njit(edge)
_next_target = numba.njit(next_target)

_TIMEOUT_NS = 86_400_000_000_000
_NEW_PACKET, _END_OF_ROWS, _TIMED_OUT = 2, 1, 0


def in_hftbacktest(
    data: str,
    model: str | os.PathLike[str],
    rules: Rules,
    *,
    lot_size: float,
    features: Features | None = None,
) -> Run:
    """Run the rules in hftbacktest over an array file, as `featureplane.backtest.over_table` over a table.

    Its own book, order queue, latency and fee models decide what is filled and what that costs; features and
    scores come from the same rows through `FeatureAsset.features`.

    Parameters
    ----------
    features
        Set of the model, when it is not a built-in one.

    Raises
    ------
    SchemaMismatchError
        The model is one of other columns.
    """
    trained = load_model(model)
    chosen = trained.feature_set_id if features is None else features
    asset = (
        FeatureAsset()
        .data(data)
        .linear_asset(1.0)
        .constant_order_latency(rules.entry_ns, rules.response_ns)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(rules.taker_fee, rules.taker_fee)
        .tick_size(rules.tick_size)
        .lot_size(lot_size)
    )
    received = asset.precompute(chosen).times
    times, packets, targets = (np.zeros(len(received), np.int64) for _ in range(3))
    edges, equity, paid = (np.zeros(len(received), np.float64) for _ in range(3))
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features(chosen, model=model)
    places = np.array([feed.index("mid"), feed.index("spread")])
    costs = (rules.entry_ns, rules.response_ns, rules.collar_ticks, rules.quantity, rules.tick_size)
    count = _strategy(
        hbt, feed.handle, feed.values, feed.scores, feed.header, places, edge_places(feed.outputs),
        (rules.enter, rules.leave), costs, (rules.start_ns, int(received[-1])),
        times, packets, edges, targets, equity, paid,
    )  # fmt: skip
    feed.check()
    state = hbt.state_values(0)
    run = Run(
        "hftbacktest", times[:count], packets[:count], edges[:count], targets[:count], equity[:count],
        paid[:count], int(state.num_trades), float(state.balance), float(state.fee), float(state.position),
    )  # fmt: skip
    hbt.close()
    return run


@numba.njit
def _send(hbt: Any, order_id: int, units: int, mid: float, spread: float, costs: Any) -> None:
    """Take the other side of the book, up to the collar."""
    _, _, collar_ticks, quantity, tick_size = costs
    side = 1 if units > 0 else -1
    limit = (round((mid + side * 0.5 * spread) / tick_size) + side * collar_ticks) * tick_size
    if units > 0:
        hbt.submit_buy_order(0, order_id, limit, units * quantity, IOC, LIMIT, False)
    else:
        hbt.submit_sell_order(0, order_id, limit, -units * quantity, IOC, LIMIT, False)


@numba.njit
def _strategy(
    hbt: Any, handle: int, values: Any, scores: Any, header: Any, places: Any, sides: Any, thresholds: Any,
    costs: Any, span: Any, times: Any, packets: Any, edges: Any, targets: Any, equity: Any,
    paid: Any,
) -> int:  # fmt: skip
    """Decide at every packet; the number of times, -1 after an error."""
    entry_ns, response_ns, _, quantity, _ = costs
    count, target, mid, answer_ns = 0, 0, np.nan, 0
    while True:
        result = hbt.wait_next_feed(False, _TIMEOUT_NS)
        if result == _TIMED_OUT:
            continue
        if result != _NEW_PACKET and result != _END_OF_ROWS:
            return -1
        made = advance(handle, hbt.current_timestamp if result == _NEW_PACKET else END)
        if made < 0:
            return -1
        if made > 0:
            now = header[LOCAL_TS]
            if 0 < answer_ns < now:
                hbt.clear_inactive_orders(0)
                answer_ns = 0
            state = hbt.state_values(0)
            edges[count] = _edge(scores, sides[0], sides[1], sides[2])
            target = _next_target(edges[count], target, thresholds[0], thresholds[1])
            seen, spread = values[places[0]], values[places[1]]
            mid = seen if seen == seen else mid
            worth = 0.0 if state.position == 0.0 else state.position * mid
            times[count], packets[count], targets[count] = now, header[FRAMES], target
            equity[count], paid[count] = state.balance + worth - state.fee, state.fee
            count += 1
            units = target - round(state.position / quantity)
            answer = now + entry_ns + response_ns
            is_open = span[0] <= now and answer < span[1]
            if is_open and answer_ns == 0 and units != 0 and seen == mid:
                _send(hbt, count, units, mid, spread, costs)
                answer_ns = answer
        if result == _END_OF_ROWS:
            return count
