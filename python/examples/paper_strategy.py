"""A strategy that trades on paper: it names the features that it reads and computes none."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import featureplane as fp
from featureplane.live import Strategy, StrategyRunner

SET = "core_v1"


class QueueLean(Strategy):
    """Leans with the queue while the spread is one tick, and stands aside when it is not."""

    required_feature_set_id = SET
    required_features = ("l1_imbalance", "best_bid", "best_ask")

    def __init__(self) -> None:
        self.position = self.cash = self.trades = 0

    def on_features(self, view: fp.FeatureView) -> None:
        """Take a frame."""
        self.decide([view.value(name) for name in self.required_features], view.quality_flags)

    def decide(self, values: Sequence[float | int | None], quality_flags: int) -> None:
        """Take the values of the required features, wherever they are from."""
        imbalance, bid, ask = values
        if imbalance is None or bid is None or ask is None:
            return
        if ask - bid > 1 or quality_flags:
            self.move_to(0, int(bid), int(ask))
        elif abs(imbalance) > 0.6:
            self.move_to(1 if imbalance > 0 else -1, int(bid), int(ask))

    def move_to(self, target: int, bid: int, ask: int) -> None:
        """Buy at the ask or sell at the bid until the position is `target`."""
        units = target - self.position
        if units:
            self.cash -= units * (ask if units > 0 else bid)
            self.position = target
            self.trades += 1


def main() -> int:
    """Trade a synthetic minute and return the number of trades."""
    strategy = QueueLean()
    runner = StrategyRunner(strategy, SET)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "minute.ndjson"
        fp.write_synthetic(log, kind="events", seed=7, duration_s=60.0, gaps=1)
        frames = runner.run(log)
    print(f"{frames} frames, {strategy.trades} trades, position {strategy.position}, cash {strategy.cash}")
    return strategy.trades


if __name__ == "__main__":
    main()
