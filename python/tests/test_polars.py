"""Expressions after extraction against loops over the rows."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import featureplane as fp
from featureplane.polars import forward_return, shock_count, sign_persistence

START = datetime(2024, 8, 8)


def frame(seed: int) -> pl.DataFrame:
    """Rows with equal times, steps back in time, missing prices and two sessions."""
    rng = random.Random(seed)
    seconds, rows = 0.0, []
    for row in range(200):
        seconds += rng.choice([0.0, 0.1, 0.7, 3.0])
        stamp = seconds - (0.05 if rng.random() < 0.1 else 0.0)
        mid = None if rng.random() < 0.1 else 100.0 + rng.randrange(-5, 6)
        oib = None if rng.random() < 0.1 else rng.choice([-0.9, -0.2, 0.0, 0.3, 0.95])
        rows.append((START + timedelta(seconds=stamp), int(row >= 120), mid, oib))
    return pl.DataFrame(rows, schema=["ts_event", "epoch", "mid", "oib"], orient="row")


def clock(table: pl.DataFrame) -> list[datetime]:
    times: list[datetime] = []
    for time in table["ts_event"]:
        times.append(max(time, times[-1]) if times else time)
    return times


@pytest.mark.parametrize("seed", range(5))
def test_a_label_is_the_last_price_within_the_horizon_and_never_a_guess(seed: int) -> None:
    table, horizon = frame(seed), timedelta(seconds=2)
    got = table.select(forward_return(horizon))["mid"].to_list()
    times, mids, epochs = clock(table), table["mid"].to_list(), table["epoch"].to_list()
    known = 0
    for row, (now, mid) in enumerate(zip(times, mids, strict=True)):
        ahead = [i for i, t in enumerate(times) if now < t <= now + horizon]
        prices = [mids[i] for i in ahead if mids[i] is not None]
        leaves = any(epochs[i] != epochs[row] for i in ahead)
        if mid is None or now + horizon > max(times) or leaves:
            assert got[row] is None
            continue
        later = prices[-1] if prices else mid
        assert got[row] == pytest.approx(math.log(later / mid), abs=1e-15)
        known += 1
    assert known > 50


@pytest.mark.parametrize("seed", range(5))
def test_a_label_does_not_depend_on_what_comes_after_its_horizon(seed: int) -> None:
    table, horizon = frame(seed), timedelta(seconds=2)
    whole = table.select(forward_return(horizon))["mid"].to_list()
    cut = table.head(100).select(forward_return(horizon))["mid"].to_list()
    assert all(a == b for a, b in zip(whole, cut, strict=False) if b is not None)


@pytest.mark.parametrize("seed", range(5))
def test_counts_over_windows_equal_a_loop(seed: int) -> None:
    table, window = frame(seed), timedelta(seconds=2)
    times, oib, epochs = clock(table), table["oib"].to_list(), table["epoch"].to_list()
    shares = table.select(sign_persistence("oib", window))["oib"].to_list()
    shocks = {
        side: table.select(shock_count("oib", 0.5, window, side=side))["oib"].to_list()
        for side in ("above", "below", "either")
    }
    kept: list[bool | None] = []
    last: tuple[int, int] | None = None
    for x, epoch in zip(oib, epochs, strict=True):
        sign = None if x is None else ((x > 0) - (x < 0), epoch)
        kept.append(sign[0] == last[0] if sign and last and sign[1] == last[1] else None)
        last = sign or last
    for row, now in enumerate(times):
        inside = [i for i, t in enumerate(times) if now - window < t <= now]
        values = [oib[i] for i in inside if oib[i] is not None]
        assert shocks["above"][row] == sum(x > 0.5 for x in values)
        assert shocks["below"][row] == sum(x < -0.5 for x in values)
        assert shocks["either"][row] == sum(abs(x) > 0.5 for x in values)
        compared = [kept[i] for i in inside if kept[i] is not None]
        want = sum(map(bool, compared)) / len(compared) if compared else None
        assert shares[row] == (want if want is None else pytest.approx(want))


def test_a_span_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="horizon must be longer than 0"):
        forward_return(timedelta(0))


def test_expressions_work_on_an_extracted_table(tmp_path: Path) -> None:
    path = tmp_path / "day.ndjson"
    fp.write_synthetic(path, duration_s=20.0, seed=3)
    table = fp.extract(path, features="core_v1").to_polars()
    labels = table.select(forward_return(timedelta(seconds=1)))["mid"]
    assert labels.null_count() < len(labels)
    assert labels.drop_nulls().is_finite().all()
