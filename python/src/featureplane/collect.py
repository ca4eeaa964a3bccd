"""Collect order books of a venue: ``python -m featureplane.collect --exchange kraken --symbol BTC/USD``.

Writes three files beside each other: ``.ndjson`` with every book as it came (input format ``ccxt``),
``.raw.parquet`` with its levels as columns, ``.features.parquet`` with a feature set over it. Ctrl-C and
SIGTERM end it cleanly. Needs the extra ``collect`` (ccxt, Polars) and no key.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from featureplane._collector import VENUES, Collected, Collector, Plan, write_features, write_raw_parquet
from featureplane.errors import FeatureError

__all__ = ["main"]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 after a collection with books, 1 without any or after a failure, 2 for misuse."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        plan = Plan(options.exchange, options.symbol, options.levels, options.hz, options.duration,
                    options.endpoint)  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    collector = Collector(plan, lambda line: print(line, file=sys.stderr, flush=True))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: collector.stop())
    try:
        found = collector.run(options.out)
        if found.ndjson is None:
            print(f"no books: {found.failed} polls failed", file=sys.stderr)
            return 1
        _write(found, found.ndjson, options.levels, options.set)
    except FeatureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _write(found: Collected, ndjson: Path, levels: int, features: str) -> None:
    raw, processed = ndjson.with_suffix(".raw.parquet"), ndjson.with_suffix(".features.parquet")
    write_raw_parquet(ndjson, raw, levels)
    write_features(ndjson, processed, features, found)
    print(f"{found.books} books, {found.failed} failed polls, {found.skipped} skipped; "
          f"tick {found.tick_size}, lot {found.lot_size}")  # fmt: skip
    for path in (ndjson, raw, processed):
        print(path)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a number and s, m or h, got {text}")
    return float(found[1]) * _SECONDS[found[2]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m featureplane.collect", description="Collect order books.")
    parser.add_argument("--exchange", required=True, choices=sorted(VENUES))
    parser.add_argument("--symbol", required=True, help="as ccxt writes it: BTC/USDT")
    parser.add_argument("--levels", type=int, default=20, help="of each side, up to 100 (default: 20)")
    parser.add_argument("--hz", type=float, default=3.0, help="polls per second, at most (default: 3)")
    parser.add_argument("--duration", type=_seconds, help="90s, 30m, 8h (default: until it is stopped)")
    parser.add_argument("--out", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument("--set", default="l2_linear_v1", help="feature set (default: l2_linear_v1)")
    parser.add_argument("--endpoint", help="scheme://host to ask instead of the venue's own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
