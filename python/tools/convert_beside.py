"""Our converter beside the official one of hftbacktest: the same rows, and how fast.

``python tools/convert_beside.py binance day.gz [...]`` (or ``tardis trades.csv book.csv``, ``bybit day.gz``)
converts with both, compares row by row, and prints CPU time and rows per second of both. Needs the
environment of ``make hftbacktest``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

EXCH, LOCAL = 1 << 31, 1 << 30
KIND, DEPTH, TRADE, CLEAR, SNAPSHOT = 0xFF, 1, 2, 3, 4
BUFFER_ROWS = 4_000_000
COMPARED = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id")


def ours(inputs: list[str], out: str, *options: str) -> tuple[Any, dict[str, Any], float]:
    """Rows, summary and CPU seconds of our converter."""
    command = [sys.executable, "-m", "featureplane", "convert", "--to", "hftbacktest", "--json"]
    before = os.times()
    done = subprocess.run(
        [*command, "--input", *inputs, "--out", out, *options], capture_output=True, text=True, check=False
    )
    after = os.times()
    if done.returncode not in (0, 4):
        raise RuntimeError(done.stderr)
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return np.load(out)["data"], json.loads(done.stdout), seconds


def official(kind: str, inputs: list[str], out: str) -> tuple[Any, float]:
    """Rows and CPU seconds of the official converter, which prints and compiles as it goes."""
    module = {"binance": "binancefutures", "tardis": "tardis", "bybit": "bybit"}[kind]
    utils = importlib.import_module(f"hftbacktest.data.utils.{module}")
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        if kind == "tardis":
            rows = utils.convert(inputs, out, buffer_size=BUFFER_ROWS)
        elif kind == "bybit":
            rows = utils.convert_depth(inputs[0], out, buffer_size=BUFFER_ROWS)
        else:
            rows = utils.convert(inputs[0], out, buffer_size=BUFFER_ROWS)
    return rows, time.process_time() - started


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are equal in everything but ids."""
    return len(a) == len(b) and all(np.array_equal(a[name], b[name]) for name in COMPARED)


def kind_of(rows: Any) -> Any:
    """Kind of each row."""
    return rows["ev"] & KIND


def parts(rows: Any, snapshot_ts: int) -> dict[str, Any]:
    """Rows after the first snapshot, its levels, and the trades before it."""
    after = rows[rows["local_ts"] > snapshot_ts]
    first = rows[(rows["local_ts"] == snapshot_ts) & (rows["ev"] & LOCAL != 0)]
    before = rows[(rows["local_ts"] < snapshot_ts) & (rows["ev"] & LOCAL != 0)]
    return {
        "after": after,
        "snapshot": first,
        "trades before": before[kind_of(before) == TRADE],
        "updates before": before[kind_of(before) != TRADE],
    }


def compare(mine: Any, theirs: Any) -> dict[str, Any]:
    """What is equal, and the counts of what differs by design around the first snapshot."""
    snapshot_ts = int(mine["local_ts"][kind_of(mine) == SNAPSHOT][0])
    a, b = parts(mine, snapshot_ts), parts(theirs, snapshot_ts)
    both = b["snapshot"][kind_of(b["snapshot"]) == SNAPSHOT]

    def level(row: Any) -> tuple[int, float, float]:
        return int(row["ev"]) & ~(EXCH | LOCAL), float(row["px"]), float(row["qty"])

    rows = {level(row) for row in a["snapshot"]}
    return {
        "after equal": same(a["after"], b["after"]),
        "rows after": (len(a["after"]), len(b["after"])),
        "trades before equal": same(a["trades before"], b["trades before"]),
        "updates before": (len(a["updates before"]), len(b["updates before"])),
        "levels of the snapshot": (len(a["snapshot"]), len(b["snapshot"])),
        "snapshot levels of theirs that ours lacks": sum(level(row) not in rows for row in both),
    }


def main() -> int:
    """Compare, print, return the exit code."""
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    kind, inputs = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        more = ("--trades-first",) if kind == "tardis" else ()
        mine, summary, seconds = ours(inputs, str(Path(folder) / "ours.npz"), "--local-offset", "auto", *more)
        official(kind, inputs, str(Path(folder) / "first.npz"))  # compiles
        theirs, their_seconds = official(kind, inputs, str(Path(folder) / "theirs.npz"))
        found = compare(mine, theirs)
    for name, value in found.items():
        print(f"{name}: {value}")
    print(f"local times moved by {summary['local_offset_ns']} ns")
    for name, rows, cpu in (("ours", mine, seconds), ("official", theirs, their_seconds)):
        print(f"{name:>9}: {len(rows):>9,} rows, {cpu:6.2f} s CPU, {len(rows) / cpu / 1e6:5.2f} M rows/s")
    print(f"ratio: {(len(mine) / seconds) / (len(theirs) / their_seconds):.1f}")
    return 0 if found["after equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
