"""`featureplane convert --to hftbacktest` beside the converters of hftbacktest itself."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, new_asset, stock_settings
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data.utils import feed_order_latency, snapshot

import featureplane as fp

sys.path.insert(0, str(ROOT / "python" / "tools"))

import convert_beside as beside

BINANCE = ROOT.parent / "shared" / "data" / "binance"
FUTURES = ["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240808.gz", "cm_btcusd_perp_20240808.gz"]


def recording(name: str) -> str:
    path = BINANCE / name
    if not path.is_file():
        pytest.skip("../shared/data is absent")
    return str(path)


@pytest.mark.parametrize("name", FUTURES)
def test_binance_rows_are_those_of_the_official_converter(name: str, tmp_path: Path) -> None:
    raw = recording(name)
    mine, summary, _ = beside.ours([raw], str(tmp_path / "a.npz"), "--local-offset", "auto")
    theirs, _ = beside.official("binance", [raw], str(tmp_path / "b.npz"))
    found = beside.compare(mine, theirs)
    assert found["after equal"], found
    assert found["trades before equal"], found
    assert found["snapshot levels of theirs that ours lacks"] == 0, found
    assert found["rows after"][0] > 100_000 or "0718" in name
    # Theirs has the updates before the snapshot and then puts the older snapshot over them; ours has
    # those that continue the snapshot in it.
    assert found["updates before"][0] == 0 < found["updates before"][1]
    assert found["levels of the snapshot"][0] > found["levels of the snapshot"][1]
    assert summary["rejected_count"] == 0
    ids = mine["ival"][beside.kind_of(mine) != beside.TRADE]
    assert (ids > 0).all()


def test_a_planted_difference_is_found(tmp_path: Path) -> None:
    day = str(tmp_path / "day.gz")
    fp.write_synthetic(day, seed=5, duration_s=20.0)
    mine, _, _ = beside.ours([day], str(tmp_path / "a.npz"))
    theirs, _ = beside.official("binance", [day], str(tmp_path / "b.npz"))
    assert beside.compare(mine, theirs)["after equal"]
    for name, change in (("qty", 0.001), ("exch_ts", 1), ("ev", 1 << 28)):
        changed = mine.copy()
        changed[name][len(changed) // 2] += change
        assert not beside.compare(changed, theirs)["after equal"], name


HEAD = "exchange,symbol,timestamp,local_timestamp,"


def tardis_rows(folder: Path) -> list[str]:
    """Trades, and a book that is sent anew with more levels than before."""

    def level(at: int, snapshot: bool, side: str, price: float, amount: int) -> str:
        ts = 1_585_699_200_000_000 + at * 1_000
        return f"x,A,{ts},{ts + 500 + at % 3},{str(snapshot).lower()},{side},{price},{amount}\n"

    def book(at: int, levels: int) -> str:
        bids = [level(at, True, "bid", 100 - n * 0.5, n + 1) for n in range(levels)]
        asks = [level(at, True, "ask", 101 + n * 0.5, n + 1) for n in range(levels)]
        return "".join(bids + asks)

    text = HEAD + "is_snapshot,side,price,amount\n" + book(0, 3)
    for at in range(1, 40):
        text += level(at, False, "bid" if at % 2 else "ask", 99.5 if at % 2 else 101.5, at)
    text += book(40, 6) + level(41, False, "bid", 99.5, 7)
    trades = HEAD + "id,side,price,amount\n"
    for at in (5, 9, 20):
        ts = 1_585_699_200_000_000 + at * 1_000
        trades += f"x,A,{ts},{ts + 900},{at},buy,101,2\n"
    paths = [folder / "trades.csv", folder / "incremental_book_L2.csv"]
    for path, rows in zip(paths, (trades, text), strict=True):
        path.write_text(rows)
    return [str(path) for path in paths]


def test_tardis_rows_are_those_of_the_official_converter_but_for_the_snapshot_rows_that_it_loses(
    tmp_path: Path,
) -> None:
    inputs = tardis_rows(tmp_path)
    mine, _, _ = beside.ours(inputs, str(tmp_path / "a.npz"), "--trades-first")
    theirs, _ = beside.official("tardis", inputs, str(tmp_path / "b.npz"))
    again = np.flatnonzero(beside.kind_of(mine) == beside.CLEAR)[2]
    assert again > 40
    assert beside.same(mine[:again], theirs[:again])
    levels = [int((beside.kind_of(rows[again:]) == beside.SNAPSHOT).sum()) for rows in (mine, theirs)]
    assert levels == [12, 6], "theirs keeps the buffer of the first snapshot"
    assert beside.same(mine[-1:], theirs[-1:])


def bybit_lines() -> str:
    text = ""
    for at in range(60):
        ms = 1_758_841_137_000 + at * 20
        local = f"{ms + 3}{at:06d}"
        if at % 5 == 4:
            text += (
                f'{local} {{"topic":"publicTrade.X","type":"snapshot","ts":{ms},"data":[{{"T":{ms},"s":"X",'
                f'"S":"{"Buy" if at % 2 else "Sell"}","v":"2","p":"1.5","BT":false}}]}}\n'
            )
            continue
        kind = "snapshot" if at in (0, 30) else "delta"
        levels = [[f"{1.4 - n / 10:.1f}", str(n + at)] for n in range(3 if kind == "snapshot" else 1)]
        asks = [[f"{1.5 + n / 10:.1f}", str(n + 1)] for n in range(3 if kind == "snapshot" else 1)]
        data = str({"s": "X", "b": levels, "a": asks, "u": at + 1, "seq": at}).replace("'", '"')
        text += f'{local} {{"topic":"orderbook.50.X","type":"{kind}","ts":{ms},"data":{data},"cts":{ms}}}\n'
    return text


def test_bybit_rows_are_those_of_the_official_converter(tmp_path: Path) -> None:
    raw = tmp_path / "day.gz"
    raw.write_bytes(gzip.compress(bybit_lines().encode()))
    mine, _, _ = beside.ours([str(raw)], str(tmp_path / "a.npz"))
    theirs, _ = beside.official("bybit", [str(raw)], str(tmp_path / "b.npz"))
    assert len(mine) > 100
    assert beside.same(mine, theirs)


def ccxt_lines() -> str:
    text = ""
    for at in range(50):
        ms = 1_678_886_400_100 + at * 50
        bids = [[100.0 - n - at % 3, 1 + n] for n in range(4)]
        asks = [[102.0 + n - at % 2, 2 + n + at % 5] for n in range(4)]
        text += (
            '{"type":"orderbook","exchange":"x","symbol":"A/B","data":{"bids":'
            f'{bids},"asks":{asks},"timestamp":{ms},"nonce":{at + 7}}},"collected_at":{ms + 5}}}\n'
        )
    return text


def features_of(path: str, *names: str) -> Any:
    table = fp.extract(path, features="core_v1", tick_size="1", lot_size="1").to_polars()
    return table.select("ts_event", *names)


def test_ccxt_books_become_changes_with_the_same_features(tmp_path: Path) -> None:
    raw = tmp_path / "books.ndjson"
    raw.write_text(ccxt_lines())
    out = str(tmp_path / "a.npz")
    rows, summary, _ = beside.ours([str(raw)], out)
    assert int((beside.kind_of(rows) == beside.CLEAR).sum()) == 2
    assert summary["packets_with_rows"] == summary["packets"] == 50
    names = ("best_bid", "best_ask", "ofi_l1_cum", "depth_imbalance_5")
    assert features_of(out, *names).equals(features_of(str(raw), *names))
    asset = stock_settings(BacktestAsset().data(out)).tick_size(1.0).lot_size(1.0)
    hbt = HashMapMarketDepthBacktest([asset])
    assert hbt.elapse(10_000_000_000) == 1
    last = features_of(out, "best_bid", "best_ask").row(-1)
    assert (hbt.depth(0).best_bid_tick, hbt.depth(0).best_ask_tick) == last[1:]


def test_book_and_latencies_are_those_of_the_official_tools(tmp_path: Path) -> None:
    day = str(tmp_path / "day.gz")
    fp.write_synthetic(day, seed=5, duration_s=30.0)
    paths = {name: str(tmp_path / f"{name}.npz") for name in ("rows", "book", "latency", "theirs")}
    beside.ours([day], paths["rows"], "--book-out", paths["book"], "--latency-out", paths["latency"])
    mine, theirs = np.load(paths["book"])["data"], snapshot.create_last_snapshot([paths["rows"]], 0.1, 0.001)
    assert len(mine) > 1_000
    assert np.array_equal(mine["ev"], theirs["ev"])
    for name in ("px", "qty"):
        assert np.allclose(mine[name], theirs[name], rtol=1e-12), "theirs is ticks times tick size"
    latency = np.load(paths["latency"])["data"]
    official = feed_order_latency.generate_order_latency(paths["rows"])
    assert latency.dtype == official.dtype
    assert len(latency) in (30, 31)
    assert np.array_equal(latency["req_ts"], official["req_ts"])
    for name in ("exch_ts", "resp_ts"):
        # Theirs goes through a float of 53 bits.
        assert np.abs(latency[name] - official[name]).max() <= 256
    asset = stock_settings(BacktestAsset().data(paths["rows"])).initial_snapshot(paths["book"])
    hbt = HashMapMarketDepthBacktest([asset.intp_order_latency(paths["latency"])])
    assert hbt.elapse(1) == 0
    assert hbt.depth(0).best_bid_tick == round(mine["px"][0] / 0.1)


def test_a_gap_stays_visible(tmp_path: Path) -> None:
    day, out = str(tmp_path / "day.gz"), str(tmp_path / "day.npz")
    fp.write_synthetic(day, seed=3, duration_s=60.0, gaps=2)
    beside.ours([day], out)
    gap = fp.QualityFlags.GAP_DETECTED
    for features in (fp.extract(day), fp.extract(out, tick_size="0.1", lot_size="0.001")):
        flags = features.to_polars()["quality_flags"].to_numpy()
        assert int(((flags & int(gap)) != 0).sum()) == 2
    matrix = new_asset(out).precompute("core_v1")
    assert len(matrix.times) == fp.extract(day).num_rows


def refused(*arguments: str) -> str:
    command = [sys.executable, "-m", "featureplane", "convert", "--to", "hftbacktest", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    return done.stderr


def test_clocks_that_differ_and_times_that_are_missing_are_refused_with_what_helps(tmp_path: Path) -> None:
    raw, out = tmp_path / "books.ndjson", str(tmp_path / "a.npz")
    text = ccxt_lines()
    raw.write_text(text.replace('"collected_at":16788864', '"collected_at":16788863'))
    said = refused("--input", str(raw), "--out", out)
    assert "--local-offset 99995000000" in said, said
    rows, _, _ = beside.ours([str(raw)], out, "--local-offset", "99995000000")
    assert (rows["local_ts"] >= rows["exch_ts"]).all()
    raw.write_text(text.replace('"collected_at"', '"other"'))
    said = refused("--input", str(raw), "--out", out, "--overwrite")
    assert "packet 0 has no local time" in said
    assert "--feed-latency" in said
    rows, _, _ = beside.ours([str(raw)], out, "--feed-latency", "3000000", "--overwrite")
    assert (rows["local_ts"] - rows["exch_ts"] == 3_000_000).all()
