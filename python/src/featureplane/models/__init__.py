"""From extracted tables to models and scores: datasets, splits, training, export.

A label looks ahead and an input never does; a split keeps every label of the training rows away from the
test rows. What is exported names its feature set, and a model of other columns is refused.

Training needs the extra ``models`` (scikit-learn, NumPy, Polars, and Matplotlib for charts), imported
when used; `load_model`, the scalar scorer of `LinearModel` and `score` need nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from featureplane._convert import Features, Size, Time, size_text
from featureplane._extract import Paths, ProgressCallback, _request, _run
from featureplane._linear import Calibration, LinearModel, Link, load_model, read_weights, write_weights
from featureplane.errors import DecodeError
from featureplane.models._dataset import Dataset, build_dataset, purged_splits
from featureplane.models._report import plot, report
from featureplane.models._training import (
    export_linear,
    fit_calibration,
    linear_model,
    train_classifier,
    train_regressor,
)
from featureplane.models._trees import export_trees
from featureplane.table import FeatureTable

__all__ = [
    "Calibration",
    "Dataset",
    "LinearModel",
    "Link",
    "build_dataset",
    "export_linear",
    "export_trees",
    "fit_calibration",
    "linear_model",
    "load_model",
    "plot",
    "purged_splits",
    "read_weights",
    "report",
    "score",
    "train_classifier",
    "train_regressor",
    "write_weights",
]


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
        Model file; trees need a package that was built with the cargo feature ``trees``.
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
    chosen = _set_of(model) if features is None else features
    request = _request(inputs, format, symbol, chosen, emit, start, end)
    request |= {
        "model": os.fspath(model),
        "tick_size": size_text(tick_size, "tick_size"),
        "lot_size": size_text(lot_size, "lot_size"),
        "initial_snapshot": None,
    }
    return FeatureTable(_run(request, progress))


def _set_of(model: str | os.PathLike[str]) -> str:
    """Return the set that a model of any kind names; the engine checks the whole file."""
    name = os.fspath(model)
    try:
        return str(json.loads(Path(model).read_text(encoding="utf-8"))["feature_set_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"model {name}: {error}", path=name) from error
