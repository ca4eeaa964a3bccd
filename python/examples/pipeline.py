"""A configured pipeline to Parquet, and shocks of a replay counted in Polars.

Run it with a recording, or without arguments for a synthetic one.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import polars as pl

import featureplane as fp
from featureplane.polars import shock_count

CONFIG = fp.ExtractionConfig(
    features=[
        fp.features.MidPrice(),
        fp.features.BookImbalance(depth=5),
        fp.features.OfiL1Sum(window_ns=1_000_000_000, alias="ofi_1s"),
        fp.features.TradeFlow(window_ns=1_000_000_000, alias="flow_1s"),
    ],
    trigger=fp.triggers.TradeOrTime(sec=1.0),
)


def main(recording: Path, folder: Path) -> None:
    """Write the features of the config, then count large imbalances per ten seconds."""
    out = folder / "features.parquet"
    done = fp.extract_to_parquet(source=recording, destination=out, config=CONFIG, compression="snappy")
    print(pl.read_parquet(out).tail(3))
    print(f"{done['rows']} rows of {done['events']} events")
    batch = fp.extract_features(recording, [{"type": "OIB", "halflife_bps": 25, "alias": "oib"}])
    shocks = shock_count("oib", 0.2, timedelta(seconds=10), side="either", time="ts")
    print(pl.DataFrame(batch).with_columns(shocks.alias("shocks_10s")).tail(3))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 1:
            main(Path(sys.argv[1]), Path(scratch))
        else:
            fp.write_synthetic(Path(scratch) / "day.gz", seed=7)
            main(Path(scratch) / "day.gz", Path(scratch))
