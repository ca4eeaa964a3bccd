"""P8: features in strategies that numba compiles, co-replay beside the same features by hand.

``python benches/njit.py [--csv PATH] [recording.gz]`` in the environment of ``make hftbacktest``, with the module built
by ``make .venv/.release``. The recording (Binance USD-M, BTCUSDT) becomes an unfused array by ``featureplane convert``
and a fused one by the official `FuseMarketDepth` over its updates and best quotes. First every value is compared at
every wake; then whole backtests are timed in turn, round after round, in CPU time.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import HashMapMarketDepthBacktest
from hftbacktest.data import FuseMarketDepth, correct_event_order, correct_local_timestamp
from hftbacktest.types import event_dtype
from numba import njit

from featureplane.hftbacktest import END, FeatureAsset, advance, is_set, lookup

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT.parent / "shared" / "data" / "binance" / "usdm_btcusdt_20240808.gz"
TICK, LOT, LEVELS, SPAN = 0.1, 0.001, 5, 8
ROUNDS = 7
NEVER_NS = 1_000_000_000_000
BUY, SELL, DEPTH, TRADE, CLEAR, SNAPSHOT, BBO = 1 << 29, 1 << 28, 1, 2, 3, 4, 5
LOCAL = 1 << 30
# Packets after a snapshot in which averages still differ: by hand nothing tells that a session began.
SETTLED = 400

SET = {
    "id": "njit",
    "features": [
        {"family": "mid_spread", "column": "mid_price_x2"},
        {"family": "mid_spread", "column": "spread_scaled"},
        {"family": "microprice", "column": "microprice"},
        {"family": "imbalance", "column": "l1_imbalance"},
        {"family": "imbalance", "column": "depth_imbalance", "params": {"levels": LEVELS}},
        {"family": "ofi_l1", "column": "ofi_l1_raw"},
        {"family": "ema", "column": "ema", "params": {"of": "ofi_l1_raw", "span": SPAN}, "alias": "ofi_ema"},
        {"family": "ema", "column": "ema", "params": {"of": "spread_scaled", "span": SPAN}, "alias": "spread_ema"},
        {"family": "trades", "column": "signed_flow"},
    ],
}
MID, SPREAD, MICRO, IMB1, IMB5, OFI, OFI_EMA, SPREAD_EMA, FLOW = range(9)


@njit
def by_hand(hbt: Any, out: Any, keep: bool) -> float:
    """All features at every wake, as a user writes them; two are read."""
    values = np.full(9, np.nan)
    last_bid, last_ask, last_bid_lots, last_ask_lots = 0, 0, 0, 0
    alpha = 2.0 / (SPAN + 1)
    total, wakes, is_seeded = 0.0, 0, False
    while True:
        result = hbt.wait_next_feed(False, NEVER_NS)
        trades = hbt.last_trades(0)
        flow = 0
        for trade in trades:
            lots = int(round(trade.qty / LOT))
            flow += lots if trade.ev & BUY else -lots
        values[FLOW] = flow
        is_book = len(trades) == 0
        hbt.clear_last_trades(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if is_book and 0 < bid < ask < 1_000_000_000:
            bids, asks = int(round(depth.bid_qty_at_tick(bid) / LOT)), int(round(depth.ask_qty_at_tick(ask) / LOT))
            values[MID], values[SPREAD] = bid + ask, ask - bid
            values[MICRO] = (bid * asks + ask * bids) / (bids + asks) * TICK
            values[IMB1] = (bids - asks) / (bids + asks)
            sums = [bids, asks]
            for side in range(2):
                levels, tick, step = 1, bid - 1 if side == 0 else ask + 1, -1 if side == 0 else 1
                while levels < LEVELS and abs(tick - bid) < 10_000:
                    qty = depth.bid_qty_at_tick(tick) if side == 0 else depth.ask_qty_at_tick(tick)
                    lots = int(round(qty / LOT))
                    sums[side] += lots
                    levels += lots > 0
                    tick += step
            values[IMB5] = (sums[0] - sums[1]) / (sums[0] + sums[1])
            if last_bid != 0:
                arrived = bids - last_bid_lots if bid == last_bid else (bids if bid > last_bid else -last_bid_lots)
                left = asks - last_ask_lots if ask == last_ask else (asks if ask < last_ask else -last_ask_lots)
                values[OFI] = arrived - left
                values[OFI_EMA] = values[OFI] if not is_seeded else values[OFI_EMA] + alpha * (values[OFI] - values[OFI_EMA])
                is_seeded = True
            first = np.isnan(values[SPREAD_EMA])
            values[SPREAD_EMA] = values[SPREAD] if first else values[SPREAD_EMA] + alpha * (values[SPREAD] - values[SPREAD_EMA])
            last_bid, last_ask, last_bid_lots, last_ask_lots = bid, ask, bids, asks
        elif not is_book:
            values[OFI] = 0.0
        total += values[MICRO] + values[OFI_EMA]
        if keep:
            out[wakes] = values
        wakes += 1
        if result != 2:
            return total


@njit
def pulled(hbt: Any, handle: int, values: Any, out: Any, keep: bool) -> float:
    """The same features by co-replay."""
    total, wakes = 0.0, 0
    while True:
        result = hbt.wait_next_feed(False, NEVER_NS)
        advance(handle, hbt.current_timestamp if result == 2 else END)
        total += values[MICRO] + values[OFI_EMA]
        if keep:
            out[wakes] = values
        wakes += 1
        if result != 2:
            return total


@njit
def looked_up(hbt: Any, times: Any, table: Any) -> float:
    """The same features from a precomputed table."""
    total, row = 0.0, -1
    while True:
        result = hbt.wait_next_feed(False, NEVER_NS)
        row = lookup(times, hbt.current_timestamp if result == 2 else END, row)
        if row >= 0:
            total += table[row, MICRO] + table[row, OFI_EMA]
        if result != 2:
            return total


@njit
def empty(hbt: Any) -> int:
    """No features."""
    wakes = 0
    while hbt.wait_next_feed(False, NEVER_NS) == 2:
        wakes += 1
    return wakes


def new_asset(array: Any) -> FeatureAsset:
    return (
        FeatureAsset().data(array).linear_asset(1.0).constant_order_latency(10_000_000, 10_000_000)
        .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(-0.00005, 0.0007)
        .tick_size(TICK).lot_size(LOT).last_trades_capacity(10_000)
    )


def convert(raw: Path, out: Path) -> str:
    """The recording as it is."""
    command = [sys.executable, "-m", "featureplane", "convert", "--to", "hftbacktest", "--local-offset", "auto"]
    subprocess.run([*command, "--input", raw, "--out", out], check=True, stdout=subprocess.DEVNULL)
    return str(out)


@njit
def fused_rows(depth: Any, rows: Any) -> None:
    for index in range(len(rows)):
        depth.process_event(rows, index, True)


def fuse(raw: Path, out: Path) -> str:
    """Updates and best quotes of the recording, fused by hftbacktest, and its trades."""
    book, trades = [], []

    def row(target: list[Any], kind: int, data: dict[str, Any], local: int, px: str, qty: str) -> None:
        target.append((kind, int(data["T"]) * 1_000_000, local, float(px), float(qty), 0, 0, 0.0))

    with gzip.open(raw) as lines:
        for line in lines:
            local, message = int(line[:19]), json.loads(line[20:])
            data = message.get("data", message)
            kind = data.get("e", "snapshot")
            if kind == "trade" and data["X"] == "MARKET":
                row(trades, TRADE | (SELL if data["m"] else BUY), data, local, data["p"], data["q"])
            elif kind == "bookTicker":
                row(book, BBO | BUY, data, local, data["b"], data["B"])
                row(book, BBO | SELL, data, local, data["a"], data["A"])
            elif kind in ("depthUpdate", "snapshot"):
                whole = kind == "snapshot"
                for key, side in (("b", BUY), ("a", SELL)):
                    levels = data["bids" if key == "b" else "asks"] if whole else data[key]
                    if whole and levels:
                        row(book, CLEAR | side, data, local, levels[-1][0], "0")
                    for px, qty in levels:
                        row(book, (SNAPSHOT if whole else DEPTH) | side, data, local, px, qty)
    depth = FuseMarketDepth(TICK, LOT)
    fused_rows(depth, np.array(book, event_dtype))
    rows = np.concatenate([np.array(trades, event_dtype), depth.fused_events.copy()])
    depth.close()
    rows = correct_local_timestamp(rows, 0)
    by_exch = np.argsort(rows["exch_ts"], kind="mergesort")
    rows = correct_event_order(rows, by_exch, np.argsort(rows["local_ts"], kind="mergesort"))
    np.savez(out, data=rows)
    return str(out)


def check(array: Any) -> dict[str, int]:
    """Compare every value of both at every wake; the counts that the report prints."""
    rows = array
    local = rows[(rows["ev"] & LOCAL) != 0]
    wakes = len(np.unique(local["local_ts"]))
    mine, hand = np.full((wakes, 9), np.nan), np.full((wakes, 9), np.nan)
    hbt = HashMapMarketDepthBacktest([new_asset(array)])
    by_hand(hbt, hand, True)
    hbt.close()
    asset = new_asset(array)
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features(SET)
    pulled(hbt, feed.handle, feed.values, mine, True)
    feed.check()
    assert is_set(feed.valid, MID), "the run ends with a book"
    hbt.close()
    snapshots = np.unique(local["local_ts"][(local["ev"] & 0xFF) == SNAPSHOT])
    stamps = np.unique(local["local_ts"])
    start = int(np.searchsorted(stamps, snapshots[-1])) + 1
    found = {"wakes": wakes}
    for index, name in enumerate(feed.names):
        a, b = mine[start:, index], hand[start:, index]
        if index in (OFI_EMA, SPREAD_EMA):
            a, b = a[SETTLED:], b[SETTLED:]
        close = np.isclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
        found[name] = int((~close).sum())
    return found


def timed(array: Any, mode: str, matrix: Any) -> float:
    asset = new_asset(array)
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features(SET)
    none = np.zeros((1, 9))
    started = time.process_time()
    if mode == "empty":
        empty(hbt)
    elif mode == "by hand":
        by_hand(hbt, none, False)
    elif mode == "co-replay":
        pulled(hbt, feed.handle, feed.values, none, False)
    else:
        looked_up(hbt, matrix.times, matrix.values)
    seconds = time.process_time() - started
    hbt.close()
    return seconds


def main() -> int:
    """Compare, time, print; 1 when a value differs."""
    arguments = sys.argv[1:]
    csv = Path(arguments.pop(arguments.index("--csv") + 1)) if "--csv" in arguments else None
    raw = Path(next((text for text in arguments if not text.startswith("--")), RECORDING))
    if not raw.is_file():
        print(f"SKIPPED: {raw.name} is absent")
        return 0
    lines, is_different = [], False
    with tempfile.TemporaryDirectory() as folder:
        files = {"unfused": convert(raw, Path(folder) / "a.npz"), "fused": fuse(raw, Path(folder) / "b.npz")}
        for name, file in files.items():
            # In memory, so that nobody's time holds the reading of a file.
            array = np.load(file)["data"]
            found = check(array)
            wakes = found.pop("wakes")
            print(f"{name}: {wakes:,} wakes; values that differ: {found}")
            is_different |= any(found.values())
            matrix = new_asset(array).precompute(SET)
            modes = ("empty", "by hand", "co-replay", "looked up")
            rounds = [{mode: timed(array, mode, matrix) for mode in modes} for _ in range(ROUNDS + 1)][1:]
            middle = {mode: float(np.median([each[mode] for each in rounds])) for mode in modes}
            ratio = float(np.median([each["co-replay"] / each["by hand"] for each in rounds]))
            print("  " + ", ".join(f"{mode} {seconds * 1e3:.1f} ms" for mode, seconds in middle.items()))
            target = "<= 0.75" if name == "fused" else ""
            met = ("yes" if ratio <= 0.75 else "NOT MET") if target else "-"
            print(f"  co-replay / by hand: {ratio:.2f} {target} {met}")
            lines.append(
                f'"P8","njit co-replay / by hand, HashMap, {name}","{middle["co-replay"] * 1e3:.1f} ms",'
                f'"{middle["by hand"] * 1e3:.1f} ms","{ratio:.2f}","{target}","{target}","{met}"'
            )
    if csv:
        head = f"# recording: {raw.name}, {ROUNDS} rounds in turn, CPU time\nfigure,what,ours,peer,value,gate,moonshot,met\n"
        csv.write_text(head + "\n".join(lines) + "\n")
    return 1 if is_different else 0


if __name__ == "__main__":
    sys.exit(main())
