"""Recordings of a synthetic market, from a seed."""

from __future__ import annotations

import os
from typing import Literal

from featureplane import _lib

__all__ = ["write_synthetic"]


def write_synthetic(
    path: str | os.PathLike[str],
    *,
    kind: Literal["binance", "hftbacktest", "events"] = "binance",
    seed: int = 1,
    duration_s: float = 60.0,
    gaps: int = 0,
    crossed: int = 0,
    duplicates: int = 0,
    reorders: int = 0,
    overwrite: bool = False,
) -> int:
    """Write the recording of a synthetic market and return its number of rows.

    The same arguments give the same bytes on every machine.

    Parameters
    ----------
    path
        File to write; ``.gz`` packs text formats, hftbacktest needs ``.npz``.
    kind
        Format.
    seed
        Seed of the market.
    duration_s
        Length in event time, seconds.
    gaps, crossed, duplicates, reorders
        Faults to put in: lost diffs, diffs that cross the book, diffs that arrive twice, pairs in wrong
        order.
    overwrite
        Replace a file that exists.

    Raises
    ------
    OutputError
        The file exists, or the system refused.
    ConfigError
        An argument is out of range.

    Examples
    --------
    >>> write_synthetic(example_folder / "day.gz", duration_s=2.0) > 40
    True
    """
    faults = (gaps, crossed, duplicates, reorders)
    return _lib.write_synthetic(os.fspath(path), kind, seed, round(duration_s * 1e9), faults, overwrite)
