"""Train, export, score and backtest a model on a synthetic day. Usage: demo_models.py FOLDER."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

import featureplane as fp
from featureplane import models
from featureplane.backtest import Rules, over_table, write_report
from featureplane.backtest.hft import in_hftbacktest
from featureplane.live import LatestFrames

SET, TICK, LOT = "l2_linear_v1", "0.1", "0.001"
DURATION_S = 900.0
STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def trained(day: Path, out: Path) -> tuple[models.Dataset, models.LinearModel, np.ndarray]:
    """Export a calibrated model and say what it is worth; also the rows that it never saw."""
    table = fp.extract(day, features=SET, tick_size=TICK, lot_size=LOT)
    dataset = models.build_dataset(table, timedelta(milliseconds=500))
    (train, held), (_, unseen) = models.purged_splits(dataset, 2, embargo=timedelta(milliseconds=50))
    say(f"{table.num_rows} packets, {len(dataset.returns)} complete rows, {len(train)} of them to train on")
    pipeline = models.train_classifier(dataset, train)
    calibration = models.fit_calibration(pipeline, dataset, held)
    model = models.export_linear(pipeline, dataset, train, out, calibration=calibration)
    for name, fitted in [("as trained", pipeline), ("calibrated", model)]:
        worth = models.report(fitted, dataset, unseen)
        say(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in worth.items()))
    return dataset, model, unseen


def wrong_scores(scored: fp.FeatureTable, model: models.LinearModel) -> tuple[int, int]:
    """Count the scores of the engine, and those that the scalar reference gives in other bits."""
    frame = scored.to_polars()
    columns = []
    for name in model.features:
        divisor = scored.column_metadata(name).get("divide_by")
        values = frame[name].to_list()
        columns.append([x if x is None or divisor is None else x / float(divisor) for x in values])
    count = wrong = 0
    rows = zip(zip(*columns, strict=True), *(frame[name] for name in model.outputs), strict=True)
    for inputs, *have in rows:
        if have[0] is not None:
            want = model.score(inputs)
            count += 1
            wrong += want is None or struct.pack("<3d", *want) != struct.pack("<3d", *have)
    return count, wrong


def wrong_live_scores(
    day: Path, file: Path, latest: Path, scored: fp.FeatureTable, names: list[str]
) -> tuple[int, int]:
    """Run feed, ring and worker in a process of their own and read along; count reads and wrong ones."""
    frame = scored.to_polars()
    keys = zip(frame["epoch"], frame["seq"], strict=True)
    want = dict(zip(keys, frame.select(names).iter_rows(), strict=True))
    options = ["--tick-size", TICK, "--lot-size", LOT, "--model", file, "--latest", latest, "--pace", "400x"]
    command = [sys.executable, "-m", "featureplane", "live", "--feed", f"replay:{day}", "--set", SET, "--json"]
    latest.unlink(missing_ok=True)
    seen = wrong = 0
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        while not latest.exists() and process.poll() is None:
            time.sleep(0.01)
        with LatestFrames(latest, SET) as frames:
            is_over = False
            while not is_over:
                is_over = process.poll() is not None
                if (last := frames.read(frames.symbols[0])) is None:
                    continue
                row = want[int(last.frame["epoch"]), int(last.frame["seq"])]
                have = None if last.scores is None else tuple(last.scores.values())
                seen += have is not None
                wrong += (None if row[0] is None else row) != have
        said, _ = process.communicate()
    told = json.loads(said)
    times = told["to_end_ns"]
    say(f"live: {told['packets']} packets, {told['symbols'][0]['scores']} scores, packet to score "
        f"p50 {times['p50']} ns, p99 {times['p99']} ns")
    all_scored = told["symbols"][0]["scores"] == sum(row[0] is not None for row in want.values())
    return seen, wrong + (process.returncode != 0) + (not all_scored)


def main(folder: Path) -> int:
    """Run the demo; 0 when scores and signals agree."""
    folder.mkdir(parents=True, exist_ok=True)
    day, file, page = folder / "day.npz", folder / "model.json", folder / "backtest.html"
    fp.write_synthetic(day, kind="hftbacktest", seed=7, duration_s=DURATION_S, overwrite=True)
    say(f"wrote {DURATION_S:.0f} s of a synthetic market to {day}")
    dataset, model, unseen = trained(day, file)
    scored = models.score(day, file, format="hftbacktest", tick_size=TICK, lot_size=LOT)
    count, wrong = wrong_scores(scored, model)
    say(f"{count} scores of the engine, {wrong} with other bits than the reference in Python")
    live, wrong_live = wrong_live_scores(day, file, folder / "latest", scored, list(model.outputs))
    say(f"{live} reads of the latest frame by another process, {wrong_live} with other scores than the table")
    begin = int(dataset.times_ns[unseen[0]])
    rules = Rules(enter=0.1, leave=0.02, quantity=0.001, tick_size=float(TICK), start_ns=begin)
    runs = [over_table(scored, model, rules), in_hftbacktest(str(day), file, rules, lot_size=float(LOT))]
    same = write_report(
        page, model, rules, runs, charts={"On rows it never saw": models.plot(model, dataset, unseen)}
    )
    for run in runs:
        say(f"{run.name}: {run.trades} trades, profit {run.profit:.4f} after fees of {run.fees:.4f}")
    say(f"signals are {'the same' if same else 'DIFFERENT'} at {len(runs[0].times_ns)} times; see {page}")
    return 0 if same and wrong == wrong_live == 0 and count > 0 and live > 0 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
