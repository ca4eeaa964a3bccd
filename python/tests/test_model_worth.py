"""What a model is worth: figures, calibration and charts, against scikit-learn and by hand."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featureplane as fp
from featureplane import models
from featureplane.models import Calibration, Dataset, LinearModel

FEATURES = tuple(f"x{index}" for index in range(3))


def made(seed: int, rows: int = 6_000, *, flat: float = 0.0) -> Dataset:
    """Returns whose sign follows the first input as a logistic model of slope 1 would."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, len(FEATURES)))
    rises = rng.random(rows) < 1.0 / (1.0 + np.exp(-inputs[:, 0]))
    returns = np.where(rises, 1.0, -1.0) * (rng.random(rows) >= flat)
    return Dataset(inputs, returns, np.arange(rows) * 1_000, 1, 0.5, "made", "0" * 16, FEATURES)


@pytest.fixture(scope="module")
def overconfident() -> tuple[Dataset, Any, LinearModel]:
    """A classifier whose sums are three times what they should be."""
    dataset = made(1)
    pipeline = models.train_classifier(dataset, np.arange(2_000))
    pipeline[-1].coef_ *= 3.0
    pipeline[-1].intercept_ = pipeline[-1].intercept_ * 3.0 + 1.0
    return dataset, pipeline, models.linear_model(pipeline, dataset, np.arange(2_000))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_repairs_an_overconfident_model(
    overconfident: tuple[Dataset, Any, LinearModel], method: Any
) -> None:
    dataset, pipeline, raw = overconfident
    held, test = np.arange(2_000, 4_000), np.arange(4_000, 6_000)
    calibration = models.fit_calibration(pipeline, dataset, held, method)
    model = models.linear_model(pipeline, dataset, np.arange(2_000), calibration=calibration)
    before, after = models.report(raw, dataset, test), models.report(model, dataset, test)
    assert before["calibration_error"] > 0.1 > 0.05 > after["calibration_error"]
    assert after["log_loss"] < before["log_loss"] - 0.1
    assert after["brier"] < before["brier"] - 0.05
    if method == "platt":
        assert calibration.slope == pytest.approx(1 / 3, abs=0.05)
        assert calibration.offset == pytest.approx(-1 / 3, abs=0.15)


def test_the_curve_is_the_isotonic_regression_of_scikit_learn(
    overconfident: tuple[Dataset, Any, LinearModel],
) -> None:
    from sklearn.isotonic import IsotonicRegression

    dataset, pipeline, raw = overconfident
    rows = np.arange(2_000, 4_000)
    curve = models.fit_calibration(pipeline, dataset, rows, "isotonic")
    shares = pipeline.predict_proba(dataset.inputs[rows])[:, 1]
    theirs = IsotonicRegression(out_of_bounds="clip").fit(shares, (dataset.classes[rows] == "up") * 1.0)
    grid = np.linspace(0.0, 1.0, 501)
    np.testing.assert_allclose([curve.curve(x) for x in grid.tolist()], theirs.predict(grid), atol=1e-12)
    assert len(curve.knots) > 5
    model = dataclasses.replace(raw, calibration=curve)
    expected = theirs.predict(pipeline.predict_proba(dataset.inputs[:50])[:, 1])
    scores = [model.score(row) or () for row in dataset.inputs[:50].tolist()]
    np.testing.assert_allclose(np.array(scores), expected[:, None], atol=1e-9)


def test_three_classes_get_one_temperature() -> None:
    dataset = made(2, flat=0.3)
    train, held, test = np.split(np.arange(6_000), 3)
    pipeline = models.train_classifier(dataset, train)
    pipeline[-1].coef_ *= 4.0
    pipeline[-1].intercept_ *= 4.0
    calibration = models.fit_calibration(pipeline, dataset, held)
    assert (calibration.offset, calibration.knots) == (0.0, ())
    assert calibration.slope == pytest.approx(1 / 4, abs=0.05)
    raw = models.linear_model(pipeline, dataset, train)
    model = dataclasses.replace(raw, calibration=calibration)
    before, after = models.report(raw, dataset, test), models.report(model, dataset, test)
    assert after["log_loss"] < before["log_loss"]
    assert after["accuracy"] == before["accuracy"], "a temperature moves no argmax"


def test_what_cannot_be_calibrated_is_refused() -> None:
    binary, three = made(3, 300), made(4, 300, flat=0.3)
    rows = np.arange(300)
    with pytest.raises(ValueError, match="regressor"):
        models.fit_calibration(models.train_regressor(binary, rows), binary, rows)
    with pytest.raises(ValueError, match="two classes"):
        models.fit_calibration(models.train_classifier(three, rows), three, rows, "isotonic")
    classifier = models.train_classifier(binary, rows)
    with pytest.raises(ValueError, match="of 1 classes"):
        models.fit_calibration(classifier, binary, rows[binary.classes == "up"])
    flipped = dataclasses.replace(binary, returns=np.where(binary.inputs[:, 0] > 0, -1.0, 1.0))
    clear = rows[np.abs(binary.inputs[:, 0]) > 1.0]
    with pytest.raises(ValueError, match="single step"):
        models.fit_calibration(classifier, flipped, clear, "isotonic")


@pytest.mark.parametrize("knots", [
    ((0.5, 0.5),), ((0.5, 0.0), (0.5, 1.0)), ((0.0, 0.5), (1.0, 0.4)), ((0.0, 0.0), (1.0, 1.5)),
])  # fmt: skip
def test_knots_that_are_no_curve_of_probabilities_are_refused(knots: Any) -> None:
    curve = Calibration(knots=knots)
    with pytest.raises(ValueError, match=r"calibration\.knots"):
        LinearModel("logistic", "s", "0" * 16, ("a",), ("x", "y"), (0.0,), ((1.0,),), curve)


def test_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

    dataset = made(5)
    train, test = np.arange(3_000), np.arange(3_000, 6_000)
    pipeline = models.train_classifier(dataset, train)
    said = models.report(pipeline, dataset, test)
    labels, shares = dataset.classes[test], pipeline.predict_proba(dataset.inputs[test])
    assert said["rows"] == len(test)
    assert said["accuracy"] == pytest.approx(accuracy_score(labels, pipeline.predict(dataset.inputs[test])))
    assert said["log_loss"] == pytest.approx(log_loss(labels, shares))
    # That of scikit-learn counts one of the two classes.
    assert said["brier"] == pytest.approx(2 * brier_score_loss(labels == "up", shares[:, 1]))
    assert said["majority"] == pytest.approx(max((labels == "up").mean(), (labels == "down").mean()))
    folded = models.report(models.linear_model(pipeline, dataset, train), dataset, test)
    assert folded == pytest.approx(said, abs=1e-9)


def test_a_class_that_was_never_learned_costs_the_most() -> None:
    dataset = made(6, 400, flat=0.5)
    rows = np.arange(400)
    pipeline = models.train_classifier(dataset, rows[dataset.classes != "flat"])
    flat = rows[dataset.classes == "flat"]
    said = models.report(pipeline, dataset, flat)
    assert said["accuracy"] == 0.0
    assert said["log_loss"] == pytest.approx(-np.log(1e-15))
    assert 1.0 < said["brier"] <= 2.0


def test_a_regression_that_is_exact_is_said_to_be() -> None:
    dataset = made(7, 500)
    known = dataclasses.replace(dataset, returns=3.0 * dataset.inputs[:, 1] + dataset.inputs[:, 2])
    rows = np.arange(500)
    exact = models.report(models.train_regressor(known, rows[:250], alpha=1e-9), known, rows[250:])
    assert exact["r2"] == pytest.approx(1.0, abs=1e-6)
    assert exact["correlation"] == pytest.approx(1.0, abs=1e-6)
    constant = dataclasses.replace(dataset, returns=np.zeros(500))
    nothing = models.report(models.train_regressor(constant, rows[:250]), constant, rows[250:])
    assert (nothing["r2"], nothing["correlation"], nothing["rmse"]) == (0.0, 0.0, 0.0)


def test_charts_show_what_the_figures_say(tmp_path: Path) -> None:
    binary, three = made(8), made(9, flat=0.3)
    rows = np.arange(3_000)
    for dataset, labels in [(binary, {"down", "up"}), (three, {"down", "flat", "up"})]:
        pipeline = models.train_classifier(dataset, rows)
        figure = models.plot(models.linear_model(pipeline, dataset, rows), dataset, rows + 3_000)
        reliability, roc, weights = figure.axes
        assert {str(line.get_label()) for line in reliability.lines[1:]} == labels
        assert {str(line.get_label()).split(":")[0] for line in roc.lines[1:]} == labels
        assert len(weights.patches) == len(FEATURES) * (1 if len(labels) == 2 else 3)
        figure.savefig(tmp_path / "chart.svg")
        assert "</svg>" in (tmp_path / "chart.svg").read_text()
    regressor = models.linear_model(models.train_regressor(binary, rows), binary, rows)
    titles = [axes.get_title() for axes in models.plot(regressor, binary, rows).axes]
    assert titles == ["Return by score", "Errors", "Weight of a standard deviation"]


def test_labels_need_a_threshold_that_is_not_negative(tmp_path: Path) -> None:
    fp.write_synthetic(tmp_path / "day.gz", seed=3, duration_s=5.0)
    table = fp.extract(tmp_path / "day.gz", features="l2_linear_v1")
    wide = models.build_dataset(table, timedelta(milliseconds=200), threshold=1.0)
    assert set(wide.classes) == {"flat"}
    with pytest.raises(ValueError, match="0 or more"):
        models.build_dataset(table, timedelta(milliseconds=200), threshold=-1.0)


def test_trees_are_exported_with_their_contract(tmp_path: Path) -> None:
    import json

    import lightgbm

    dataset, rows = made(10, 600), np.arange(600)
    options: dict[str, Any] = {"n_estimators": 5, "num_leaves": 4, "verbose": -1, "n_jobs": 1}
    fitted = lightgbm.LGBMClassifier(**options)
    fitted.fit(dataset.inputs, dataset.classes, feature_name=list(FEATURES))
    models.export_trees(fitted, dataset, rows, tmp_path / "trees.json")
    file = json.loads((tmp_path / "trees.json").read_text())
    assert (file["kind"], file["classes"], file["features"]) == ("lightgbm", ["down", "up"], list(FEATURES))
    assert len(file["test_vectors"]) == 8
    inputs = np.array([vector["inputs"] for vector in file["test_vectors"]])
    again = lightgbm.Booster(model_str=file["text"])
    scores = [vector["scores"][0] for vector in file["test_vectors"]]
    assert scores == np.asarray(again.predict(inputs)).tolist()
    with pytest.raises(ValueError, match=r"fitted on \['Column_0'"):
        models.export_trees(
            lightgbm.LGBMRegressor(**options).fit(dataset.inputs, dataset.returns),
            dataset,
            rows,
            tmp_path / "x",
        )
