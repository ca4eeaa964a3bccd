"""Our columns against those of other programs.

Each test names its source and what it covers. Other programs add floats in another order, so floats are
compared within the tolerances of `docs/howto/parity.md`; between our own paths there is none.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

import featureplane as fp

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WINDOW = {"window_ns": 1_000_000_000}
#: Relative, of sums and means; of standard deviations, whose differences cancel.
SUM_TOLERANCE, STD_TOLERANCE = 1e-12, 1e-9


def rolling_set(sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Every statistic of `rolling` over each column, and an EMA of it."""
    statistics = ["mean", "sum", "std", "min", "max"]
    features = [*sources, {"family": "trades", "column": "trade_count"}]
    for name in [source["column"] for source in sources]:
        for statistic in statistics:
            params = {"of": name, **WINDOW}
            column = f"rolling_{statistic}"
            features.append(
                {"family": "rolling", "column": column, "params": params, "alias": f"{name}_{statistic}"}
            )
        params = {"of": name, "span": 8}
        features.append({"family": "ema", "column": "ema", "params": params, "alias": f"{name}_ema"})
    return {"id": "witness", "features": features}


@pytest.fixture(scope="module")
def book_rows() -> pl.DataFrame:
    """Rows of the book packets of a recording with their window clock."""
    path = DATA / "binance" / "usdm_btcusdt_20240808.gz"
    if not path.exists():
        pytest.skip(f"no recorded data at {path}")
    sources: list[dict[str, Any]] = [
        {"family": "mid_spread", "column": "mid"},
        {"family": "mid_spread", "column": "spread_scaled"},
        {"family": "top", "column": "l1_bid_qty"},
        {"family": "depth", "column": "bid_depth", "params": {"levels": 10}, "alias": "bid_depth"},
    ]
    table = fp.extract(path, features=rolling_set(sources), progress=False).to_polars()
    # The clock is the newest event time; trades move it too.
    return table.with_columns(t=pl.col("ts_event").cum_max()).filter(pl.col("trade_count") == 0)


SOURCES = ["mid", "spread_scaled", "l1_bid_qty", "bid_depth"]


def relative(got: pl.Series, want: pl.Series) -> float:
    """The largest relative difference."""
    scale = pl.DataFrame({"a": got.abs(), "b": want.abs()}).max_horizontal().clip(lower_bound=1e-300)
    largest = ((got - want).abs() / scale).max()
    assert isinstance(largest, float)
    return largest


@pytest.mark.parametrize("name", SOURCES)
def test_rolling_agrees_with_polars(book_rows: pl.DataFrame, name: str) -> None:
    """Source: Polars `rolling_*_by`, which closes windows on the right too. Family `rolling`."""
    value = pl.col(name).cast(pl.Float64)
    want = book_rows.select(
        mean=value.rolling_mean_by("t", "1s"),
        sum=value.rolling_sum_by("t", "1s"),
        std=value.rolling_std_by("t", "1s"),
        min=value.rolling_min_by("t", "1s"),
        max=value.rolling_max_by("t", "1s"),
    )
    # Polars gives all rows of one time the window with all of them; ours ends at the packet.
    keep = (book_rows["t"] != book_rows["t"].shift(-1)).fill_null(True)
    assert keep.sum() > 6_000
    for statistic in want.columns:
        got, other = book_rows[f"{name}_{statistic}"].filter(keep), want[statistic].filter(keep)
        known = got.is_not_null() & other.is_not_null()
        assert known.sum() > 6_000
        tolerance = STD_TOLERANCE if statistic == "std" else SUM_TOLERANCE
        if statistic == "std":  # a window of equal values has exactly 0 here
            known &= got > 0
        assert relative(got.filter(known), other.filter(known)) <= tolerance, (name, statistic)


@pytest.mark.parametrize("name", SOURCES)
def test_rolling_and_ema_agree_with_pandas(book_rows: pl.DataFrame, name: str) -> None:
    """Source: pandas `rolling("1s")` and `ewm(span=8, adjust=False)`. Families `rolling` and `ema`."""
    rows = book_rows.to_pandas().set_index("t")
    windows = rows[name].astype(float).rolling("1s")
    # Where values are large beside their deviation, or jump, the variance of pandas drifts.
    drifts = name != "spread_scaled"
    for statistic in ["mean", "sum", "min", "max"] if drifts else ["mean", "sum", "std", "min", "max"]:
        got, want = rows[f"{name}_{statistic}"], getattr(windows, statistic)()
        known = got.notna() & want.notna()
        assert known.sum() > 6_000
        if statistic == "std":
            known &= got > 0
            assert known.sum() > 400
        worst = ((got - want)[known].abs() / want[known].abs().clip(lower=1e-300)).max()
        assert worst <= (STD_TOLERANCE if statistic == "std" else SUM_TOLERANCE), (name, statistic)
    ema = rows[name].astype(float).ewm(span=8, adjust=False).mean()
    assert ((rows[f"{name}_ema"] - ema).abs() / ema.abs()).max() <= SUM_TOLERANCE


@pytest.mark.parametrize("name", SOURCES)
def test_deviations_are_those_of_exact_fractions(book_rows: pl.DataFrame, name: str) -> None:
    """Source: `fractions` of the standard library. Column `rolling_std`, where pandas drifts."""
    times = book_rows["t"].cast(pl.Int64).to_list()
    values = [Fraction(value) for value in book_rows[name].to_list()]
    got = book_rows[f"{name}_std"].to_list()
    for row in range(200, len(times), 50):
        start = next(i for i in range(row, -2, -1) if i < 0 or times[i] <= times[row] - 1_000_000_000)
        window = values[start + 1 : row + 1]
        mean = sum(window) / len(window)
        if len(window) < 2:
            assert got[row] is None, row
            continue
        variance = sum((value - mean) ** 2 for value in window) / (len(window) - 1)
        assert got[row] == pytest.approx(math.sqrt(variance), rel=1e-15), row


TAQ = DATA / "taq_highfrequency"
TAQ_COLUMNS = [
    ("top", "best_bid"),
    ("top", "best_ask"),
    ("top", "l1_bid_qty"),
    ("top", "l1_ask_qty"),
    ("mid_spread", "mid"),
    ("mid_spread", "spread"),
    ("mid_spread", "rel_spread"),
    ("imbalance", "l1_imbalance"),
    ("trades", "signed_flow"),
    ("trades", "last_trade_price"),
    ("trades", "last_trade_qty"),
]


def nanoseconds(seconds: str) -> int:
    whole, _, fraction = seconds.partition(".")
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def taq(name: str) -> pl.DataFrame:
    if not TAQ.exists():
        pytest.skip(f"no recorded data at {TAQ}")
    return pl.read_csv(TAQ / f"{name}.csv.zst", infer_schema=False)


def quotes_and_trades() -> list[tuple[int, int, dict[str, str]]]:
    """Time, whether it is a trade, and the row; a trade meets the last quote that is not later than it."""
    names = ["sampleQData_day1", "sampleTData_day1"]
    entries = [
        (nanoseconds(row["DT"]), is_trade, row)
        for is_trade, name in enumerate(names)
        for row in taq(name).iter_rows(named=True)
    ]
    return sorted(entries, key=lambda entry: entry[:2])


def test_quotes_and_signed_trades_agree_with_highfrequency() -> None:
    """Source: the R package highfrequency 1.0.0 on its own NYSE TAQ sample, `getLiquidityMeasures`.

    Covers best_bid, best_ask, l1_bid_qty, l1_ask_qty, mid, spread, rel_spread, l1_imbalance, the inferred
    side of a trade (signed_flow) and the last trade, at 3,691 trades among 24,477 quotes; and the effective
    spread and the imbalance ratio, which are made of them.
    """
    features = {"id": "taq", "features": [{"family": f, "column": c} for f, c in TAQ_COLUMNS]}
    settings = {"tick_size": "0.0001", "lot_size": "1", "feed": "snapshot", "sequencing": "arrival"}
    engine = fp.FeatureEngine(features, {"XXX": settings})
    theirs = taq("liquidity_lag0_day1").to_dicts()
    matched, at_mid = 0, 0
    for time_ns, is_trade, row in quotes_and_trades():
        if not is_trade:
            bids, asks = [(row["BID"], row["BIDSIZ"])], [(row["OFR"], row["OFRSIZ"])]
            engine.process_packet("XXX", kind="snapshot", ts_event=time_ns, bids=bids, asks=asks)
            continue
        engine.process_packet(
            "XXX", kind="delta", ts_event=time_ns, trades=[(row["PRICE"], row["SIZE"], None)]
        )
        want = theirs[matched]
        matched += 1
        assert (want["DT"], want["PRICE"], want["SIZE"]) == (row["DT"], row["PRICE"], row["SIZE"])
        get = {column: engine.get_feature("XXX", column) for _, column in TAQ_COLUMNS}
        assert get["last_trade_price"] == pytest.approx(float(row["PRICE"]) * 10_000, abs=1e-6)
        assert get["last_trade_qty"] == int(row["SIZE"])
        price, bid, ask = (Decimal(text) for text in (row["PRICE"], want["BID"], want["OFR"]))
        # Theirs is the mid of two floats, which misses a price exactly at the mid now and then.
        their_mid = 0.5 * (float(bid) + float(ask))
        if 2 * price == bid + ask and float(price) != their_mid:
            at_mid += 1
            assert int(want["direction"]) == (1 if float(price) > their_mid else -1)
        else:
            assert get["signed_flow"] == int(want["signedTradeSize"]), row
        assert get["mid"] == pytest.approx(float(want["midpoints"]), rel=1e-12)
        assert get["spread"] == pytest.approx(float(want["quotedSpread"]), abs=1e-9)
        assert get["rel_spread"] == pytest.approx(float(want["proportionalQuotedSpread"]), abs=1e-11)
        difference = -int(want["direction"]) * (get["l1_imbalance"] or 0.0)
        assert difference == pytest.approx(float(want["depthImbalanceDifference"]), abs=1e-12)
        bid_qty, ask_qty = get["l1_bid_qty"] or 0, get["l1_ask_qty"] or 0
        assert (bid_qty, ask_qty) == (int(want["BIDSIZ"]), int(want["OFRSIZ"]))
        assert (get["best_bid"], get["best_ask"]) == (int(bid * 10_000), int(ask * 10_000))
        direction = int(want["direction"])
        ratio = (direction * ask_qty / bid_qty) ** direction
        assert ratio == pytest.approx(float(want["depthImbalanceRatio"]), rel=1e-12)
        effective = 2 * direction * ((get["last_trade_price"] or 0) / 10_000 - (get["mid"] or 0))
        assert effective == pytest.approx(float(want["effectiveSpread"]), abs=1e-9)
    assert matched == len(theirs) == 3_691
    assert at_mid == 231


def test_bars_agree_with_highfrequency(tmp_path: Path) -> None:
    """Source: `aggregateTrades`, `aggregateQuotes` and `makeOHLCV` of highfrequency on the same sample.

    Covers close, volume and vwap of bars of one minute, and volume of five minutes. Their bars are closed on
    the right, ours on the left, so that the bars beside the 11 edges on which something fell are left out.
    """
    log = tmp_path / "taq.ndjson"
    instrument = {"symbol_id": 0, "symbol": "XXX", "venue": "", "price_scale": 4, "qty_scale": 0}
    instrument |= {"tick_scaled": 1, "lot_scaled": 1, "feed": "snapshot", "sequencing": "arrival"}
    instrument |= {"max_age_ns": 10_000_000_000}
    entries = quotes_and_trades()
    with log.open("w") as out:
        print(json.dumps({"featureplane_packets": 1, "instrument": instrument}), file=out)
        for time_ns, is_trade, row in entries:
            print(json.dumps(taq_packet(time_ns, row, is_trade=bool(is_trade))), file=out)
    table = fp.extract(log, features="lob_shared_v1", bars=["60s", "300s"], progress=False)
    edges = {time_ns for time_ns, _, _ in entries if time_ns % 60_000_000_000 == 0}
    columns = {
        ("agg_trades_1min_day1", "60s"): {"volume": "SIZE", "vwap": "VWPRICE"},
        ("agg_quotes_1min_day1", "60s"): {"close": "MIDQUOTE"},
        ("ohlcv_5min_day1", "300s"): {"volume": "VOLUME"},
    }
    compared = 0
    for (name, duration), pairs in columns.items():
        bars = table.bars[duration].to_polars()
        starts = bars["bar_start"].cast(pl.Int64)
        ends = (starts + bars["duration_ns"]).to_list()
        ours = dict(zip(ends, bars.iter_rows(named=True), strict=True))
        for row in taq(name).iter_rows(named=True):
            end_ns = nanoseconds(row["DT"])
            # The opening trade and quote have a row of their own, so that the first minute lacks them.
            if end_ns <= entries[0][0] + 60_000_000_000 and duration == "60s":
                continue
            if {end_ns, end_ns - ours[end_ns]["duration_ns"]} & edges:
                continue
            compared += 1
            for mine, theirs in pairs.items():
                assert ours[end_ns][mine] == pytest.approx(float(row[theirs]), rel=1e-12), (end_ns, mine)
    assert (compared, len(edges)) == (808, 11)


def taq_packet(time_ns: int, row: dict[str, str], *, is_trade: bool) -> dict[str, Any]:
    """A quote or a trade as a line of a packet log."""
    packet = {"k": "delta" if is_trade else "snapshot", "e": time_ns, "r": 0, "s": 0, "f": 0, "p": 0, "c": 0}
    if is_trade:
        return {**packet, "runs": [], "t": [[ticks(row["PRICE"]), int(row["SIZE"]), "unknown"]]}
    sides = [("set_bid", "BID", "BIDSIZ"), ("set_ask", "OFR", "OFRSIZ")]
    return {**packet, "runs": [[run, [[ticks(row[p]), int(row[q])]]] for run, p, q in sides], "t": []}


def ticks(price: str) -> int:
    return int(Decimal(price) * 10_000)


LEVELS = 5


@pytest.fixture(scope="module")
def lobster_rows() -> pl.DataFrame:
    """The order-book rows of LOBSTER: ask price, ask size, bid price and bid size by level."""
    path = DATA / "lobster" / "GOOG_2012-06-21_34200000_57600000_orderbook_5.csv.zst"
    if not path.exists():
        pytest.skip(f"no recorded data at {path}")
    names = [f"{side}_{what}_{level}" for level in range(LEVELS)
             for side in ("ask", "bid") for what in ("price", "qty")]  # fmt: skip
    return pl.read_csv(path, has_header=False, new_columns=names)


def flow_of_level(level: int) -> pl.Expr:
    """The order flow of one level between two rows (Cont, Kukanov and Stoikov, 2014)."""
    bid, bid_qty = pl.col(f"bid_price_{level}"), pl.col(f"bid_qty_{level}")
    ask, ask_qty = pl.col(f"ask_price_{level}"), pl.col(f"ask_qty_{level}")

    def kept(condition: pl.Expr, qty: pl.Expr) -> pl.Expr:
        return pl.when(condition).then(qty).otherwise(0)

    bids = kept(bid >= bid.shift(), bid_qty) - kept(bid <= bid.shift(), bid_qty.shift())
    asks = kept(ask <= ask.shift(), ask_qty) - kept(ask >= ask.shift(), ask_qty.shift())
    return (bids - asks).fill_null(0)


def test_books_imbalance_and_order_flow_agree_with_lobster(lobster_rows: pl.DataFrame) -> None:
    """Source: the order-book file of LOBSTER, GOOG, 2012-06-21, five levels, 112,673 rows.

    Covers bid_price, bid_qty, ask_price, ask_qty, bid_depth, ask_depth, depth_imbalance, spread,
    ofi_l1_raw and ofi_ml by index, computed here from the rows alone.
    """
    features: list[dict[str, Any]] = [
        {"family": "depth", "column": f"{side}_{what}", "params": {"level": level}}
        for level in range(LEVELS)
        for side in ("bid", "ask")
        for what in ("price", "qty")
    ]
    by_levels = {"levels": LEVELS}
    features += [
        {"family": "depth", "column": "bid_depth", "params": by_levels, "alias": "bid_depth"},
        {"family": "depth", "column": "ask_depth", "params": by_levels, "alias": "ask_depth"},
        {"family": "imbalance", "column": "depth_imbalance", "params": by_levels, "alias": "imbalance"},
        {"family": "mid_spread", "column": "spread_scaled"},
        {"family": "ofi_l1", "column": "ofi_l1_raw"},
        {"family": "ofi_ml", "column": "ofi_ml", "params": {**by_levels, "align": "index"}, "alias": "ofi"},
    ]
    stem = DATA / "lobster" / "GOOG_2012-06-21_34200000_57600000"
    files = [f"{stem}_{kind}_5.csv.zst" for kind in ("message", "orderbook")]
    ours = fp.extract(files, features={"id": "w", "features": features}, progress=False).to_polars()
    assert ours.height == lobster_rows.height == 112_673

    # Prices are dollars x 10,000 there, in units of 0.001 here.
    price = cs.contains("_price_")
    want = lobster_rows.with_columns(price // 10)
    assert want.select(price * 10).equals(lobster_rows.select(price))
    for name in want.columns:
        assert ours[name].equals(want[name]), name

    bid = pl.sum_horizontal(f"bid_qty_{level}" for level in range(LEVELS))
    ask = pl.sum_horizontal(f"ask_qty_{level}" for level in range(LEVELS))
    sums = want.select(
        bid_depth=bid,
        ask_depth=ask,
        imbalance=(bid - ask) / (bid + ask),
        spread_scaled=pl.col("ask_price_0") - pl.col("bid_price_0"),
        ofi_l1_raw=flow_of_level(0),
        ofi=pl.sum_horizontal(flow_of_level(level) for level in range(LEVELS)),
    )
    for name in sums.columns:
        assert ours[name].equals(sums[name]), name
