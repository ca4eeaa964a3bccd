"""Command line: a packet log to frames and rows, or the hand-worked cases."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from . import cases, packet_log
from .bars import BarWriter
from .engine import Engine
from .registry import features_from_canonical
from .rows import RowWriter, parse_emission


def main() -> int:
    """Run; the status is 1 when a case differs."""
    parser = argparse.ArgumentParser(prog="featureplane_reference", description=__doc__)
    parser.add_argument("packets", nargs="?", type=Path, help="packet log, .ndjson or .ndjson.gz")
    parser.add_argument("out", nargs="?", type=Path, help="where the frames go")
    parser.add_argument("--emit", default="packet", help="packet, trade, step:NS or trade-or-step:NS")
    parser.add_argument("--rows", type=Path, help="where the rows go, as NDJSON")
    parser.add_argument("--bars", help="durations in ns, separated by commas; OUT gets the bars as NDJSON")
    parser.add_argument("--empty-bars", action="store_true", help="write bars without frames, too")
    parser.add_argument("--cases", type=Path, help="run the cases of this directory instead")
    args = parser.parse_args()
    if args.cases:
        return run_cases(args.cases)
    if args.packets is None or args.out is None:
        parser.error("PACKETS and OUT are needed")
    if args.bars:
        durations = [int(each) for each in args.bars.split(",")]
        run_bars(args.packets, args.out, durations, empty=args.empty_bars)
        return 0
    try:
        parse_emission(args.emit)
    except ValueError as error:
        parser.error(str(error))
    run_log(args.packets, args.out, args.emit, args.rows)
    return 0


def run_log(packets_path: Path, out_path: Path, emission: str, rows_path: Path | None) -> None:
    """Write the frames, and the rows if they are wanted, of one packet log."""
    header, packets = packet_log.read(packets_path)
    engine = Engine(header.instrument, features_from_canonical(header.feature_set), header.schema_hash)
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(out_path.open("wb"))
        if rows_path is not None:
            rows = stack.enter_context(rows_path.open("w", encoding="utf-8", newline="\n"))
            RowWriter(engine, emission, lambda row: rows.write(row.to_json() + "\n"))
        for packet in packets:
            frame = engine.push(packet)
            if frame is not None:
                out.write(frame.pack())


def run_bars(packets_path: Path, out_path: Path, durations: list[int], *, empty: bool) -> None:
    """Write the bars of a packet log of the set ``bars_v1``, in the order in which they end."""
    header, packets = packet_log.read(packets_path)
    engine = Engine(header.instrument, features_from_canonical(header.feature_set), header.schema_hash)
    with out_path.open("w", encoding="utf-8", newline="\n") as out:
        bars = BarWriter(engine, durations, empty=empty, sink=lambda line: print(line, file=out))
        for packet in packets:
            bars.push(packet, engine.push(packet))
        bars.flush()


def run_cases(directory: Path) -> int:
    """Run every case and print what differs."""
    count = failed = 0
    for name, case in cases.load_all(directory):
        wrong = cases.run(case)
        count += 1
        failed += bool(wrong)
        for line in wrong:
            print(f"{name}: {line}")
    print(f"{count} cases, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
