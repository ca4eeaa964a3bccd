"""Trees of LightGBM and XGBoost as model files, which builds with the cargo feature ``trees`` read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featureplane._linear import fnv1a
from featureplane.models._dataset import Dataset

if TYPE_CHECKING:
    from featureplane.models._dataset import Ints


def export_trees(
    fitted: Any,
    dataset: Dataset,
    rows: Ints,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    vectors: int = 8,
) -> None:
    """Write a fitted model of LightGBM or XGBoost as a model file (``specs/model-file.md``, section Trees).

    Parameters
    ----------
    fitted
        ``LGBMClassifier``, ``LGBMRegressor``, ``XGBClassifier`` or ``XGBRegressor`` whose trees name their
        columns: LightGBM is fitted with ``feature_name=list(dataset.features)``; for XGBoost set
        ``fitted.get_booster().feature_names = list(dataset.features)``. After early stopping the best
        rounds are written.
    rows
        Rows it was trained on; ``vectors`` of them, evenly spaced, become test vectors with the scores that
        the library gives.
    classes
        Labels in the order of the classes of ``fitted``, when those are only numbers, as XGBoost's are.

    Raises
    ------
    ValueError
        The trees name other columns than the dataset, the labels are not as many as the classes, or XGBoost
        was told that another number than NaN means a missing value.
    """
    chosen = dataset.inputs[rows[:: max(1, len(rows) // vectors)][:vectors]]
    known = [str(name) for name in getattr(fitted, "classes_", ())]
    labels = known if classes is None else list(classes)
    if len(labels) != len(known):
        raise ValueError(f"the trees have the classes {known}, the labels are {labels}")
    written = _lightgbm if hasattr(fitted, "booster_") else _xgboost
    kind, names, text, scores = written(fitted, chosen)
    if names != list(dataset.features):
        raise ValueError(f"the trees were fitted on {names}, the dataset has {list(dataset.features)}")
    times = dataset.times_ns[rows]
    lines = [kind, dataset.feature_set_id, dataset.schema_hash]
    lines += [f"feature {name}" for name in names] + [f"class {label}" for label in labels] + [text]
    pairs = zip(chosen.tolist(), scores.reshape(len(chosen), -1).tolist(), strict=True)
    fields = {
        "featureplane_model": 1,
        "kind": kind,
        "feature_set_id": dataset.feature_set_id,
        "schema_hash": dataset.schema_hash,
        "features": names,
        "classes": labels,
        "text": text,
        "training": {"from_ns": int(times.min()), "to_ns": int(times.max()), "rows": len(rows)},
        "test_vectors": [{"inputs": x, "scores": y} for x, y in pairs],
        "checksum": fnv1a("\n".join(lines)),
    }
    Path(path).write_text(json.dumps(fields, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _lightgbm(fitted: Any, chosen: Any) -> tuple[str, list[str], str, Any]:
    """Kind, columns, text, and the scores of some rows."""
    booster = fitted.booster_
    return "lightgbm", list(booster.feature_name()), booster.model_to_string(), booster.predict(chosen)


def _xgboost(fitted: Any, chosen: Any) -> tuple[str, list[str], str, Any]:
    if not math.isnan(fitted.missing):
        raise ValueError(f"expected NaN for a missing value, the trees were fitted with {fitted.missing}")
    booster = fitted.get_booster()
    names: list[str] = list(booster.feature_names or ())
    best = getattr(fitted, "best_iteration", None)
    if best is not None:
        booster = booster[: best + 1]
    text = bytes(booster.save_raw("json")).decode()
    return "xgboost", names, text, booster.inplace_predict(chosen)
