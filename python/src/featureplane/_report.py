"""One page about a table of features."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from featureplane import _page
from featureplane.quality import QualityFlags

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

__all__ = ["report"]

#: Columns of every table that are no features.
_FIXED = ("symbol", "ts_event", "ts_recv", "seq", "epoch", "quality_flags", "warmup_ready")
#: Spans of time over which coverage, flags and drift are shown.
_SPANS = 40
_BINS = 60


def report(table: Any, path: str | os.PathLike[str], *, title: str = "Feature table") -> None:
    """Write one HTML page about a table: coverage, flags over time, distributions, correlations, drift.

    Parameters
    ----------
    table
        A `FeatureTable`, or any Arrow table with its columns, such as a Parquet file that `extract` wrote and
        Polars read. At least one row.
    path
        The page; it has no links and is replaced when it exists.
    title
        Heading of the page.

    Raises
    ------
    ValueError
        The table has no rows, or none of the columns of a feature table.

    Notes
    -----
    Needs ``polars`` and ``matplotlib`` (``pip install featureplane[report]``). Integer features are shown as
    they are stored. *Drift* is the mean of a span of time minus that of the whole table, in standard
    deviations of the whole table. Correlations are those of Pearson over the rows where both columns have a
    value.

    Examples
    --------
    >>> import featureplane as fp
    >>> fp.report(fp.extract(example_log, features="lob_shared_v1"), example_log.with_suffix(".html"))
    """
    import polars as pl

    frame = pl.DataFrame(table)
    features = [name for name in frame.columns if name not in _FIXED]
    missing = [name for name in ("ts_event", "quality_flags") if name not in frame.columns]
    if missing or not features:
        raise ValueError(f"not a feature table: {', '.join(missing) or 'feature columns'} missing")
    if frame.is_empty():
        raise ValueError("the table has no rows")
    values = frame.select(pl.col(features).cast(pl.Float64))
    spans = _spans(frame)
    body = [
        _page.table(["", "value"], _facts(frame, features)),
        "<h2>Coverage and distributions</h2>",
        _page.table(
            ["feature", "null %", "mean", "std", "min", "1 %", "50 %", "99 %", "max"], _statistics(values)
        ),
        "<h2>Where values are missing</h2>",
        _page.drawing(_heat(_nulls(values, spans), features, "share of nulls", (0.0, 1.0), "Greys")),
        "<h2>Quality flags over time</h2>",
        _flags(frame, spans),
        "<h2>Distributions</h2>",
        _page.drawing(_histograms(values)),
        "<h2>Correlations</h2>",
        _page.drawing(_correlations(values)),
        "<h2>Drift</h2>",
        _page.drawing(_heat(_drift(values, spans), features, "standard deviations", (-2.0, 2.0), "RdBu_r")),
    ]
    _page.write(path, title, body)


def _spans(frame: pl.DataFrame) -> pl.Series:
    """Number of the span of each row: equal lengths of time, from 0."""
    import polars as pl

    time = frame["ts_event"].cast(pl.Int64).cum_max()
    first, last = int(time[0]), int(time[-1])
    spans: pl.Series = (time - first) * _SPANS // (last - first + 1)
    return spans.alias("span")


def _facts(frame: pl.DataFrame, features: list[str]) -> list[list[str]]:
    symbols = frame["symbol"].unique().sort().to_list() if "symbol" in frame.columns else []
    facts = [
        ["rows", f"{frame.height:,}"],
        ["features", str(len(features))],
        ["symbols", ", ".join(map(str, symbols))],
        ["from", str(frame["ts_event"].min())],
        ["to", str(frame["ts_event"].max())],
    ]
    if "epoch" in frame.columns:
        facts.append(["sessions", str(frame["epoch"].n_unique())])
    if "warmup_ready" in frame.columns:
        facts.append(["rows whose windows are full", f"{_share(frame['warmup_ready'])}"])
    flagged = frame["quality_flags"] != 0
    return [*facts, ["rows with a quality flag", f"{_share(flagged)}"]]


def _share(of: pl.Series) -> str:
    return f"{int(of.sum()):,} ({100 * int(of.sum()) / len(of):.2f} %)"


def _statistics(values: pl.DataFrame) -> list[list[str]]:
    rows = []
    for series in values:
        present = series.drop_nulls()
        quantiles = [present.quantile(q, "nearest") for q in (0.0, 0.01, 0.5, 0.99, 1.0)]
        numbers = [present.mean(), present.std(), *quantiles]
        nulls = f"{100 * series.null_count() / len(series):.2f}"
        rows.append([series.name, nulls, *(_number(number) for number in numbers)])
    return rows


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}"


def _by_span(values: pl.DataFrame, spans: pl.Series, expression: pl.Expr) -> list[list[float]]:
    """One list per column with a number per span; spans without rows, or without values, are NaN."""
    import polars as pl

    grouped = values.with_columns(spans).group_by("span").agg(expression)
    every = pl.DataFrame({"span": range(_SPANS)}, schema={"span": spans.dtype})
    filled = every.join(grouped, on="span", how="left").sort("span").drop("span")
    return [series.cast(pl.Float64).fill_null(float("nan")).to_list() for series in filled]


def _nulls(values: pl.DataFrame, spans: pl.Series) -> list[list[float]]:
    import polars as pl

    return _by_span(values, spans, pl.all().is_null().mean())


def _drift(values: pl.DataFrame, spans: pl.Series) -> list[list[float]]:
    import polars as pl

    scaled = values.select((pl.all() - pl.all().mean()) / pl.all().std())
    return _by_span(scaled.fill_nan(0.0), spans, pl.all().mean())


def _heat(
    rows: list[list[float]], names: list[str], label: str, limits: tuple[float, float], colours: str
) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 1.0 + 0.16 * len(names)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        rows, aspect="auto", interpolation="nearest", cmap=colours, vmin=limits[0], vmax=limits[1]
    )
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xticks([])
    axes.set_xlabel("time, from the first to the last row")
    figure.colorbar(image, ax=axes, label=label)
    return figure


def _flags(frame: pl.DataFrame, spans: pl.Series) -> str:
    from matplotlib.figure import Figure

    counts: dict[str, list[int]] = {}
    for flag in QualityFlags:
        rows = frame["quality_flags"] & int(flag) != 0
        if rows.any():
            found = spans.filter(rows).value_counts()
            by_span = dict(zip(found["span"].to_list(), found["count"].to_list(), strict=True))
            counts[str(flag.name)] = [by_span.get(span, 0) for span in range(_SPANS)]
    if not counts:
        return "<p>No row carries a flag.</p>"
    figure = Figure(figsize=(11.0, 3.0), layout="constrained")
    axes = figure.subplots()
    below = [0] * _SPANS
    for name, rows_of in counts.items():
        axes.bar(range(_SPANS), rows_of, bottom=below, width=1.0, label=f"{name} ({sum(rows_of):,})")
        below = [a + b for a, b in zip(below, rows_of, strict=True)]
    axes.set(xlabel="time, from the first to the last row", ylabel="rows", xticks=[])
    axes.legend(fontsize=8)
    return _page.drawing(figure)


def _histograms(values: pl.DataFrame) -> Figure:
    import numpy as np
    from matplotlib.figure import Figure

    columns = 5
    lines = -(-values.width // columns)
    figure = Figure(figsize=(11.0, 1.3 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
        axes.set_visible(False)
    for axes, series in zip(grid.flat, values, strict=False):
        present = series.drop_nulls()
        axes.set_visible(True)
        axes.set_title(series.name, fontsize=6)
        low, high = present.quantile(0.005, "nearest"), present.quantile(0.995, "nearest")
        if low is not None and high is not None:
            counts, edges = np.histogram(present.to_numpy(), bins=_BINS, range=(low, high))
            axes.stairs(counts, edges, fill=True, color="#1f4e79")
            axes.set_xticks([low, high], [_number(low), _number(high)])
    return figure


def _correlations(values: pl.DataFrame) -> Figure:
    import polars as pl

    names = values.columns
    pairs = values.select(
        pl.corr(a, b).alias(f"{i},{j}") for i, a in enumerate(names) for j, b in enumerate(names) if i < j
    )
    found = pairs.row(0, named=True) if pairs.width else {}
    matrix = [[1.0] * len(names) for _ in names]
    for key, value in found.items():
        i, j = map(int, key.split(","))
        matrix[i][j] = matrix[j][i] = float("nan") if value is None else value
    return _matrix(matrix, names)


def _matrix(matrix: list[list[float]], names: list[str]) -> Figure:
    from matplotlib.figure import Figure

    side = 2.0 + 0.14 * len(names)
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure
