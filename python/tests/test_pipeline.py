"""The pipeline API and the replay API: thin, checked, and the same bits as `extract`."""

from __future__ import annotations

import inspect
import json
import math
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from conftest import T0, book_states, oib

import featureplane as fp
from featureplane import features, triggers
from featureplane._feature import camel_case
from featureplane.polars import shock_count

CONFIG = fp.ExtractionConfig(
    features=[
        features.GlobalTime(),
        features.MidPrice(),
        features.BookImbalance(depth=5),
        features.OFI(decay=0.0),
        features.TradeFlow(),
    ],
    trigger=triggers.TradeOrTime(sec=1.0),
)
REPLAY = [
    {"type": "OIB", "halflife_bps": 25, "alias": "oib_25bps"},
    {"type": "OIB", "halflife_bps": 50, "alias": "oib_50bps"},
    {"type": "Depth", "side": "bid", "bps": 100, "alias": "depth_bid_100bps"},
]


def filled(column: dict[str, Any]) -> dict[str, Any]:
    """The smallest parameters that a column can be made with."""
    given: dict[str, Any] = {}
    for param in column["params"]:
        if param["kind"] == "column":
            given[param["key"]] = "mid_price_x2"
        elif param["required"] or param["key"] in ("span", "count"):
            given[param["key"]] = max(param["min"], 3)
    return given


def test_every_column_has_a_function_that_the_engine_takes() -> None:
    columns = fp.feature_columns()
    names = [camel_case(column["column"]) for column in columns]
    assert len(set(names)) == len(columns) > 100
    for name, column in zip(names, columns, strict=True):
        made = getattr(features, name)(**filled(column), alias="x")
        assert (made.family, made.column) == (column["family"], column["column"])
        config = fp.ExtractionConfig([features.MidPriceX2(), made])
        assert fp.describe_set(config.feature_set)["features"][1]["name"] == "x"
        assert column["doc"] in getattr(features, name).__doc__


def test_names_that_choose_a_column_hide_no_column() -> None:
    columns = {camel_case(column["column"]) for column in fp.feature_columns()}
    functions = inspect.getmembers(features, inspect.isfunction)
    own = {name for name, made in functions if made.__code__.co_filename == features.__file__}
    assert {"OIB", "Depth", "WeightedDepth", "MidPrice", "TradeFlow", "GlobalTime"} <= own
    assert not own & columns


def test_defaults_are_those_of_the_registry() -> None:
    for column in fp.feature_columns():
        signature = inspect.signature(getattr(features, camel_case(column["column"])))
        for param in column["params"]:
            wanted = inspect.Parameter.empty if param["required"] else param.get("default")
            assert signature.parameters[param["key"]].default == wanted


def test_a_keyword_that_is_not_there_or_is_missing_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="level"):
        features.DepthImbalance(level=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="bps"):
        features.BidDepthWithin()  # type: ignore[call-arg]


def test_the_names_of_the_seeds_choose_the_columns_of_the_built_in_set() -> None:
    made = [
        features.MidPrice(),
        features.Spread(),
        *(
            feature
            for h in (25, 50)
            for feature in (
                features.WeightedDepth(side="bid", halflife_bps=h, alias=f"weighted_bid_{h}bps"),
                features.WeightedDepth(side="ask", halflife_bps=h, alias=f"weighted_ask_{h}bps"),
                features.OIB(halflife_bps=h, alias=f"oib_{h}bps"),
            )
        ),
        features.Depth(side="bid", bps=100, alias="bid_depth_100bps"),
        features.Depth(side="ask", bps=100, alias="ask_depth_100bps"),
    ]
    described = fp.describe_set(fp.ExtractionConfig(made).feature_set)
    assert described["schema_hash"] == fp.describe_set("replay_snapshot_v1")["schema_hash"]


@pytest.mark.parametrize(
    ("trigger", "emit"),
    [
        (triggers.Packet(), "packet"),
        (triggers.Trade(), "trade"),
        (triggers.Time(sec=0.1), "step:100000000ns"),
        (triggers.Time(sec=Decimal("1e-9")), "step:1ns"),
        (triggers.TradeOrTime(sec=2), "trade-or-step:2000000000ns"),
    ],
)
def test_a_trigger_is_an_emission(trigger: triggers.Trigger, emit: str, recording: Path) -> None:
    assert trigger.emit() == emit
    if "step:1ns" not in emit:
        assert fp.extract(recording, emit=emit).num_rows > 0


@pytest.mark.parametrize("sec", [0, -1.0, math.nan, math.inf, 1e-10, True, "1", None, 2e9])
def test_a_step_that_is_no_time_is_refused(sec: Any) -> None:
    for trigger in (triggers.Time(sec), triggers.TradeOrTime(sec)):
        with pytest.raises(fp.ConfigError, match=r"^sec: "):
            trigger.emit()


def test_the_pipeline_writes_what_extract_gives(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "btc.parquet"
    done = fp.extract_to_parquet(
        source=recording, symbol="BTCUSDT", destination=out, config=CONFIG, compression="snappy"
    )
    table = fp.extract(recording, features=CONFIG.feature_set, emit="trade-or-step:1s")
    written = pl.read_parquet(out)
    names = ["mid", "depth_imbalance_5", "ofi_l1_raw", "signed_flow"]
    assert written.columns[7:] == names
    assert done["rows"] == written.height > 60
    assert written.equals(table.to_polars().cast(written.schema))
    assert pq.ParquetFile(out).metadata.row_group(0).column(7).compression == "SNAPPY"
    with pytest.raises(fp.OutputError, match="exist"):
        fp.extract_to_parquet(source=recording, destination=out, config=CONFIG)
    again = fp.extract_to_parquet(source=recording, destination=out, config=CONFIG, overwrite=True)
    assert again["rows"] == done["rows"]


def test_polars_finds_the_columns_consistent(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    made = [features.Mid(), features.BestBid(), features.BestAsk(), features.OfiL1Raw(), features.OfiL1Cum()]
    made += [features.TradeFlow(side="buy"), features.TradeFlow(side="sell"), features.TradeFlow()]
    fp.extract_to_parquet(source=recording, destination=out, config=fp.ExtractionConfig(made))
    sound = pl.scan_parquet(out).filter(pl.col("quality_flags") == 0)
    mids = sound.select((pl.col("best_bid") + pl.col("best_ask") - pl.col("mid") * 20).abs().max())
    assert mids.collect().item() < 1e-6
    flow = pl.col("buy_qty") - pl.col("sell_qty") == pl.col("signed_flow")
    assert sound.select(flow.all()).collect().item()
    whole = pl.read_parquet(out)
    assert whole["signed_flow"].abs().sum() > 0
    # The sum since the reset is the sum of the packets, counted from the first row of the session.
    first = whole.filter(pl.col("epoch") == pl.col("epoch").first(), pl.col("ofi_l1_raw").is_not_null())
    assert first["ofi_l1_raw"].cum_sum().to_list() == first["ofi_l1_cum"].to_list()


def test_a_folder_of_segments_is_a_source(tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    with pytest.raises(fp.ConfigError, match=r"folder without \.q"):
        fp.extract_to_parquet(source=tmp_path, destination=out, config=CONFIG)
    (tmp_path / "2.q").write_bytes(b"later")
    (tmp_path / "1.q.zst").write_bytes(b"not a segment")
    (tmp_path / "notes.txt").write_bytes(b"")
    with pytest.raises(fp.DecodeError) as caught:
        fp.extract_to_parquet(source=tmp_path, destination=out, config=CONFIG)
    assert caught.value.path == str(tmp_path / "1.q.zst")
    assert not out.exists()


def test_a_wrong_config_lists_every_fault_with_its_path() -> None:
    made: list[Any] = [
        features.Mid(alias=3),  # type: ignore[arg-type]
        "mid",
        features.BookImbalance(depth=0),
        features.GlobalTime(),
        features.Mid(),
        features.Spread(alias="mid"),
        features.OIB(halflife_bps=2.5),  # type: ignore[arg-type]
    ]
    with pytest.raises(fp.ConfigError) as caught:
        fp.ExtractionConfig(made, trigger=triggers.Time(sec=0), id="")
    assert str(caught.value).splitlines()[1:] == [
        "  features[0].alias: 3 is not text",
        "  features[1]: 'mid' is not made by featureplane.features",
        "  features[2].depth: 0 is not an integer in 1..=64",
        "  features[5].alias: name `mid` is taken by entry 4",
        "  features[6].halflife_bps: 2.5 is neither an integer nor text",
        "  trigger.sec: 0 is not above 0 and at most 1e9",
        "  id: '' is not text of at least one character",
    ]
    for empty in ([], "mid", [features.GlobalTime()]):
        with pytest.raises(fp.ConfigError, match="features: no feature is chosen"):
            fp.ExtractionConfig(empty)  # type: ignore[arg-type]
    with pytest.raises(fp.ConfigError, match="trigger: 'step:1s' is not made by"):
        fp.ExtractionConfig([features.Mid()], trigger="step:1s")  # type: ignore[arg-type]


def test_a_wrong_destination_and_config_are_named_together(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(fp.ConfigError) as caught:
        fp.extract_to_parquet(source=recording, destination=tmp_path / "x.csv", config="core_v1")  # type: ignore[arg-type]
    assert "destination: " in str(caught.value)
    assert "config: expected an ExtractionConfig, got str" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: features.Depth(side="up", bps=1), "side: 'up' is neither 'bid' nor 'ask'"),  # type: ignore[arg-type]
        (lambda: features.Depth(side="bid"), "bps or depth: give exactly one of them, not 0"),
        (lambda: features.OIB(halflife_bps=1, depth=1), "give exactly one of them, not 2"),
        (lambda: features.OFI(decay=0.5), "OfiFlowDecayed"),
        (lambda: features.TradeFlow(side="up"), "side: 'up'"),  # type: ignore[arg-type]
        (lambda: features.WeightedDepth(side="x", halflife_bps=1), "side: 'x'"),  # type: ignore[arg-type]
    ],
)
def test_misuse_of_a_name_is_said_where_it_happens(call: Any, message: str) -> None:
    with pytest.raises(fp.ConfigError, match=message):
        call()


def test_the_replay_gives_the_rows_of_a_step(recording: Path) -> None:
    batch = fp.extract_features(recording, json.dumps(REPLAY), step_us=250_000)
    assert batch.schema.names == ["ts", "oib_25bps", "oib_50bps", "depth_bid_100bps"]
    rows: Any = pl.from_arrow(batch)
    assert isinstance(rows, pl.DataFrame)
    assert (rows["ts"].dt.epoch("us") % 250_000 == 0).all()
    assert (rows["ts"].diff().drop_nulls() == timedelta(microseconds=250_000)).all()
    measure = {"halflife_bps": 25, "measure": "notional"}
    entry = {"family": "weighted_depth", "column": "weighted_oib", "params": measure, "alias": "oib_25bps"}
    same = fp.extract(recording, features={"id": "x", "features": [entry]}, emit="step:250ms").to_polars()
    assert rows["oib_25bps"].equals(same["oib_25bps"], null_equal=True)
    assert (batch.schema.field("depth_bid_100bps").metadata or {})[b"divide_by"] == b"1e3"
    cut = fp.extract_features(
        recording, REPLAY, rows["ts"].dt.epoch("us")[10], rows["ts"][20], step_us=250_000
    )
    assert cut.equals(batch.slice(10, 10))


def test_polars_counts_shocks_of_the_replay(recording: Path) -> None:
    rows: Any = pl.from_arrow(fp.extract_features(recording, [{"type": "l1_imbalance", "alias": "x"}]))
    window = timedelta(seconds=10)
    counts = rows.select(shock_count("x", 0.3, window, side="either", time="ts"))["x"].to_list()
    times, values = rows["ts"].to_list(), rows["x"].to_list()
    assert sum(counts) > 0
    for now, count in zip(times, counts, strict=True):
        inside = [v for t, v in zip(times, values, strict=True) if now - window < t <= now]
        assert count == sum(v is not None and abs(v) > 0.3 for v in inside)


def test_imbalance_of_a_table_of_updates_equals_a_slow_book(tmp_path: Path) -> None:
    """One minute of updates, one row per second, against a dict and `math.exp`."""
    path = tmp_path / "updates.parquet"
    t0, books, updates = T0 // 1_000, [{}, {}], []  # type: ignore[var-annotated]
    expected: dict[int, float] = {}
    for number in range(600):
        at = t0 + number * 100_000 + 1
        side = number % 2
        ticks = 10_000 - number % 7 if side == 0 else 10_001 + number % 5
        sizes = {10_000: 5, 10_001: 4} if number == 0 else {ticks: 1 + number * 7 % 23}
        for price, size in sizes.items():
            where = side if number else int(price > 10_000)
            books[where][price] = size
            updates.append((at, price, size, where, number == 0, len(updates)))
        expected[-(-at // 1_000_000) * 1_000_000] = oib(books[0], books[1], 25)
    names = ["ts_local_us", "price_int", "size_int", "side", "is_snapshot", "file_line_number"]
    pl.DataFrame(updates, schema=names, orient="row").write_parquet(path)
    batch = fp.extract_features(path, REPLAY, step_us=1_000_000)
    rows: Any = pl.from_arrow(batch)
    times = rows["ts"].dt.epoch("us").to_list()
    assert len(times) >= 59
    for at, value in zip(times, rows["oib_25bps"], strict=True):
        assert value == pytest.approx(expected[at], abs=1e-12)


def test_a_wrong_replay_config_lists_every_fault_with_its_path(log: Path) -> None:
    text = """[{"type": "OIBB"}, {"type": "OIB", "halflife_bps": 0, "x": 1}, 4, {"side": "bid"},
        {"type": "Depth", "side": "up", "bps": 1}, {"type": "OIB", "depth": 3, "depth": 4},
        {"type": "BidDepthWithin"}, {"type": "spread", "alias": "BAD"}, {"type": "OIB", "depth": true}]"""
    with pytest.raises(fp.ConfigError) as caught:
        fp.extract_features(log, text, 1_723_161_256_000_000_000, 1.5, 0)  # type: ignore[arg-type]
    assert str(caught.value).splitlines()[1:] == [
        "  config_json[0].type: 'OIBB' is no name of featureplane.features and no column; did you mean OIB?",
        "  config_json[1].x: unknown; it takes halflife_bps, depth, alias",
        "  config_json[1].halflife_bps: 0 is not an integer in 1..=10000",
        "  config_json[2]: 4 is not an object",
        "  config_json[3].type: required",
        "  config_json[4].side: 'up' is neither 'bid' nor 'ask'",
        "  config_json[5].depth: given twice",
        "  config_json[6].bps: required",
        "  config_json[7].alias: name `BAD` is not 1 to 64 of a-z, 0-9, _, from a letter",
        "  config_json[8].depth: True is neither an integer nor text",
        "  step_us: 0 is not an integer of at least 1",
        "  start_ts: 1723161256000000000 us is not in the years 2000 to 2100; the unit is us",
        "  end_ts: expected us, ISO text or datetime, got float",
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config_json: not JSON: .*line 1 column 2"),
        ("[" * 100_000, "config_json: not JSON"),
        ("[]", "expected a list of at least one object"),
        ('{"type": "Mid"}', "expected a list of at least one object"),
        ('[{"type": "GlobalTime"}]', "no feature is chosen"),
        ([{"type": "Feature"}], "'Feature' is no name"),
        ([{"type": 3}], "3 is no name"),
        ([{"type": "_side"}], "'_side' is no name"),
        ([{"type": "Mid", "alias": f"m{n}"} for n in range(1_025)], "config_json: 1025 features; 1 to 1024"),
    ],
)
def test_what_is_no_list_of_features_is_refused(log: Path, config: Any, message: str) -> None:
    with pytest.raises(fp.ConfigError, match=message):
        fp.extract_features(log, config)


def test_real_imbalance_equals_a_slow_book(real: Path) -> None:
    """One minute of a recorded day against books rebuilt from its JSON lines."""
    start, end = "2024-08-08T23:55:00Z", "2024-08-08T23:56:00Z"
    rows: Any = pl.from_arrow(fp.extract_features(real, REPLAY, start, end, step_us=1_000_000))
    books = book_states(real, rows["ts"].dt.epoch("ms").to_list())
    slow = [(oib(bids, asks, 25), oib(bids, asks, 50)) for bids, asks in books]
    assert len(slow) == rows.height == 60
    for column, values in zip(("oib_25bps", "oib_50bps"), zip(*slow, strict=True), strict=True):
        assert rows[column].to_list() == pytest.approx(list(values), abs=1e-12)
        assert len(set(values)) > 50


def test_real_pipeline_to_parquet(real: Path, tmp_path: Path) -> None:
    out = tmp_path / "btc.parquet"
    done = fp.extract_to_parquet(source=real, symbol="BTCUSDT", destination=out, config=CONFIG)
    written = pl.scan_parquet(out)
    summary = written.select(
        rows=pl.len(),
        mids=pl.col("mid").is_between(50_000, 70_000).all(),
        imbalances=pl.col("depth_imbalance_5").is_between(-1, 1).all(),
        flow=pl.col("signed_flow").abs().sum(),
    ).collect()
    assert summary.row(0)[:3] == (done["rows"], True, True)
    assert summary["flow"][0] > 0
