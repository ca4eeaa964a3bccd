"""Backtest a model file twice and write one page: ``python -m featureplane.backtest``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from featureplane import models
from featureplane.backtest import Rules, over_table, write_report
from featureplane.errors import FeatureError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the signals of both runs are the same, 1 when they are not, 2 for misuse."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        rules = Rules(
            options.enter, options.leave, options.quantity, float(options.tick_size), options.fee,
            round(options.entry_ms * 1e6), round(options.response_ms * 1e6), options.collar_ticks,
            options.start_ns,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    from featureplane.backtest.hft import in_hftbacktest

    try:
        model = models.load_model(options.model)
        table = models.score(
            options.input, options.model, features=options.set, format="hftbacktest",
            tick_size=options.tick_size, lot_size=options.lot_size,
        )  # fmt: skip
        runs = [over_table(table, model, rules)]
        lot = float(options.lot_size)
        runs.append(
            in_hftbacktest(str(options.input), options.model, rules, lot_size=lot, features=options.set)
        )
        same = write_report(options.out, model, rules, runs)
    except (FeatureError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for run in runs:
        print(f"{run.name:>11}: {run.trades} trades, profit {run.profit:.4f} after fees of {run.fees:.4f}")
    print(f"signals {'are the same' if same else 'DIFFER'} at {len(runs[0].times_ns)} times; {options.out}")
    return 0 if same else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m featureplane.backtest", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="array file of hftbacktest")
    parser.add_argument("--model", type=Path, required=True, help="model file")
    parser.add_argument("--set", help="feature set of the model, when it is not a built-in one")
    parser.add_argument("--out", type=Path, default=Path("backtest.html"), help="page to write")
    parser.add_argument("--tick-size", required=True, help="decimal text")
    parser.add_argument("--lot-size", required=True, help="decimal text")
    parser.add_argument("--quantity", type=float, required=True, help="size of a position")
    parser.add_argument("--enter", type=float, required=True, help="edge beyond which a position is taken")
    parser.add_argument("--leave", type=float, default=0.0, help="edge within which it is given up")
    parser.add_argument(
        "--fee", type=float, default=0.0005, help="share of the traded value (default: 0.0005)"
    )
    parser.add_argument("--entry-ms", type=float, default=10.0, help="latency to the exchange (default: 10)")
    parser.add_argument("--response-ms", type=float, default=10.0, help="and back (default: 10)")
    parser.add_argument("--collar-ticks", type=int, default=1_000, help="most beyond the quote seen")
    parser.add_argument(
        "--start-ns", type=int, default=0, help="local time before which nothing is sent, UTC ns"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
