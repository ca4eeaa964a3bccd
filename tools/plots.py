"""Draw one page per feature family from a recording: what its columns look like, and when they are null.

Usage: plots.py DATA OUT. The market is Binance BTCUSDT perpetual futures of 2024-08-08, and GOOG of
2012-06-21 for what needs orders, from the first packet on, so that warm-up shows.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import polars as pl

import featureplane as fp

#: Values of the parameters that have no default.
EXAMPLES: dict[str, Any] = {
    "window_ns": 5_000_000_000,
    "bps": 10,
    "hi_bps": 10,
    "depth_bps": 25,
    "halflife_bps": 10,
    "halflife_ns": 1_000_000_000,
    "bucket_scaled": 20_000,
    "threshold_ppm": 500_000_000_000,
    "of": "input",
}
#: Families over columns, and what they are shown over.
INPUT = {"family": "imbalance", "column": "l1_imbalance_ppm", "alias": "input"}
#: Where the default shows little on this market: its spread is one tick, 1.6 millionths.
CHOSEN = {"ema": {"span": 32}, "regime": {"tight_ppm": 2}}
SHOWN_S = 60
#: A feed of levels, and one of orders for the family that needs it.
LEVELS = "binance/usdm_btcusdt_20240808.gz"
ORDERS = "lobster/GOOG_2012-06-21_34200000_57600000_message_10.csv.zst"
COLUMNS = 3


def features_of(family: str) -> list[dict[str, Any]]:
    """Every column of a family, with defaults and example values."""
    features = []
    for column in (column for column in fp.feature_columns() if column["family"] == family):
        keys = {param["key"] for param in column["params"]}
        required = {param["key"] for param in column["params"] if param["required"]}
        params = {key: EXAMPLES[key] for key in EXAMPLES if key in required}
        if {"count", "window_ns"} <= keys:
            params["window_ns"] = EXAMPLES["window_ns"]
        params |= {key: value for key, value in CHOSEN.get(family, {}).items() if key in keys}
        features.append(
            {"family": family, "column": column["column"], "params": params, "alias": column["column"]}
        )
    return features


def scaled(table: fp.FeatureTable, name: str, frame: pl.DataFrame) -> pl.Series:
    """Prices and quantities in units of one; thousandths and millionths as they are."""
    column = table.column_metadata(name)
    divide_by = float(column["divide_by"]) if column["scale"] in ("price", "qty", "price_x2") else 1.0
    return frame[name].cast(pl.Float64) / divide_by


def draw(axes: Any, times: pl.Series, values: pl.Series) -> None:
    """A step line, grey where the value is null."""
    stamps, numbers = times.to_list(), values.to_list()
    axes.step(stamps, numbers, where="post", linewidth=0.7, color="#1f4e79")
    for is_null, run in itertools.groupby(range(len(stamps)), key=lambda row: numbers[row] is None):
        rows = list(run)
        if is_null:
            end = min(rows[-1] + 1, len(stamps) - 1)
            axes.axvspan(stamps[rows[0]], stamps[end], color="#b9b9b9", alpha=0.6, linewidth=0)
    axes.set_xlim(stamps[0], stamps[-1])


def page(family: str, inputs: Path, out: Path) -> None:
    """Write the page of one family."""
    features = features_of(family)
    head = [INPUT] if any("of" in feature["params"] for feature in features) else []
    feature_set = {"id": f"plot_{family}", "features": [*head, *features]}
    table = fp.extract(inputs, features=feature_set, progress=False)
    frame = table.to_polars()
    first = frame["ts_event"][0]
    shown = frame.filter(pl.col("ts_event") <= first + pl.duration(seconds=SHOWN_S))
    names = [feature["alias"] for feature in features]
    rows = -(-len(names) // COLUMNS)
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=(4.4 * COLUMNS, 1.9 * rows + 0.5), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    for axes, name in zip(grid.flat, names, strict=False):
        draw(axes, shown["ts_event"], scaled(table, name, shown))
        nulls = 100 * frame[name].null_count() / frame.height
        unit = table.column_metadata(name).get("unit", "")
        axes.set_title(f"{name} [{unit}], null {nulls:.1f} %", fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%M:%S"))
        axes.ticklabel_format(axis="y", useOffset=False)
    figure.suptitle(
        f"{family}: the first {SHOWN_S} s of {inputs.name}, by packet; null in grey, its share over the whole file",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    figure.savefig(out / f"{family}.png", dpi=72, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Draw every family."""
    plt.switch_backend("agg")
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for family in dict.fromkeys(column["family"] for column in fp.feature_columns()):
        page(family, data / ORDERS if family == "order_flow_l3" else data / LEVELS, out)


if __name__ == "__main__":
    main()
