"""Trees of LightGBM as a model file that the crate ``feature-infer`` reads with its feature ``trees``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featureplane._linear import fnv1a
from featureplane.models._dataset import Dataset

if TYPE_CHECKING:
    from featureplane.models._dataset import Ints


def export_trees(
    fitted: Any, dataset: Dataset, rows: Ints, path: str | os.PathLike[str], *, vectors: int = 8
) -> None:
    """Write a fitted model of LightGBM as a model file (``specs/model-file.md``, section Trees).

    Parameters
    ----------
    fitted
        ``lightgbm.LGBMClassifier`` of two classes or ``lightgbm.LGBMRegressor``, fitted with
        ``feature_name=list(dataset.features)``, so that the trees name their columns.
    rows
        Rows it was trained on; ``vectors`` of them, evenly spaced, become test vectors with the scores that
        LightGBM gives.

    Raises
    ------
    ValueError
        There are three classes or more, or the trees name other columns than the dataset.
    """
    classes = [str(name) for name in getattr(fitted, "classes_", ())]
    if len(classes) not in (0, 2):
        raise ValueError(f"expected a regression or two classes, got {len(classes)} classes")
    names = list(fitted.booster_.feature_name())
    if names != list(dataset.features):
        raise ValueError(f"the trees were fitted on {names}, the dataset has {list(dataset.features)}")
    text = fitted.booster_.model_to_string()
    chosen = dataset.inputs[rows[:: max(1, len(rows) // vectors)][:vectors]]
    scores = fitted.booster_.predict(chosen).tolist()
    times = dataset.times_ns[rows]
    lines = ["lightgbm", dataset.feature_set_id, dataset.schema_hash]
    lines += [f"feature {name}" for name in names] + [f"class {label}" for label in classes] + [text]
    fields = {
        "featureplane_model": 1,
        "kind": "lightgbm",
        "feature_set_id": dataset.feature_set_id,
        "schema_hash": dataset.schema_hash,
        "features": names,
        "classes": classes,
        "text": text,
        "training": {"from_ns": int(times.min()), "to_ns": int(times.max()), "rows": len(rows)},
        "test_vectors": [{"inputs": x, "scores": [y]} for x, y in zip(chosen.tolist(), scores, strict=True)],
        "checksum": fnv1a("\n".join(lines)),
    }
    Path(path).write_text(json.dumps(fields, indent=2, allow_nan=False) + "\n", encoding="utf-8")
