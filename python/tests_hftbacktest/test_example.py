"""The example decides the same, whichever way its features come."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples_hftbacktest"))

import market_maker


def test_every_order_decision_and_the_result_are_equal(array_file: str) -> None:
    runs = market_maker.report(array_file)
    hand = runs["by hand"]
    assert len(hand.decisions) > 100
    assert hand.trades > 0
    for name, run in runs.items():
        assert np.array_equal(hand.decisions, run.decisions), name
        assert hand.result == run.result, name


def test_the_lean_matters(synthetic: str) -> None:
    profit = market_maker.grid(synthetic, (0.0, 60.0))
    assert len(set(profit.values())) == 2
