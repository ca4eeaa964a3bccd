"""State snapshots of an extraction, and starting from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import featureplane as fp


def test_a_run_from_a_snapshot_gives_the_rows_of_the_whole_run(recording: Path, tmp_path: Path) -> None:
    states = tmp_path / "states"
    options: dict[str, Any] = {"features": "core_v1", "emit": "packet", "bars": "10s"}
    whole = fp.extract(recording, snapshot_every="10s", snapshots=states, progress=False, **options)
    assert len(list(states.glob("*.fpstate"))) >= 4
    start = int(whole.to_polars()["ts_event"].cast(pl.Int64)[-1]) - 15_000_000_000
    options["start"] = start
    cold = fp.extract(recording, progress=False, **options)
    warm = fp.extract(recording, warm_start=states, progress=False, **options)
    assert warm.to_polars().equals(cold.to_polars())
    assert warm.bars["10s"].to_polars().equals(cold.bars["10s"].to_polars())
    assert cold.summary["warm_start"] is None
    used = warm.summary["warm_start"]
    assert used["refused"] == []
    # The same to a file, in constant memory.
    out = tmp_path / "rows.parquet"
    summary = fp.extract_to_file(recording, out, warm_start=states, **options)
    assert summary["warm_start"] == used
    assert pl.read_parquet(out).drop("symbol").equals(cold.to_polars().drop("symbol"))


def test_a_damaged_snapshot_is_refused_with_the_reason(recording: Path, tmp_path: Path) -> None:
    states = tmp_path / "states"
    fp.extract(recording, snapshot_every="10s", snapshots=states, progress=False)
    files = sorted(states.glob("*.fpstate"))
    newest = bytearray(files[-1].read_bytes())
    newest[len(newest) // 2] ^= 1
    files[-1].write_bytes(newest)
    start = int(files[-1].name.split(".")[-2].split("-")[0]) + 1
    table = fp.extract(recording, start=start, warm_start=states, progress=False)
    [refused] = table.summary["warm_start"]["refused"]
    assert "checksum" in str(refused)
    for file in files[:-1]:
        file.unlink()
    with pytest.raises(fp.FeatureError, match="checksum"):
        fp.extract(recording, start=start, warm_start=states, progress=False)


def test_options_of_snapshots_belong_together(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(fp.ConfigError, match="give both or neither"):
        fp.extract(recording, snapshot_every="10s", progress=False)
    with pytest.raises(fp.ConfigError, match="warm_start"):
        fp.extract(recording, warm_start=tmp_path, progress=False)
