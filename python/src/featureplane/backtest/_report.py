"""One page about the backtests of a model."""

from __future__ import annotations

import html
import io
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featureplane._linear import LinearModel
from featureplane.backtest._rules import Rules, Run, differences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_report"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
td, th { border-bottom: 1px solid #ddd; padding: 0.2rem 1rem 0.2rem 0; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.same { background: #e4f4e4; padding: 0.6rem 1rem; }
.different { background: #fbe0e0; padding: 0.6rem 1rem; }
svg { max-width: 100%; height: auto; }
"""


def write_report(
    path: str | os.PathLike[str],
    model: LinearModel,
    rules: Rules,
    runs: Sequence[Run],
    *,
    charts: Mapping[str, Figure] | None = None,
) -> bool:
    """Write one HTML page without links: signals compared, results, fees, latency, profit and loss.

    Parameters
    ----------
    runs
        The first is compared with each of the others.
    charts
        More charts by title, such as `featureplane.models.plot`. Needs ``matplotlib``.

    Returns
    -------
    bool
        Whether every signal of every run is the same.
    """
    first, found = runs[0], [line for other in runs[1:] for line in differences(runs[0], other)]
    drawn = {"Profit and loss": _profit(runs), **(charts or {})}
    body = [
        "<h1>Backtest</h1>",
        _verdict(runs, found),
        "<h2>Results</h2>",
        _results(runs),
        *(f"<h2>{html.escape(title)}</h2>{_svg(figure)}" for title, figure in drawn.items()),
        "<h2>Rules and costs</h2>",
        _pairs(_settings(rules)),
        "<h2>Model</h2>",
        _pairs(_origin(model, rules, first)),
    ]
    head = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Backtest</title><style>{_STYLE}</style>"
    )
    Path(path).write_text(head + "\n".join(body) + "</html>\n", encoding="utf-8")
    return not found


def _verdict(runs: Sequence[Run], found: Sequence[str]) -> str:
    if found:
        lines = "<br>".join(map(html.escape, found))
        return f"<p class='different'><b>The signals differ.</b><br>{lines}</p>"
    if len(runs) == 1:
        return "<p>One run; nothing checks it.</p>"
    first, names = runs[0], html.escape(" and ".join(run.name for run in runs))
    seen = f"{len(first.times_ns):,} times, {int(first.packets[-1]):,} packets"
    return f"<p class='same'>{names}: every score and signal is the same at all {seen}, bit for bit.</p>"


def _results(runs: Sequence[Run]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("trades", [f"{run.trades:,}" for run in runs]),
        ("profit before fees", [f"{run.profit + run.fees:,.4f}" for run in runs]),
        ("fees", [f"{run.fees:,.4f}" for run in runs]),
        ("profit after fees", [f"{run.profit:,.4f}" for run in runs]),
        ("deepest fall", [f"{_fall(run):,.4f}" for run in runs]),
        ("position at the end", [f"{run.position:,.6g}" for run in runs]),
    ]
    names = "".join(f"<th class='number'>{html.escape(run.name)}</th>" for run in runs)
    lines = [
        f"<tr><td>{name}</td>" + "".join(f"<td class='number'>{text}</td>" for text in texts) + "</tr>"
        for name, texts in rows
    ]
    return f"<table><tr><th>in units of the quote</th>{names}</tr>{''.join(lines)}</table>"


def _fall(run: Run) -> float:
    import numpy as np

    return float(np.max(np.maximum.accumulate(run.equity) - run.equity))


def _settings(rules: Rules) -> dict[str, str]:
    return {
        "enter, leave": f"edge beyond {rules.enter:g}, within {rules.leave:g}",
        "position": f"{rules.quantity:g}",
        "order": f"takes the other side, at most {rules.collar_ticks} ticks of {rules.tick_size:g} beyond it",
        "fee": f"{rules.taker_fee * 1e4:g} bp of the traded value",
        "latency": f"{rules.entry_ns / 1e6:g} ms to the exchange, {rules.response_ns / 1e6:g} ms back",
    }


def _origin(model: LinearModel, rules: Rules, run: Run) -> dict[str, str]:
    start, end, rows = model.training
    opened = max(rules.start_ns, int(run.times_ns[0]))
    is_later = rows > 0 and end < opened
    return {
        "feature set": f"{model.feature_set_id} ({len(model.features)} columns), schema {model.schema_hash}",
        "scores": ", ".join(model.outputs),
        "checksum": model.checksum,
        "trained on": f"{rows:,} rows, {_utc(start)} to {_utc(end)}" if rows else "unknown",
        "tested on": f"{_utc(opened)} to {_utc(int(run.times_ns[-1]))}"
        + ("" if is_later or not rows else ": <b>not after the training alone</b>"),
    }


def _utc(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _pairs(pairs: Mapping[str, str]) -> str:
    return "<table>" + "".join(f"<tr><td>{a}</td><td>{b}</td></tr>" for a, b in pairs.items()) + "</table>"


def _profit(runs: Sequence[Run]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.5), layout="constrained")
    money, wanted = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    first = runs[0]
    money.axhline(0.0, color="0.7", linewidth=1)
    money.plot(_seconds(first), first.equity + first.paid, color="0.6", label=f"{first.name}, before fees")
    for run, style in zip(runs, ("-", "--", ":"), strict=False):
        money.plot(_seconds(run), run.equity, style, label=run.name)
        wanted.step(_seconds(run), run.targets, style, where="post", linewidth=1)
    money.set(ylabel="profit, units of the quote")
    money.legend()
    wanted.set(xlabel="seconds", ylabel="signal", yticks=(-1, 0, 1), ylim=(-1.2, 1.2))
    return figure


def _seconds(run: Run) -> Any:
    return (run.times_ns - run.times_ns[0]) / 1e9


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    # Without a date the same runs give the same page.
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
