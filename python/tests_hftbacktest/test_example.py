"""The example decides the same, whichever way its features come."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars
import pytest

import featureplane as fp

sys.path.insert(0, str(Path(__file__).parents[1] / "examples_hftbacktest"))

import market_maker


@pytest.fixture(params=["whole", "recorded"])
def day(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A day without gaps and crossings, which features flag and a strategy by hand does not see."""
    if request.param == "recorded":
        return str(request.getfixturevalue("recorded"))
    path = tmp_path / "whole.npz"
    fp.write_synthetic(path, kind="hftbacktest", seed=3, duration_s=30.0)
    return str(path)


def test_every_order_decision_and_the_result_are_equal(day: str) -> None:
    runs = market_maker.report(day)
    hand = runs["by hand"]
    assert len(hand.decisions) > 100
    assert hand.trades > 0
    for name, run in runs.items():
        assert np.array_equal(hand.decisions, run.decisions), name
        assert hand.result == run.result, name


def test_decisions_part_at_a_gap_and_not_before(tmp_path: Path) -> None:
    """By hand nothing tells that an update is missing; features are withheld until the next snapshot."""
    synthetic = str(tmp_path / "gaps.npz")
    fp.write_synthetic(synthetic, kind="hftbacktest", seed=3, duration_s=30.0, gaps=2)
    table = fp.extract(synthetic, tick_size="0.1", lot_size="0.001").to_polars()
    gaps = table.filter((polars.col("quality_flags") & int(fp.QualityFlags.GAP_DETECTED)) != 0)
    first_gap = gaps["ts_recv"].cast(polars.Int64)[0]
    runs = market_maker.report(synthetic)
    hand, pulled = runs["by hand"].decisions, runs["pulled"].decisions
    assert np.array_equal(pulled, runs["looked up"].decisions)
    before = [decisions[decisions[:, 0] < first_gap] for decisions in (hand, pulled)]
    assert len(before[0]) > 50
    assert np.array_equal(*before)
    assert not np.array_equal(hand, pulled)


def test_a_grid_over_levels_and_lean_reads_one_table(synthetic: str) -> None:
    profit = market_maker.grid(synthetic, (1, 5), (0.0, 60.0))
    assert list(profit) == [(1, 0.0), (1, 60.0), (5, 0.0), (5, 60.0)]
    assert profit[1, 0.0] == profit[5, 0.0], "without a lean the levels do not matter"
    assert len(set(profit.values())) == 3
