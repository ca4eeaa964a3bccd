"""Pipelines of scikit-learn, their calibration, and the models that they fold into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from featureplane._linear import Calibration, LinearModel, Link, TestVector, load_model
from featureplane.models._dataset import Dataset

if TYPE_CHECKING:
    from featureplane.models._dataset import Floats, Ints

_UNCALIBRATED = Calibration()


def train_classifier(dataset: Dataset, rows: Ints, *, C: float = 1.0, max_iter: int = 1_000) -> Any:
    """Fit ``StandardScaler`` and ``LogisticRegression`` to the direction of the return.

    The classes of `Dataset.classes` that occur in ``rows`` are learned. Returns a scikit-learn pipeline.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline: Any = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=max_iter))
    pipeline.fit(dataset.inputs[rows], dataset.classes[rows])
    return pipeline


def train_regressor(dataset: Dataset, rows: Ints, *, alpha: float = 1.0) -> Any:
    """Fit ``StandardScaler`` and ``Ridge`` to the return; returns a scikit-learn pipeline."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    pipeline.fit(dataset.inputs[rows], dataset.returns[rows])
    return pipeline


def fit_calibration(
    pipeline: Any, dataset: Dataset, rows: Ints, method: Literal["platt", "isotonic"] = "platt"
) -> Calibration:
    """Fit what makes probabilities of a classifier's scores.

    Parameters
    ----------
    pipeline
        From `train_classifier`.
    rows
        Rows that were used neither to train nor to test; those of classes it never learned do not count.
    method
        ``platt``: a line before the link, by logistic regression without a penalty; for three and more
        classes its slope alone, one temperature for all. ``isotonic``: the best rising curve after the
        link, for two classes.

    Raises
    ------
    ValueError
        The pipeline is a regressor, one class only occurs, the curve would be a single step, or
        ``isotonic`` was asked of three and more classes.
    """
    import numpy as np

    if not hasattr(pipeline, "predict_proba"):
        raise ValueError("a regressor has no probabilities to calibrate")
    known = rows[np.isin(dataset.classes[rows], pipeline.classes_)]
    inputs, labels = dataset.inputs[known], dataset.classes[known]
    count = len(np.unique(labels))
    if count < 2:
        raise ValueError(f"expected rows of two classes or more, got {len(known)} rows of {count} classes")
    if len(pipeline.classes_) > 2:
        if method == "isotonic":
            raise ValueError("isotonic calibration is for two classes")
        return _temperature(pipeline.decision_function(inputs), np.searchsorted(pipeline.classes_, labels))
    hits = labels == pipeline.classes_[1]
    if method == "platt":
        return _platt(pipeline.decision_function(inputs), hits)
    return _isotonic(pipeline.predict_proba(inputs)[:, 1], hits)


def _platt(sums: Floats, hits: Any) -> Calibration:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=np.inf).fit(sums.reshape(-1, 1), hits)
    return Calibration(float(line.coef_[0, 0]), float(line.intercept_[0]))


def _temperature(sums: Floats, labels: Ints) -> Calibration:
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(slope: float) -> float:
        return -float(np.mean(log_softmax(slope * sums, axis=1)[np.arange(len(labels)), labels]))

    # A thousand times hotter or colder is no calibration any more.
    found = minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=(-7.0, 7.0), method="bounded")
    return Calibration(slope=float(np.exp(found.x)))


def _isotonic(shares: Floats, hits: Any) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(shares, hits.astype(float))
    scores, values = curve.X_thresholds_.tolist(), curve.y_thresholds_.tolist()
    if values[0] == values[-1]:
        raise ValueError("the rising curve is a single step: the scores order nothing")
    return Calibration(knots=tuple(zip(scores, values, strict=True)))


def linear_model(
    pipeline: Any,
    dataset: Dataset,
    rows: Ints,
    *,
    calibration: Calibration = _UNCALIBRATED,
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
        From `fit_calibration`, on other rows.
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
            calibration=calibration,
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
    calibration: Calibration = _UNCALIBRATED,
) -> LinearModel:
    """Write a fitted pipeline as a model file (``specs/model-file.md``) and return the model."""
    model = linear_model(pipeline, dataset, rows, calibration=calibration)
    Path(path).write_text(model.to_json(), encoding="utf-8")
    return load_model(path)


def _vectors(model: LinearModel, rows: list[list[float]]) -> tuple[TestVector, ...]:
    scored = [(tuple(inputs), model.score(inputs)) for inputs in rows]
    return tuple((inputs, scores) for inputs, scores in scored if scores is not None)
