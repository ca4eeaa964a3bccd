"""Rows of a recording, to Polars and to a file.

Run it with a recording, or without arguments for a synthetic one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl

import featureplane as fp


def main(recording: Path, folder: Path) -> pl.DataFrame:
    """Extract one row per second and show the first ones with prices as floats."""
    table = fp.extract(recording, features="core_v1", emit="step:1s", progress=True)
    tick = float(table.column_metadata("best_bid")["divide_by"])
    frame = table.to_polars().select(
        "ts_event",
        (pl.col("best_bid") / tick).alias("bid"),
        (pl.col("best_ask") / tick).alias("ask"),
        "micro_minus_mid",
        "quality_flags",
    )
    summary = fp.extract_to_file(recording, folder / "features.parquet", overwrite=True)
    print(frame.head())
    print(f"{summary['rows']} rows of {summary['events']} events in {summary['output']}")
    return frame


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 1:
            main(Path(sys.argv[1]), Path(scratch))
        else:
            fp.write_synthetic(Path(scratch) / "day.gz", seed=7)
            main(Path(scratch) / "day.gz", Path(scratch))
