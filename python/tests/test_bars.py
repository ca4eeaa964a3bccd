"""Bars against a Polars ``group_by`` over the rows that they are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import featureplane as fp

SECOND = 1_000_000_000


def grouped(rows: pl.DataFrame, duration_ns: int, table: fp.FeatureTable) -> pl.DataFrame:
    """Bars of rows by packet, from textbook expressions on floats."""
    price = 10 ** int(table.metadata["featureplane.price_scale"])
    quantity = 10 ** int(table.metadata["featureplane.qty_scale"])
    stamp = pl.col("ts_event").dt.epoch("ns")
    mid = pl.col("mid_price_x2") / (2 * price)
    spread = pl.col("spread_scaled") / price
    clocked = rows.with_columns(stamp.cum_max().alias("clock"))
    return (
        clocked.group_by((pl.col("clock") // duration_ns * duration_ns).alias("start"), maintain_order=True)
        .agg(
            pl.len().alias("frames"),
            mid.count().alias("quotes"),
            mid.drop_nulls().first().alias("open"),
            mid.max().alias("high"),
            mid.min().alias("low"),
            mid.drop_nulls().last().alias("close"),
            spread.mean().alias("mean_spread"),
            spread.min().alias("min_spread"),
            spread.max().alias("max_spread"),
            pl.col("rel_spread").mean().alias("mean_rel_spread"),
            pl.col("l1_imbalance").mean().alias("mean_imbalance_l1"),
            (pl.col("ofi_l1_raw").sum() / quantity).alias("ofi"),
            (pl.col("log_return_step") ** 2).sum().alias("realized_variance"),
            pl.col("trade_count").sum().alias("trade_count"),
            (pl.col("buy_qty").sum() / quantity).alias("buy_volume"),
            (pl.col("sell_qty").sum() / quantity).alias("sell_volume"),
            pl.col("quality_flags").bitwise_or().alias("quality_flags"),
        )
        .sort("start")
    )


EXACT = ["frames", "quotes", "trade_count", "quality_flags"]
# Polars divides by a constant through its reciprocal, which rounds twice.
CLOSE = ["open", "high", "low", "close", "min_spread", "max_spread", "ofi", "buy_volume", "sell_volume"]
CLOSE += ["mean_spread", "mean_rel_spread", "mean_imbalance_l1", "realized_variance"]


def compare(path: Path, durations: list[str]) -> int:
    table = fp.extract(path, features="bars_v1", bars=durations)
    rows = table.to_polars()
    assert list(table.bars) == durations
    total = 0
    for duration, bars in table.bars.items():
        frame = bars.to_polars()
        want = grouped(rows, int(duration[:-1]) * SECOND, table)
        assert frame["bar_start"].dt.epoch("ns").to_list() == want["start"].to_list()
        for name in EXACT:
            assert frame[name].to_list() == want[name].to_list(), f"{duration} {name}"
        for name in CLOSE:
            pair = frame[name].to_numpy(), want[name].to_numpy()
            assert not np.isnan(pair[0]).any(), f"{duration} {name}"
            atol = 1e-12 if name.startswith("mean_") else 0.0  # Ratios are summed in units of 2**-40.
            np.testing.assert_allclose(*pair, rtol=1e-12, atol=atol, err_msg=f"{duration} {name}")
        total += len(bars)
    return total


def test_bars_are_a_group_by_over_rows(recording: Path) -> None:
    assert compare(recording, ["1s", "5s", "30s", "60s"]) > 70


def test_bars_of_recorded_data_are_a_group_by_over_rows(real: Path) -> None:
    assert compare(real, ["1s", "60s"]) > 100


def test_the_comparison_sees_a_closed_right_edge(recording: Path) -> None:
    table = fp.extract(recording, features="bars_v1", bars="1s")
    rows = table.to_polars()
    late = rows.with_columns(pl.col("ts_event") + pl.duration(milliseconds=40))
    bars = table.bars["1s"].to_polars()
    assert bars["frames"].to_list() == grouped(rows, SECOND, table)["frames"].to_list()
    assert bars["frames"].to_list() != grouped(late, SECOND, table)["frames"].to_list()


def test_a_table_of_bars_describes_itself(recording: Path) -> None:
    table = fp.extract(recording, emit="step:1s", bars="60s")
    bars = table.bars["60s"]
    assert bars.metadata["featureplane.bars"] == "60s"
    assert bars.feature_set_id == "bars_v1"
    assert bars.column_metadata("vwap")["unit"] == "price"
    assert bars.bars == {}
    assert "bars_v1" in repr(bars)
    assert fp.extract(recording, emit="step:1s").bars == {}


def test_files_of_bars_are_beside_the_rows(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "day.parquet"
    summary = fp.extract_to_file(recording, out, bars=["1s", "1m"], empty_bars=True, emit="step:1s")
    assert [bar["duration"] for bar in summary["bars"]] == ["1s", "60s"]
    for bar in summary["bars"]:
        path = tmp_path / f"day.bars-{bar['duration']}.parquet"
        assert bar["output"] == str(path)
        assert pq.read_table(path).num_rows == bar["bars"]
    elsewhere = tmp_path / "minutes.csv"
    fp.extract_to_file(recording, tmp_path / "x.parquet", bars="60s", bars_out=elsewhere, emit="step:1s")
    assert elsewhere.read_text().startswith("symbol,bar_start,duration_ns,complete")


def test_wrong_durations_are_refused(recording: Path) -> None:
    wrong = [("1x", "positive number"), (["1s", "1000ms"], "there twice"), ("0s", "positive number")]
    for bars, match in wrong:
        with pytest.raises(fp.ConfigError, match=match):
            fp.extract(recording, bars=bars)
