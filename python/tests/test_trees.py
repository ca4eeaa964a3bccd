"""Trees of LightGBM and XGBoost: trained here, exported, and scored by the engine as by their library."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost

import featureplane as fp
from featureplane import models
from featureplane.live import LatestFrames
from featureplane.models import Dataset

SET = "l2_linear_v1"
THREE = ["down", "flat", "up"]
OUTPUTS = {"regression": ["score"], "binary": ["p_up"], "multiclass": ["p_down", "p_flat", "p_up"]}

Rows: TypeAlias = "np.ndarray[Any, Any]"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trees") / "day.gz"
    fp.write_synthetic(path, seed=12, duration_s=60.0)
    return path


@pytest.fixture(scope="module")
def dataset(day: Path) -> Dataset:
    return models.build_dataset(fp.extract(day, features=SET), timedelta(milliseconds=500))


def of_lightgbm(task: str, dataset: Dataset, rows: Rows, **options: Any) -> Any:
    options = {"n_estimators": 60, "num_leaves": 31, "n_jobs": 1, "verbose": -1} | options
    names = list(dataset.features)
    if task == "regression":
        regressor = lightgbm.LGBMRegressor(**options)
        return regressor.fit(dataset.inputs[rows], dataset.returns[rows] * 1e6, feature_name=names)
    return lightgbm.LGBMClassifier(**options).fit(
        dataset.inputs[rows], dataset.classes[rows], feature_name=names
    )


def of_xgboost(task: str, dataset: Dataset, rows: Rows, **options: Any) -> Any:
    options = {"n_estimators": 60, "max_depth": 6, "n_jobs": 1} | options
    inputs = dataset.inputs[rows]
    if task == "regression":
        fitted = xgboost.XGBRegressor(**options).fit(inputs, dataset.returns[rows] * 1e6)
    else:
        _, numbers = np.unique(dataset.classes[rows], return_inverse=True)
        fitted = xgboost.XGBClassifier(**options).fit(inputs, numbers)
    fitted.get_booster().feature_names = list(dataset.features)
    return fitted


TRAINERS: dict[str, Callable[..., Any]] = {"lightgbm": of_lightgbm, "xgboost": of_xgboost}


def labels_of(kind: str, task: str) -> list[str] | None:
    """Return the labels that XGBoost does not know."""
    if kind == "lightgbm" or task == "regression":
        return None
    return THREE if task == "multiclass" else ["down", "up"]


def rows_of(task: str, dataset: Dataset) -> Rows:
    rows = np.arange(len(dataset.returns))
    return rows[dataset.returns != 0.0] if task == "binary" else rows


def predicted(fitted: Any, inputs: Rows) -> Rows:
    """Scores by the library, one row per row; of two classes the second."""
    if hasattr(fitted, "booster_"):
        return np.asarray(fitted.booster_.predict(inputs), np.float64).reshape(len(inputs), -1)
    if not hasattr(fitted, "classes_"):
        return np.asarray(fitted.predict(inputs), np.float64).reshape(-1, 1)
    shares = np.asarray(fitted.predict_proba(inputs), np.float64)
    return shares[:, 1:] if shares.shape[1] == 2 else shares


def inputs_in_units(table: fp.FeatureTable, features: tuple[str, ...]) -> Rows:
    frame = table.to_polars()
    columns = []
    for name in features:
        divisor = float(table.column_metadata(name).get("divide_by") or 1)
        columns.append(frame[name].cast(pl.Float64).fill_null(math.nan).to_numpy() / divisor)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("task", OUTPUTS)
@pytest.mark.parametrize("kind", TRAINERS)
def test_scores_of_the_engine_are_those_of_the_library(
    day: Path, dataset: Dataset, kind: str, task: str, tmp_path: Path
) -> None:
    rows, path = rows_of(task, dataset), tmp_path / "trees.json"
    fitted = TRAINERS[kind](task, dataset, rows)
    models.export_trees(fitted, dataset, rows, path, classes=labels_of(kind, task), vectors=30)
    table = models.score(day, path)
    frame = table.to_polars()
    assert frame.columns[-len(OUTPUTS[task]) :] == OUTPUTS[task]
    inputs = inputs_in_units(table, dataset.features)
    usable = (frame["warmup_ready"] == 1).to_numpy() & ~np.isnan(inputs).any(axis=1)
    assert 100 < usable.sum() < len(usable), "rows that have a score, and rows before they are ready"
    want = predicted(fitted, inputs[usable])
    for index, name in enumerate(OUTPUTS[task]):
        assert frame[name].is_null().to_numpy().tolist() == (~usable).tolist()
        have = frame[name].drop_nulls().to_numpy()
        if kind == "lightgbm":
            np.testing.assert_allclose(have, want[:, index], rtol=1e-12, atol=1e-12)
        elif task == "regression":
            assert have.tolist() == want[:, index].tolist(), "every bit"
        else:
            np.testing.assert_allclose(have, want[:, index], rtol=0.0, atol=1e-6)
        assert len(set(have.tolist())) > 50
    command = [sys.executable, "-m", "featureplane", "score", "--input", str(day), "--model", str(path)]
    done = subprocess.run([*command, "--out", str(tmp_path / "x.parquet")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    again = pl.read_parquet(tmp_path / "x.parquet")
    for name in OUTPUTS[task]:
        assert again[name].to_list() == frame[name].to_list()


@pytest.mark.parametrize("kind", TRAINERS)
def test_the_live_frame_has_one_score_per_class(
    day: Path, dataset: Dataset, kind: str, tmp_path: Path
) -> None:
    rows, path = rows_of("multiclass", dataset), tmp_path / "trees.json"
    fitted = TRAINERS[kind]("multiclass", dataset, rows, n_estimators=5)
    models.export_trees(fitted, dataset, rows, path, classes=labels_of(kind, "multiclass"))
    latest = tmp_path / "latest.fp"
    command = [sys.executable, "-m", "featureplane", "live", "--feed", f"replay:{day}", "--set", SET]
    command += ["--model", str(path), "--latest", str(latest), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with LatestFrames(latest, SET) as frames:
        last = frames.read(frames.symbols[0])
    row = models.score(day, path).to_polars()[-1]
    assert last is not None
    assert last.scores is not None
    assert last.scores == {name: row[name][0] for name in OUTPUTS["multiclass"]}
    assert math.isclose(sum(last.scores.values()), 1.0, abs_tol=1e-12)


@pytest.mark.parametrize("kind", TRAINERS)
def test_the_best_rounds_are_written_after_early_stopping(
    day: Path, dataset: Dataset, kind: str, tmp_path: Path
) -> None:
    rows, path = np.arange(300), tmp_path / "trees.json"
    unseen = (dataset.inputs[600:], dataset.returns[600:] * 1e6)
    names = list(dataset.features)
    fitted: Any
    if kind == "lightgbm":
        fitted = lightgbm.LGBMRegressor(n_estimators=200, n_jobs=1, verbose=-1)
        stop = lightgbm.early_stopping(3, verbose=False)
        options: dict[str, Any] = {"callbacks": [stop], "feature_name": names}
        options |= {"eval_X": (unseen[0],), "eval_y": (unseen[1],)}
    else:
        fitted = xgboost.XGBRegressor(n_estimators=200, n_jobs=1, early_stopping_rounds=3)
        options = {"verbose": False, "eval_set": [unseen]}
    fitted.fit(dataset.inputs[rows], dataset.returns[rows] * 1e6, **options)
    if kind == "xgboost":
        fitted.get_booster().feature_names = names
        assert fitted.best_iteration + 1 < fitted.get_booster().num_boosted_rounds()
    models.export_trees(fitted, dataset, rows, path)
    scores = models.score(day, path)
    inputs = inputs_in_units(scores, dataset.features)
    have = scores.to_polars()["score"]
    want = predicted(fitted, inputs[have.is_not_null().to_numpy()])[:, 0]
    np.testing.assert_allclose(have.drop_nulls().to_numpy(), want, rtol=1e-12)


def test_trees_without_the_contract_are_not_written(dataset: Dataset, tmp_path: Path) -> None:
    rows = rows_of("multiclass", dataset)
    fitted = of_xgboost("multiclass", dataset, rows, n_estimators=2)
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match=r"the classes \['0', '1', '2'\], the labels are \['down', 'up'\]"):
        models.export_trees(fitted, dataset, rows, path, classes=["down", "up"])
    fitted.get_booster().feature_names = None
    with pytest.raises(ValueError, match=r"the trees were fitted on \[\], the dataset has \['mid'"):
        models.export_trees(fitted, dataset, rows, path, classes=THREE)
    zeros = of_xgboost("multiclass", dataset, rows, n_estimators=2, missing=0.0)
    with pytest.raises(ValueError, match="expected NaN for a missing value, the trees were fitted with 0"):
        models.export_trees(zeros, dataset, rows, path, classes=THREE)
    assert not path.exists()


def renamed(file: dict[str, Any]) -> None:
    """Columns of another set that has as many: names agree with the trees, and with no table."""
    order = [1, 0, *range(2, len(file["features"]))]
    document = json.loads(file["text"])
    for names in (file["features"], document["learner"]["feature_names"]):
        names[:] = [names[index] for index in order]
    file["text"] = json.dumps(document)


def other_hash(file: dict[str, Any]) -> None:
    file["schema_hash"] = "0123456789abcdef"


def other_objective(file: dict[str, Any]) -> None:
    file["text"] = file["text"].replace('"multi:softprob"', '"multi:softmax"')


def other_booster(file: dict[str, Any]) -> None:
    file["text"] = file["text"].replace('"name":"gbtree"', '"name":"dart"')


def categorical(file: dict[str, Any]) -> None:
    document = json.loads(file["text"])
    document["learner"]["gradient_booster"]["model"]["trees"][0]["split_type"][0] = 1
    file["text"] = json.dumps(document)


def truncated(file: dict[str, Any]) -> None:
    file["text"] = file["text"][: len(file["text"]) // 2]


def other_leaf(file: dict[str, Any]) -> None:
    document = json.loads(file["text"])
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    for tree in trees:
        tree["split_conditions"][-1] += 0.25
    file["text"] = json.dumps(document)


@pytest.mark.parametrize(
    ("defect", "error", "match"),
    [
        (renamed, fp.SchemaMismatchError, r"input 0 of the model .* is `spread`, feature 0 .* is `mid`"),
        (other_hash, fp.SchemaMismatchError, r"on schema 0123456789abcdef .* has schema 8b976704c72dacf3"),
        (other_objective, fp.DecodeError, r"or `multi:softprob`, found `multi:softmax`"),
        (other_booster, fp.DecodeError, r"expected `gbtree`, found `dart`"),
        (categorical, fp.DecodeError, r"split_type\[0\]: expected 0: columns are numbers, not categories"),
        (truncated, fp.DecodeError, r"text: expected a model that XGBoost saved, found .* at line 1"),
        (other_leaf, fp.DecodeError, r"test_vectors\[\d+\].scores\[\d\]: the trainer has"),
    ],
)
def test_planted_defects_are_refused_with_both_sides_named(
    day: Path, dataset: Dataset, tmp_path: Path, defect: Any, error: Any, match: str
) -> None:
    rows, path = rows_of("multiclass", dataset), tmp_path / "trees.json"
    fitted = of_xgboost("multiclass", dataset, rows, n_estimators=3, max_depth=3)
    models.export_trees(fitted, dataset, rows, path, classes=THREE, vectors=30)
    file = json.loads(path.read_text())
    defect(file)
    path.write_text(json.dumps(file))
    with pytest.raises(fp.DecodeError, match="the checksum is"):
        models.score(day, path)
    sign(file)
    path.write_text(json.dumps(file))
    with pytest.raises(error, match=match):
        models.score(day, path)


def sign(file: dict[str, Any]) -> None:
    """Give a changed file a checksum that fits, as somebody who means it would."""
    from featureplane._linear import fnv1a

    lines = [file["kind"], file["feature_set_id"], file["schema_hash"]]
    lines += [f"feature {name}" for name in file["features"]] + [f"class {name}" for name in file["classes"]]
    file["checksum"] = fnv1a("\n".join([*lines, file["text"]]))


def test_a_model_of_another_set_is_refused(day: Path, dataset: Dataset, tmp_path: Path) -> None:
    rows, path = rows_of("regression", dataset), tmp_path / "trees.json"
    models.export_trees(of_xgboost("regression", dataset, rows, n_estimators=2), dataset, rows, path)
    with pytest.raises(fp.SchemaMismatchError, match=r"the model has 18 inputs .*`core_v1` has"):
        models.score(day, path, features="core_v1")
    path.write_text(path.read_text()[:1000])
    with pytest.raises(fp.DecodeError, match=r"trees\.json"):
        models.score(day, path)
