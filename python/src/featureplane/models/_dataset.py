"""Datasets of extracted tables, and splits whose labels have nothing in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featureplane.table import FeatureTable

if TYPE_CHECKING:
    import numpy as np

    Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
    Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_FIXED_COLUMNS = 7


@dataclass(frozen=True)
class Dataset:
    """Rows that are complete: every input valid and ready, and the label known.

    Attributes
    ----------
    inputs
        Shape ``(rows, features)``, in units.
    returns
        Forward return of each row.
    times_ns
        Window clock of each row (the running maximum of event time), UTC ns.
    horizon_ns
        How far a label looks ahead.
    threshold
        What a return must exceed to be ``up``, or fall below to be ``down``; 0 or more.
    feature_set_id, schema_hash, features
        The columns that the inputs are.
    """

    inputs: Floats
    returns: Floats
    times_ns: Ints
    horizon_ns: int
    threshold: float
    feature_set_id: str
    schema_hash: str
    features: tuple[str, ...]

    @property
    def classes(self) -> Any:
        """Direction of each return: ``down``, ``flat`` or ``up``."""
        import numpy as np

        names = np.where(self.returns < -self.threshold, "down", "flat")
        return np.where(self.returns > self.threshold, "up", names)


def build_dataset(
    table: FeatureTable,
    horizon: timedelta,
    *,
    price: str = "mid",
    kind: Literal["log", "simple"] = "log",
    threshold: float = 0.0,
) -> Dataset:
    """Make inputs and labels of an extracted table of one symbol.

    Parameters
    ----------
    table
        Rows of `featureplane.extract`; all columns of its set are inputs.
    horizon
        How far the label looks ahead: the return to the last price in ``(t, t + horizon]``.
    price, kind
        As for `featureplane.polars.forward_return`. The label is computed before incomplete rows are
        dropped, so that dropping them moves no label.
    threshold
        Returns within it are ``flat``.

    Raises
    ------
    ValueError
        No row is complete, or the threshold is negative.
    """
    import polars as pl

    if threshold < 0.0:
        raise ValueError(f"expected a threshold of 0 or more, got {threshold}")
    from featureplane.polars import forward_return

    frame = pl.DataFrame(table)
    features = table.column_names[_FIXED_COLUMNS:]
    divisors = [table.column_metadata(name).get("divide_by") for name in features]
    inputs = [
        pl.col(name).cast(pl.Float64) / float(divisor) if divisor else pl.col(name).cast(pl.Float64)
        for name, divisor in zip(features, divisors, strict=True)
    ]
    clock = pl.col("ts_event").cum_max().dt.timestamp("ns")
    label = forward_return(horizon, price=price, kind=kind)
    made = frame.select(
        *(x.alias(f"x{index}") for index, x in enumerate(inputs)),
        label.alias("label"), clock.alias("clock"), pl.col("warmup_ready").alias("ready"),
    )  # fmt: skip
    complete = made.filter(pl.col("ready") == 1).drop_nulls()
    if complete.height == 0:
        raise ValueError(f"none of {made.height} rows is complete: ready, valid, and with a known label")
    return Dataset(
        inputs=complete.select(f"x{index}" for index in range(len(features))).to_numpy(),
        returns=complete["label"].to_numpy(),
        times_ns=complete["clock"].to_numpy(),
        horizon_ns=round(horizon / timedelta(microseconds=1)) * 1_000,
        threshold=threshold,
        feature_set_id=table.feature_set_id,
        schema_hash=table.schema_hash,
        features=tuple(features),
    )


def purged_splits(
    dataset: Dataset,
    folds: int,
    *,
    embargo: timedelta = timedelta(0),
    past_only: bool = True,
) -> Iterator[tuple[Ints, Ints]]:
    """Split by time into training rows and test rows whose labels have nothing in common.

    The rows are cut into ``folds + 1`` blocks of equal count (``folds`` without ``past_only``), never
    between rows of the same time. Each block but the first (each block) is tested once. A row at ``t``
    sees prices up to ``t + horizon``; with the test rows from ``first`` to ``last`` it trains if
    ``t + horizon < first - embargo``, or, without ``past_only``, if ``t > last + horizon + embargo``.

    Parameters
    ----------
    folds
        Number of pairs, 1 or more (2 without ``past_only``).
    embargo
        Time kept free beside the test rows, for inputs that look back over windows.
    past_only
        Train on earlier rows only, as live trading would.

    Yields
    ------
    tuple
        Indices of training rows and of test rows.

    Raises
    ------
    ValueError
        Too few folds, a negative embargo, or a fold without training or test rows.
    """
    import numpy as np

    least = 1 if past_only else 2
    if folds < least or embargo < timedelta(0):
        raise ValueError(f"expected {least} folds or more and no negative embargo, got {folds}, {embargo}")
    times, gap_ns = dataset.times_ns, round(embargo / timedelta(microseconds=1)) * 1_000
    blocks = folds + 1 if past_only else folds
    bounds = [len(times) * block // blocks for block in range(blocks + 1)]
    # Rows of one time stay together: a bound moves to the first of them.
    bounds[1:-1] = [int(np.searchsorted(times, times[bound], side="left")) for bound in bounds[1:-1]]
    for block in range(1 if past_only else 0, blocks):
        test = np.arange(bounds[block], bounds[block + 1])
        if len(test) == 0:
            raise ValueError(f"block {block} of {blocks} has no rows")
        first, last = times[test[0]], times[test[-1]]
        trains = times + dataset.horizon_ns < first - gap_ns
        if not past_only:
            trains |= times > last + dataset.horizon_ns + gap_ns
        train = np.flatnonzero(trains)
        if len(train) == 0:
            raise ValueError(f"block {block} of {blocks} leaves no rows to train on")
        yield train, test
