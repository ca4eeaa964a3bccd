"""Polars expressions for what belongs after extraction: labels and counts over windows.

Every expression works on a table of one symbol in the order in which it was extracted. Time is the
running maximum of ``ts_event``, since exchange times of single packets may step back. Windows are
half-open: ``(t - window, t]`` looks back, ``(t, t + horizon]`` is what a label looks at.

Needs the extra ``polars``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import polars as pl

__all__ = ["forward_return", "shock_count", "sign_persistence"]


def _clock(time: str) -> pl.Expr:
    return pl.col(time).cum_max()


def _positive(name: str, span: timedelta) -> timedelta:
    if span <= timedelta(0):
        raise ValueError(f"{name} must be longer than 0, not {span}")
    return span


def forward_return(
    horizon: timedelta,
    *,
    price: str = "mid",
    kind: Literal["log", "simple"] = "log",
    time: str = "ts_event",
    epoch: str = "epoch",
) -> pl.Expr:
    """Return from each row's price to the last price at most ``horizon`` later.

    Parameters
    ----------
    horizon
        How far ahead the label looks; longer than 0.
    price
        Column of prices (not of ticks: ratios of scaled integers are the same).
    kind
        ``log`` for ``ln(later / now)``, ``simple`` for ``later / now - 1``.
    time, epoch
        Columns with the event time and the session number.

    Returns
    -------
    polars.Expr
        ``f64``. Null where the price is null, where the table ends before ``t + horizon`` (the label
        is not known yet), and where another session begins before it. 0 when nothing changed.

    Examples
    --------
    >>> from datetime import datetime, timedelta
    >>> import polars as pl
    >>> from featureplane.polars import forward_return
    >>> start = datetime(2024, 8, 8)
    >>> rows = {"ts_event": [start + timedelta(seconds=s) for s in (0, 1, 2, 4)],
    ...         "epoch": [0, 0, 0, 0], "mid": [100.0, 101.0, 100.0, 102.0]}
    >>> pl.DataFrame(rows).select(forward_return(timedelta(seconds=2), kind="simple"))["mid"].to_list()
    [0.0, -0.00990099009900991, 0.020000000000000018, None]
    """
    _positive("horizon", horizon)
    clock = _clock(time)

    def last_within(column: str) -> pl.Expr:
        ahead = pl.col(column).drop_nulls().last()
        return ahead.rolling(clock, period=horizon, offset=timedelta(0), closed="right")

    now = pl.col(price)
    later = last_within(price).fill_null(now)
    same_epoch = last_within(epoch).fill_null(pl.col(epoch)) == pl.col(epoch)
    is_known = (clock + horizon <= pl.col(time).max()) & same_epoch
    ratio = later / now
    value = ratio.log() if kind == "log" else ratio - 1.0
    return pl.when(is_known & now.is_not_null()).then(value).alias(price)


def shock_count(
    column: str,
    threshold: float,
    window: timedelta,
    *,
    side: Literal["above", "below", "either"] = "above",
    time: str = "ts_event",
) -> pl.Expr:
    """Number of rows in ``(t - window, t]`` at which a column was beyond a threshold.

    Beyond is strict: ``x > threshold``, ``x < -threshold``, or ``abs(x) > threshold`` by ``side``. Rows
    with null are not counted. The streaming column of this name counts packets; this counts the rows
    of any table, such as one per second.

    Examples
    --------
    >>> from datetime import datetime, timedelta
    >>> import polars as pl
    >>> from featureplane.polars import shock_count
    >>> start = datetime(2024, 8, 8)
    >>> frame = pl.DataFrame({"ts_event": [start + timedelta(seconds=s) for s in (0, 1, 2)],
    ...                       "oib": [0.9, -0.95, 0.1]})
    >>> frame.select(shock_count("oib", 0.5, timedelta(seconds=2), side="either"))["oib"].to_list()
    [1, 2, 1]
    """
    _positive("window", window)
    x = pl.col(column)
    beyond = {"above": x > threshold, "below": x < -threshold, "either": x.abs() > threshold}[side]
    count = beyond.fill_null(value=False).sum().cast(pl.Int64)
    return count.rolling(_clock(time), period=window).alias(column)


def sign_persistence(
    column: str, window: timedelta, *, time: str = "ts_event", epoch: str = "epoch"
) -> pl.Expr:
    """Share of the rows in ``(t - window, t]`` that kept the sign of the row before, 0 to 1.

    The sign is -1, 0 or 1. Rows with null are passed over; the first row of a session is compared with
    nothing and counts on neither side. Null while no row of the window was compared.

    Examples
    --------
    >>> from datetime import datetime, timedelta
    >>> import polars as pl
    >>> from featureplane.polars import sign_persistence
    >>> start = datetime(2024, 8, 8)
    >>> frame = pl.DataFrame({"ts_event": [start + timedelta(seconds=s) for s in (0, 1, 2)],
    ...                       "epoch": [0, 0, 0], "oib": [0.9, -0.95, -0.1]})
    >>> frame.select(sign_persistence("oib", timedelta(seconds=3)))["oib"].to_list()
    [None, 0.0, 0.5]
    """
    _positive("window", window)
    sign = pl.col(column).sign()
    session = pl.when(sign.is_not_null()).then(pl.col(epoch))
    before, session_before = sign.forward_fill().shift(1), session.forward_fill().shift(1)
    # Null, and so counted nowhere, when there is nothing to compare with.
    kept = pl.when(session == session_before).then(sign == before).cast(pl.Float64)
    return kept.rolling_mean_by(_clock(time), window).alias(column)
