"""Write the trees that the tests of ``feature-infer`` read: ``python tools/tree_models.py FOLDER [PREFIX]``.

The files are named after the version of XGBoost in the environment, so that older ones are written from
an environment of their own; LightGBM's are written where it is installed.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

import featureplane as fp
from featureplane import models
from featureplane.models import Dataset

SET = "l2_linear_v1"


def main() -> None:
    """Train on a synthetic day and write every model."""
    folder = Path(sys.argv[1])
    version = "_".join(xgboost.__version__.split(".")[:2])
    with tempfile.TemporaryDirectory() as temporary:
        day = Path(temporary) / "day.gz"
        fp.write_synthetic(day, seed=11, duration_s=60.0)
        dataset = models.build_dataset(fp.extract(day, features=SET), timedelta(milliseconds=500))
    rows = np.arange(len(dataset.returns))
    moving = rows[dataset.returns != 0.0]
    options: dict[str, Any] = {"n_estimators": 4, "max_depth": 3, "learning_rate": 0.5, "n_jobs": 1}
    labels, codes = np.unique(dataset.classes, return_inverse=True)
    regression = xgboost.XGBRegressor(**options).fit(dataset.inputs, dataset.returns * 1e6)
    write(folder / f"xgboost_{version}_regression.json", regression, dataset, rows, None)
    binary = xgboost.XGBClassifier(**options).fit(dataset.inputs[moving], codes[moving] // 2)
    write(folder / f"xgboost_{version}_binary.json", binary, dataset, moving, ["down", "up"])
    several = xgboost.XGBClassifier(**options).fit(dataset.inputs, codes)
    write(folder / f"xgboost_{version}_multiclass.json", several, dataset, rows, labels.tolist())
    missing(folder / f"xgboost_{version}_missing.json", dataset, codes, options)
    try:
        import lightgbm
    except ImportError:
        return
    options = {"n_estimators": 8, "num_leaves": 8, "n_jobs": 1, "verbose": -1}
    fitted = lightgbm.LGBMClassifier(**options)
    fitted.fit(dataset.inputs, dataset.classes, feature_name=list(dataset.features))
    models.export_trees(fitted, dataset, rows, folder / "trees_multiclass.json", vectors=40)


def write(path: Path, fitted: Any, dataset: Dataset, rows: Any, classes: Any) -> None:
    """Write a model, with vectors at its thresholds behind those of the rows."""
    booster = fitted.get_booster()
    booster.feature_names = list(dataset.features)
    models.export_trees(fitted, dataset, rows, path, classes=classes)
    file = json.loads(path.read_text())
    inputs = np.array(edges(json.loads(file["text"]), dataset.inputs[0]))
    scores = booster.inplace_predict(inputs).reshape(len(inputs), -1).tolist()
    file["test_vectors"] += [{"inputs": x, "scores": y} for x, y in zip(inputs.tolist(), scores, strict=True)]
    path.write_text(json.dumps(file, allow_nan=False) + "\n")


def edges(document: Any, row: Any) -> list[Any]:
    """Rows on the threshold of the first roots, and one place of a double and a float beside it."""
    made = []
    for tree in document["learner"]["gradient_booster"]["model"]["trees"][:4]:
        at = float(np.float32(tree["split_conditions"][0]))
        for side in (-math.inf, math.inf):
            near = [at, math.nextafter(at, side), float(np.nextafter(np.float32(at), np.float32(side)))]
            for number in near:
                made.append(row.copy())
                made[-1][tree["split_indices"][0]] = number
    return made


def missing(path: Path, dataset: Dataset, codes: Any, options: dict[str, Any]) -> None:
    """Write trees that were trained with gaps, a table of rows with gaps, and their scores."""
    inputs = dataset.inputs.copy()
    inputs[np.random.default_rng(7).random(inputs.shape) < 0.3] = math.nan
    fitted = xgboost.XGBClassifier(**options).fit(inputs, codes)
    booster = fitted.get_booster()
    booster.feature_names = list(dataset.features)
    labels = np.unique(dataset.classes).tolist()
    models.export_trees(fitted, dataset, np.arange(len(codes)), path, classes=labels)
    chosen = inputs[:: len(inputs) // 30]
    rows = [[None if math.isnan(x) else x for x in row] for row in chosen.tolist()]
    scores = booster.inplace_predict(chosen).tolist()
    table = {"inputs": rows, "scores": scores}
    path.with_suffix(".rows").write_text(json.dumps(table, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
