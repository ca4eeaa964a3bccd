"""Co-replay from compiled strategies equals the precomputed table and plain extraction, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import polars
import pytest
from conftest import new_asset
from hftbacktest import (
    GTC,
    LIMIT,
    LOCAL_EVENT,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from numba import njit

import featureplane as fp
from featureplane import hftbacktest as fh


@njit
def at_every_feed(hbt: Any, handle: int, values: Any, header: Any, out: Any, stamps: Any) -> int:
    wakes = 0
    while True:
        result = hbt.wait_next_feed(False, 1_000_000_000_000)
        now = hbt.current_timestamp if result == 2 else fh.END
        if result not in (1, 2) or fh.advance(handle, now) < 0:
            return -1
        out[wakes] = values
        stamps[wakes] = header[4]
        wakes += 1
        if result == 1:
            return wakes


@njit
def at_every_step(hbt: Any, handle: int, values: Any, times: Any, table: Any, differences: Any) -> int:
    row, wakes = -1, 0
    while hbt.elapse(100_000_000) == 0:
        fh.advance(handle, hbt.current_timestamp)
        row = fh.lookup(times, hbt.current_timestamp, row)
        wakes += 1
        if row < 0:
            continue
        for index in range(len(values)):
            a, b = values[index], table[row, index]
            if not (a == b or (np.isnan(a) and np.isnan(b))):
                differences[index] += 1
    return wakes


def extracted(path: str) -> tuple[Any, Any]:
    """Times and values of the plain extraction, as the co-replay writes them."""
    table = fp.extract(path, features="core_v1", symbol="asset", tick_size="0.1", lot_size="0.001")
    frame = table.to_polars()
    names = [column["name"] for column in fp.describe_set("core_v1")["features"]]
    columns = [frame[name].cast(polars.Float64).fill_null(np.nan).to_numpy() for name in names]
    return frame["ts_recv"].cast(polars.Int64).to_numpy(), np.column_stack(columns)


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


def test_precomputed_equals_plain_extraction(array_file: str) -> None:
    matrix = new_asset(array_file).precompute("core_v1")
    times, values = extracted(array_file)
    assert matrix.values.shape == values.shape
    assert same(matrix.times, times)
    assert same(matrix.values, values)


@pytest.mark.parametrize("backtest", [HashMapMarketDepthBacktest, ROIVectorMarketDepthBacktest])
def test_every_wake_shows_the_precomputed_frame(array_file: str, backtest: Any) -> None:
    asset = new_asset(array_file).roi_lb(50_000.0).roi_ub(75_000.0)
    matrix = asset.precompute("core_v1")
    hbt = backtest([asset])
    feed = asset.features("core_v1")
    out = np.full((len(matrix.times) + 200, len(feed.names)), np.nan)
    stamps = np.zeros(len(out), np.int64)
    wakes = at_every_feed(hbt, feed.handle, feed.values, feed.header, out, stamps)
    feed.check()
    assert wakes > 0.9 * len(matrix.times)
    shown = stamps[:wakes] > 0
    rows = np.searchsorted(matrix.times, stamps[:wakes][shown], side="right") - 1
    assert same(out[:wakes][shown], matrix.values[rows])
    assert stamps[wakes - 1] == matrix.times[-1], "the last packet is seen at the end of the data"
    assert feed.header[fh.FRAMES] == len(matrix.times)


def test_sleeping_strategies_see_everything_in_between(array_file: str) -> None:
    asset = new_asset(array_file)
    matrix = asset.precompute("core_v1")
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features("core_v1")
    differences = np.zeros(len(feed.names), np.int64)
    wakes = at_every_step(hbt, feed.handle, feed.values, matrix.times, matrix.values, differences)
    assert wakes > 100
    assert wakes < len(matrix.times)
    assert not differences.any()


def test_arrays_give_what_files_give(synthetic: str) -> None:
    rows = np.load(synthetic)["data"]
    from_file, from_array = new_asset(synthetic).precompute(), new_asset(rows).precompute()
    assert same(from_file.values, from_array.values)
    assert same(from_file.times, from_array.times)
    middle = len(rows) // 2
    halves = new_asset([rows[:middle].copy(), rows[middle:].copy()]).precompute()
    assert same(from_file.values, halves.values)


def test_a_latency_offset_is_applied_once_in_every_form(synthetic: str) -> None:
    offset = 5_000_000
    plain = new_asset(synthetic).precompute()
    shifted_file = new_asset(synthetic).latency_offset(offset)
    assert same(shifted_file.precompute().times, plain.times + offset)
    shifted_array = new_asset(np.load(synthetic)["data"]).latency_offset(offset)
    hbt = HashMapMarketDepthBacktest([shifted_array])
    feed = shifted_array.features()
    differences = np.zeros(len(feed.names), np.int64)
    table = shifted_file.precompute()
    assert at_every_step(hbt, feed.handle, feed.values, table.times, table.values, differences) > 100
    assert not differences.any()


def test_two_assets(synthetic: str, tmp_path: Any) -> None:
    other = str(tmp_path / "other.npz")
    fp.write_synthetic(other, kind="hftbacktest", seed=9, duration_s=30.0)
    assets = [new_asset(synthetic), new_asset(other)]
    hbt = HashMapMarketDepthBacktest(assets)
    feeds = [asset.features() for asset in assets]
    assert hbt.elapse(10_000_000_000) == 0
    for asset, feed in zip(assets, feeds, strict=True):
        matrix = asset.precompute()
        feed.advance(hbt.current_timestamp)
        row = fh.lookup(matrix.times, hbt.current_timestamp, -1)
        assert same(feed.values, matrix.values[row])
    assert not same(feeds[0].values, feeds[1].values)


@njit
def trading(hbt: Any, handle: int, values: Any, out: Any) -> int:
    """Takes on both sides at every step, as fast as it may."""
    wakes, order_id = 0, 0
    while hbt.elapse(100_000_000) == 0:
        hbt.clear_inactive_orders(0)
        fh.advance(handle, hbt.current_timestamp)
        out[wakes] = values
        wakes += 1
        depth = hbt.depth(0)
        if 0 < depth.best_bid_tick < depth.best_ask_tick < 1_000_000_000:
            hbt.submit_buy_order(0, order_id, depth.best_ask, 0.001, GTC, LIMIT, wakes % 7 == 0)
            hbt.submit_sell_order(0, order_id + 1, depth.best_bid, 0.001, GTC, LIMIT, False)
            order_id += 2
    return wakes


def test_features_are_the_same_with_orders_and_without(array_file: str) -> None:
    asset = new_asset(array_file)
    matrix = asset.precompute("core_v1")
    hbt = HashMapMarketDepthBacktest([asset])
    feed = asset.features("core_v1")
    out = np.full((10_000, len(feed.names)), np.nan)
    wakes = trading(hbt, feed.handle, feed.values, out)
    feed.check()
    assert hbt.state_values(0).num_trades > wakes
    seen = out[:wakes][~np.isnan(out[:wakes, 0])]
    rows = {row.tobytes() for row in matrix.values}
    assert len(seen) > 100
    assert all(row.tobytes() in rows for row in seen)


def test_the_book_before_the_first_row_is_that_of_the_day_before(tmp_path: Any) -> None:
    raw, rest = tmp_path / "day.gz", tmp_path / "rest.npz"
    fp.write_synthetic(raw, seed=4, duration_s=20.0)
    paths = {name: str(tmp_path / f"{name}.npz") for name in ("day", "book")}
    command = [sys.executable, "-m", "featureplane", "convert", "--to", "hftbacktest", "--input", raw]
    subprocess.run([*command, "--out", paths["day"], "--book-out", paths["book"]], check=True)
    # A next day without a snapshot: some changes of the book's own levels.
    book = np.load(paths["book"])["data"]
    rows = book[:40].copy()
    day = np.load(paths["day"])["data"]
    rows["ev"] = rows["ev"] & ~np.uint64(0xFF) | np.uint64(1)
    rows["local_ts"] = day["local_ts"].max() + 1_000_000 * (1 + np.arange(40))
    rows["exch_ts"] = rows["local_ts"] - 500_000
    rows["qty"] += 0.002
    np.savez(rest, data=rows)
    for initial in (paths["book"], book):
        asset = new_asset(str(rest) if isinstance(initial, str) else rows).initial_snapshot(initial)
        hbt = HashMapMarketDepthBacktest([asset])
        feed = asset.features()
        bid, imbalance = feed.index("best_bid"), feed.index("depth_imbalance_5")
        assert hbt.elapse(1) == 0
        assert hbt.elapse(10_000_000) == 0
        feed.advance(hbt.current_timestamp)
        assert feed.values[bid] == hbt.depth(0).best_bid_tick
        touched = min(5, 1 + int((rows["local_ts"] <= hbt.current_timestamp).sum()))
        assert touched == 5
        assert not np.isnan(feed.values[imbalance])
    without = new_asset(str(rest)).precompute()
    assert len(without.times) == 0, "bids alone are no book"


def test_masks_header_and_single_values(synthetic: str) -> None:
    asset = new_asset(synthetic)
    feed = asset.features()
    spread = feed.index("spread_bps")
    assert np.isnan(feed.values).all()
    assert not fh.is_set(feed.valid, spread)
    feed.advance(fh.END)
    assert fh.is_set(feed.valid, spread)
    assert fh.is_set(feed.ready, spread)
    assert feed.header[fh.QUALITY] & ~0x3FFF == 0

    @njit
    def one(handle: int, index: int) -> float:
        return fh.get_feature(handle, fh.END, index)

    assert one(feed.handle, spread) == feed.values[spread]
    assert np.isnan(one(feed.handle, 10_000))
    assert np.isnan(one(0, spread))


def test_errors_are_raised_outside(tmp_path: Any, synthetic: str) -> None:
    with pytest.raises(fp.ConfigError, match="no feature `microprise`"):
        new_asset(synthetic).features().index("microprise")
    with pytest.raises(fp.ConfigError, match="tick_size was not set"):
        fh.FeatureAsset().data(synthetic).features()
    rows = np.load(synthetic)["data"]
    rows = rows[(rows["ev"] & LOCAL_EVENT) != 0][:200].copy()
    rows["local_ts"][150:] = rows["local_ts"][0] - 1
    bad = tmp_path / "bad.npz"
    np.savez(bad, data=rows)
    feed = new_asset(str(bad)).features()

    @njit
    def run(handle: int) -> int:
        return fh.advance(handle, fh.END)

    assert run(feed.handle) == -1
    assert run(feed.handle) == -1
    with pytest.raises(fp.DecodeError, match="local times that do not decrease"):
        feed.check()
