"""From extracted tables to models and scores: datasets, splits, training, export.

A label looks ahead and an input never does; a split keeps every label of the training rows away from the
test rows. What is exported names its feature set, and a model of other columns is refused.

Training needs the extra ``models`` (scikit-learn, NumPy, Polars), imported when used; `load_model`, the
scalar scorer of `LinearModel` and `score` need nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featureplane._convert import Features, Size, Time, size_text
from featureplane._extract import Paths, ProgressCallback, _request, _run
from featureplane._linear import LinearModel, Link, TestVector, load_model, read_weights, write_weights
from featureplane.table import FeatureTable

if TYPE_CHECKING:
    import numpy as np

    Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
    Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

__all__ = [
    "Dataset",
    "LinearModel",
    "Link",
    "build_dataset",
    "export_linear",
    "linear_model",
    "load_model",
    "purged_splits",
    "read_weights",
    "report",
    "score",
    "train_classifier",
    "train_regressor",
    "write_weights",
]

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
    feature_set_id, schema_hash, features
        The columns that the inputs are.
    """

    inputs: Floats
    returns: Floats
    times_ns: Ints
    horizon_ns: int
    feature_set_id: str
    schema_hash: str
    features: tuple[str, ...]


def build_dataset(
    table: FeatureTable,
    horizon: timedelta,
    *,
    price: str = "mid",
    kind: Literal["log", "simple"] = "log",
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

    Raises
    ------
    ValueError
        No row is complete.
    """
    import polars as pl

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


def train_classifier(
    dataset: Dataset, rows: Ints, *, threshold: float = 0.0, C: float = 1.0, max_iter: int = 1_000
) -> Any:
    """Fit ``StandardScaler`` and ``LogisticRegression`` to the direction of the return.

    Classes are ``down`` (below ``-threshold``), ``flat`` and ``up`` (above ``threshold``); those that
    occur in ``rows`` are learned. Returns a scikit-learn pipeline.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline: Any = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=max_iter))
    pipeline.fit(dataset.inputs[rows], _directions(dataset.returns[rows], threshold))
    pipeline.threshold_ = threshold
    return pipeline


def train_regressor(dataset: Dataset, rows: Ints, *, alpha: float = 1.0) -> Any:
    """Fit ``StandardScaler`` and ``Ridge`` to the return; returns a scikit-learn pipeline."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    pipeline.fit(dataset.inputs[rows], dataset.returns[rows])
    return pipeline


def report(pipeline: Any, dataset: Dataset, rows: Ints) -> dict[str, float]:
    """Measure a pipeline on rows that it was not trained on.

    Returns
    -------
    dict
        For a classifier ``rows``, ``accuracy``, ``log_loss`` and ``majority`` (the accuracy of always
        naming the most frequent class of these rows); for a regressor ``rows``, ``r2``, ``rmse`` and
        ``correlation`` (0 when either side is constant).
    """
    import numpy as np

    inputs, returns = dataset.inputs[rows], dataset.returns[rows]
    if not hasattr(pipeline, "predict_proba"):
        predicted = pipeline.predict(inputs)
        error, spread = returns - predicted, returns - returns.mean()
        varies = returns.std() > 0 and predicted.std() > 0
        return {
            "rows": float(len(rows)),
            "r2": 1.0 - float(error @ error) / float(spread @ spread) if returns.std() > 0 else 0.0,
            "rmse": float(np.sqrt(np.mean(error**2))),
            "correlation": float(np.corrcoef(returns, predicted)[0, 1]) if varies else 0.0,
        }
    labels = _directions(returns, pipeline.threshold_)
    classes = list(pipeline.classes_)
    shares = pipeline.predict_proba(inputs)
    # A class that was never learned has the probability 0, which the floor keeps finite.
    of_label = [row[classes.index(label)] if label in classes else 0.0
                for row, label in zip(shares, labels, strict=True)]  # fmt: skip
    return {
        "rows": float(len(rows)),
        "accuracy": float(np.mean(pipeline.predict(inputs) == labels)),
        "log_loss": float(-np.mean(np.log(np.maximum(of_label, 1e-15)))),
        "majority": float(np.unique(labels, return_counts=True)[1].max() / len(labels)),
    }


def linear_model(
    pipeline: Any,
    dataset: Dataset,
    rows: Ints,
    *,
    calibration: tuple[float, float] = (1.0, 0.0),
    vectors: int = 8,
) -> LinearModel:
    """Fold a fitted pipeline into a model with its contract.

    Parameters
    ----------
    pipeline
        From `train_classifier` or `train_regressor`, or any scaler followed by a linear model.
    rows
        Rows it was trained on; ``vectors`` of them, evenly spaced, become test vectors.
    calibration
        Slope and offset of every sum before the link.
    """
    scaler, final = pipeline[0], pipeline[-1]
    means, scales = scaler.mean_.tolist(), scaler.scale_.tolist()
    is_classifier = hasattr(final, "classes_")
    coefficients = final.coef_.tolist() if is_classifier else [final.coef_.tolist()]
    biases = final.intercept_.tolist() if is_classifier else [float(final.intercept_)]
    intercepts = []
    for bias, row in zip(biases, coefficients, strict=True):
        shift = 0.0
        for weight, mean, scale in zip(row, means, scales, strict=True):
            shift += weight * mean / scale
        intercepts.append(bias - shift)
    folded = tuple(tuple(w / scale for w, scale in zip(row, scales, strict=True)) for row in coefficients)
    link: Link = "identity" if not is_classifier else "logistic" if len(folded) == 1 else "softmax"
    times = dataset.times_ns[rows]

    def with_vectors(test_vectors: tuple[TestVector, ...]) -> LinearModel:
        return LinearModel(
            link=link,
            feature_set_id=dataset.feature_set_id,
            schema_hash=dataset.schema_hash,
            features=dataset.features,
            classes=tuple(map(str, final.classes_)) if is_classifier else (),
            intercepts=tuple(intercepts),
            weights=folded,
            slope=calibration[0],
            offset=calibration[1],
            training=(int(times.min()), int(times.max()), len(rows)),
            test_vectors=test_vectors,
        )

    bare = with_vectors(())
    chosen = rows[:: max(1, len(rows) // vectors)][:vectors]
    return with_vectors(_vectors(bare, dataset.inputs[chosen].tolist()))


def export_linear(
    pipeline: Any,
    dataset: Dataset,
    rows: Ints,
    path: str | os.PathLike[str],
    *,
    calibration: tuple[float, float] = (1.0, 0.0),
) -> LinearModel:
    """Write a fitted pipeline as a model file (``specs/model-file.md``) and return the model."""
    model = linear_model(pipeline, dataset, rows, calibration=calibration)
    Path(path).write_text(model.to_json(), encoding="utf-8")
    return load_model(path)


def score(
    inputs: Paths,
    model: str | os.PathLike[str],
    *,
    features: Features | None = None,
    format: str = "auto",
    symbol: str | Sequence[str] | None = None,
    emit: str = "packet",
    start: Time | None = None,
    end: Time | None = None,
    tick_size: Size | None = None,
    lot_size: Size | None = None,
    progress: bool | ProgressCallback | None = None,
) -> FeatureTable:
    """Compute features and scores of recorded market data, as ``featureplane score`` does.

    Parameters
    ----------
    model
        Model file.
    features
        Set that the model was trained on, when it is not a built-in one.
    inputs, format, symbol, emit, start, end, tick_size, lot_size, progress
        As for `featureplane.extract`.

    Returns
    -------
    FeatureTable
        The columns of the set, then the scores; these are null while an input is not valid or not ready.

    Raises
    ------
    SchemaMismatchError
        The model was trained on other columns; both sides are named.
    DecodeError
        The model file is damaged.
    FeatureError
        As `featureplane.extract`.
    """
    chosen = load_model(model).feature_set_id if features is None else features
    request = _request(inputs, format, symbol, chosen, emit, start, end)
    request |= {
        "model": os.fspath(model),
        "tick_size": size_text(tick_size, "tick_size"),
        "lot_size": size_text(lot_size, "lot_size"),
        "initial_snapshot": None,
    }
    return FeatureTable(_run(request, progress))


def _vectors(model: LinearModel, rows: list[list[float]]) -> tuple[TestVector, ...]:
    scored = [(tuple(inputs), model.score(inputs)) for inputs in rows]
    return tuple((inputs, scores) for inputs, scores in scored if scores is not None)


def _directions(returns: Floats, threshold: float) -> Any:
    import numpy as np

    return np.where(returns > threshold, "up", np.where(returns < -threshold, "down", "flat"))
