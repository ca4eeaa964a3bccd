"""Files in, rows out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from featureplane import _lib
from featureplane._convert import Features, Size, Time, features_text, size_text, time_text
from featureplane.table import FeatureTable

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
ProgressCallback: TypeAlias = Callable[[str, int, int, int], object]

__all__ = ["extract", "extract_to_file"]


def extract(
    inputs: Paths,
    *,
    format: str = "auto",
    symbol: str | Sequence[str] | None = None,
    features: Features = "core_v1",
    emit: str = "packet",
    bars: str | Sequence[str] | None = None,
    empty_bars: bool = False,
    start: Time | None = None,
    end: Time | None = None,
    tick_size: Size | None = None,
    lot_size: Size | None = None,
    initial_snapshot: str | os.PathLike[str] | None = None,
    snapshot_every: str | None = None,
    snapshots: str | os.PathLike[str] | None = None,
    warm_start: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: bool | ProgressCallback | None = None,
) -> FeatureTable:
    """Compute features of recorded market data.

    Other Python threads run meanwhile, and Ctrl-C stops the call within a tenth of a second.

    Parameters
    ----------
    inputs
        File, or files of one stream in order.
    format
        ``"auto"`` recognises the content; a name (``"binance"``, ``"lobster"``, ...) insists.
    symbol
        Symbol to read; needed when the input holds several. With a sequence, the symbols are read in
        parallel and their rows follow each other.
    features
        Id of a built-in set, path of a ``.json`` file, JSON text, or a dict of the same shape.
    emit
        When a row is written: ``"packet"``, ``"trade"``, ``"step:1s"`` or ``"trade-or-step:250ms"``.
    bars
        Durations of bars beside the rows, such as ``"60s"`` or ``["1s", "60s"]``: `FeatureTable.bars`.
    empty_bars
        Write bars in which nothing happened, too.
    start, end
        Range of event time in which rows are written, end exclusive: UTC ns, ISO text or datetime
        (without a zone: UTC). State is built from the start of the input all the same, or from a snapshot.
    tick_size, lot_size
        Decimal text or `decimal.Decimal`; inferred from the input when None.
    initial_snapshot
        Book before the first row (hftbacktest only).
    snapshot_every, snapshots
        Write the state into the folder ``snapshots`` each time that so much event time has passed, such
        as ``"10m"``.
    warm_start
        Folder of such snapshots: with `start`, state is taken from the newest usable one before it, and
        the rows are those of a run from the start of the input. ``table.summary["warm_start"]`` says
        which one, and why newer ones were refused.
    jobs
        Symbols read at the same time; None takes one per core.
    progress
        Called in this thread with ``(symbol, bytes_read, bytes_total, rows)`` several times a second at
        most 50; True shows a bar when tqdm is installed. An exception in it stops the call.

    Returns
    -------
    FeatureTable
        At least one row.

    Raises
    ------
    ConfigError
        An option or the feature set is wrong; all faults of a set are listed.
    DecodeError
        An input is damaged or of another format; ``path``, ``line``, ``offset`` and ``symbol`` say where.
    InputError
        An input cannot be opened.
    UnknownSymbolError
        The input does not hold the symbol.
    FeatureError
        The range or the emission gives no row.

    Examples
    --------
    >>> import featureplane as fp
    >>> table = fp.extract(example_log, features="lob_shared_v1", emit="packet")
    >>> table.summary["rows"]
    3
    """
    request = _request(inputs, format, symbol, features, emit, start, end)
    request |= {
        "bars": _durations(bars),
        "empty_bars": empty_bars,
        "tick_size": size_text(tick_size, "tick_size"),
        "lot_size": size_text(lot_size, "lot_size"),
        "initial_snapshot": _path_text(initial_snapshot),
        "snapshot_every": snapshot_every,
        "snapshots": _path_text(snapshots),
        "warm_start": _path_text(warm_start),
        "jobs": jobs,
    }
    return FeatureTable(_run(request, progress))


def extract_to_file(
    inputs: Paths,
    out: str | os.PathLike[str],
    *,
    compression: Literal["zstd", "snappy", "none"] = "zstd",
    overwrite: bool = False,
    format: str = "auto",
    symbol: str | None = None,
    features: Features = "core_v1",
    emit: str = "packet",
    bars: str | Sequence[str] | None = None,
    empty_bars: bool = False,
    start: Time | None = None,
    end: Time | None = None,
    tick_size: Size | None = None,
    lot_size: Size | None = None,
    initial_snapshot: str | os.PathLike[str] | None = None,
    snapshot_every: str | None = None,
    snapshots: str | os.PathLike[str] | None = None,
    warm_start: str | os.PathLike[str] | None = None,
    bars_out: str | os.PathLike[str] | None = None,
    progress: bool | ProgressCallback | None = None,
) -> dict[str, Any]:
    """Compute features of recorded market data and write them to a file, in constant memory.

    The file appears whole or not at all.

    Parameters
    ----------
    inputs, format, symbol, features, emit, bars, empty_bars, start, end, tick_size, lot_size, \
initial_snapshot, snapshot_every, snapshots, warm_start, progress
        As for `extract`.
    out
        File ending in ``.parquet``, ``.arrow``, ``.feather``, ``.ipc`` or ``.csv``.
    compression
        Codec of Parquet pages: ``"zstd"``, ``"snappy"`` or ``"none"``.
    overwrite
        Replace a file that exists, once the new one is complete.
    bars_out
        File of the bars, with ``{bar}`` where the duration goes; ``day.parquet`` has
        ``day.bars-60s.parquet`` beside it when None.

    Returns
    -------
    dict
        What was read, made and refused.

    Raises
    ------
    OutputError
        The file exists, its ending is unknown, or the system refused.
    FeatureError
        As `extract`.

    Examples
    --------
    >>> import featureplane as fp
    >>> fp.extract_to_file(example_log, example_folder / "rows.parquet", features="lob_shared_v1")["rows"]
    3
    """
    request = _request(inputs, format, symbol, features, emit, start, end)
    request |= {
        "bars": _durations(bars),
        "empty_bars": empty_bars,
        "tick_size": size_text(tick_size, "tick_size"),
        "lot_size": size_text(lot_size, "lot_size"),
        "initial_snapshot": _path_text(initial_snapshot),
        "snapshot_every": snapshot_every,
        "snapshots": _path_text(snapshots),
        "warm_start": _path_text(warm_start),
        "out": os.fspath(out),
        "bars_out": _path_text(bars_out),
        "compression": compression,
        "overwrite": overwrite,
    }
    return _run(request, progress).summaries()[0]


def _request(
    inputs: Paths,
    format: str,
    symbol: str | Sequence[str] | None,
    features: Features,
    emit: str,
    start: Time | None,
    end: Time | None,
) -> dict[str, Any]:
    """Options that all extractions share, and the defaults of the others."""
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    symbols = [] if symbol is None else [symbol] if isinstance(symbol, str) else list(symbol)
    return {
        "inputs": [os.fspath(path) for path in paths],
        "format": format,
        "symbols": symbols,
        "features": features_text(features),
        "emit": emit,
        "start": time_text(start),
        "end": time_text(end),
        "bars": [],
        "empty_bars": False,
        "bars_out": None,
        "model": None,
        "snapshot_every": None,
        "snapshots": None,
        "warm_start": None,
        "jobs": None,
        "out": None,
        "compression": "zstd",
        "overwrite": False,
    }


def _path_text(path: str | os.PathLike[str] | None) -> str | None:
    """A path as text, if there is one."""
    return None if path is None else os.fspath(path)


def _durations(bars: str | Sequence[str] | None) -> list[str]:
    return [] if bars is None else [bars] if isinstance(bars, str) else list(bars)


def _run(request: dict[str, Any], progress: bool | ProgressCallback | None) -> _lib.RawTable:
    if progress is None or progress is False:
        return _lib.extract(request, None)
    if progress is not True:
        return _lib.extract(request, progress)
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return _lib.extract(request, None)
    with tqdm(unit="B", unit_scale=True) as bar:

        def show(symbol: str, read: int, total: int, rows: int) -> None:
            bar.total = total
            bar.set_postfix_str(f"{symbol}: {rows} rows", refresh=False)
            bar.update(read - bar.n)

        return _lib.extract(request, show)
