"""The strategy of ``paper_strategy.py`` in a process of its own, over the frames of ``featureplane live``."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paper_strategy import SET, QueueLean

import featureplane as fp
from featureplane.live import LatestFrames
from featureplane.quality import QualityFlags

VENUE = "binance-usdm"


def follow(table: Path, strategy: QueueLean) -> tuple[int, int]:
    """Trade the first symbol until the writer ends; frames seen, and frames replaced before they were."""
    seen = last = 0
    with LatestFrames(table, SET) as frames:
        symbol = frames.symbols[0]
        while True:
            # Asked before the look, so that the last frame is not missed.
            is_over = frames.is_closed
            latest = frames.read(symbol)
            if latest is not None and latest.published > last:
                values = [latest.value(name) for name in strategy.required_features]
                # The minute is an old one by the clock of today.
                strategy.decide(values, latest.quality_flags & ~QualityFlags.STALE_INPUT)
                seen, last = seen + 1, latest.published
            elif is_over:
                return seen, last - seen
            else:
                time.sleep(1e-4)


def main() -> tuple[int, int, int]:
    """Trade a synthetic minute that a server plays as Binance; frames seen, frames missed, trades."""
    strategy = QueueLean()
    command = [sys.executable, "-m", "featureplane"]
    with tempfile.TemporaryDirectory() as folder:
        day, table = Path(folder) / "minute.gz", Path(folder) / "latest.fp"
        fp.write_synthetic(day, kind="binance", seed=7, duration_s=60.0, gaps=1)
        play = [*command, "replay-server", "--venue", VENUE, "--input", str(day), "--pace", "20x"]
        with subprocess.Popen(play, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            endpoint = server.stderr.readline().split()[-1]
            live = [*command, "live", "--feed", f"{VENUE}:BTCUSDT", "--endpoint", endpoint]
            live += ["--duration", "4s", "--latest", str(table)]
            with subprocess.Popen(live, stdout=subprocess.DEVNULL) as process:
                while not table.exists() and process.poll() is None:
                    time.sleep(0.01)
                seen, missed = follow(table, strategy)
            server.send_signal(signal.SIGINT)
    print(f"{seen} frames seen, {missed} missed, {strategy.trades} trades, position {strategy.position}")
    return seen, missed, strategy.trades


if __name__ == "__main__":
    main()
