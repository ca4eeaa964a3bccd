"""What a model is worth on rows that it was not trained on: figures and charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featureplane._linear import LinearModel
from featureplane.models._dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featureplane.models._dataset import Floats, Ints

_BINS = 10


def report(fitted: Any, dataset: Dataset, rows: Ints) -> dict[str, float]:
    """Measure a model on rows that it was neither trained nor calibrated on.

    Parameters
    ----------
    fitted
        A pipeline, or the `LinearModel` that it became, with its calibration.

    Returns
    -------
    dict
        For a classifier ``rows``, ``accuracy``, ``log_loss``, ``brier`` (mean squared error of all
        probabilities, 0 to 2), ``calibration_error`` (mean distance between probability and frequency over
        ten bins of every class, weighted by rows) and ``majority`` (the accuracy of always naming the most
        frequent class of these rows); for a regressor ``rows``, ``r2``, ``rmse`` and ``correlation`` (0 when
        either side is constant).
    """
    import numpy as np

    scores, classes = _scores(fitted, dataset.inputs[rows])
    if not classes:
        return _regression(dataset.returns[rows], scores[:, 0])
    labels = dataset.classes[rows]
    is_label = labels[:, None] == np.array(classes)
    # A class that was never learned has the probability 0, which the floor keeps finite.
    of_label = np.where(is_label, scores, 0.0).sum(axis=1)
    unknown = ~is_label.any(axis=1)
    errors = [_calibration_error(scores[:, k], is_label[:, k]) for k in range(len(classes))]
    return {
        "rows": float(len(rows)),
        "accuracy": float(np.mean(np.array(classes)[scores.argmax(axis=1)] == labels)),
        "log_loss": float(-np.mean(np.log(np.maximum(of_label, 1e-15)))),
        "brier": float(np.mean(((scores - is_label) ** 2).sum(axis=1) + unknown)),
        "calibration_error": float(np.mean(errors)),
        "majority": float(np.unique(labels, return_counts=True)[1].max() / len(labels)),
    }


def plot(fitted: LinearModel, dataset: Dataset, rows: Ints) -> Figure:
    """Draw a model on rows that it was neither trained nor calibrated on.

    A classifier: frequency over probability, the ROC curves of its classes, the weight of a standard
    deviation of each input. A regressor: return over score, the errors, the weights. Needs ``matplotlib``;
    save the figure with its ``savefig``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.0, 4.6), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    scores, classes = _scores(fitted, dataset.inputs[rows])
    if classes:
        _draw_reliability(first, scores, classes, dataset.classes[rows])
        _draw_roc(second, scores, classes, dataset.classes[rows])
    else:
        _draw_regression(first, second, scores[:, 0], dataset.returns[rows])
    _draw_weights(third, fitted, dataset.inputs[rows].std(axis=0))
    return figure


def _scores(fitted: Any, inputs: Floats) -> tuple[Floats, list[str]]:
    """Return one row of scores per row of inputs and the classes of its columns, none for a regression."""
    import numpy as np

    if not isinstance(fitted, LinearModel):
        if not hasattr(fitted, "predict_proba"):
            return fitted.predict(inputs).reshape(-1, 1), []
        return fitted.predict_proba(inputs), [str(name) for name in fitted.classes_]
    undefined = (np.nan,) * len(fitted.outputs)
    scores = np.array([fitted.score(row) or undefined for row in inputs.tolist()])
    if fitted.link == "logistic":
        scores = np.hstack([1.0 - scores, scores])
    return scores, list(fitted.classes)


def _regression(returns: Floats, predicted: Floats) -> dict[str, float]:
    import numpy as np

    error, spread = returns - predicted, returns - returns.mean()
    varies = returns.std() > 0 and predicted.std() > 0
    return {
        "rows": float(len(returns)),
        "r2": 1.0 - float(error @ error) / float(spread @ spread) if returns.std() > 0 else 0.0,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "correlation": float(np.corrcoef(returns, predicted)[0, 1]) if varies else 0.0,
    }


def _calibration_error(shares: Floats, hits: Any) -> float:
    import numpy as np

    bins = np.minimum((shares * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for index in range(_BINS):
        inside = bins == index
        if inside.any():
            total += inside.sum() * abs(float(shares[inside].mean()) - float(hits[inside].mean()))
    return total / len(shares)


def _draw_reliability(axes: Axes, scores: Floats, classes: list[str], labels: Any) -> None:
    from sklearn.calibration import calibration_curve

    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for index, name in enumerate(classes):
        hits = labels == name
        if hits.any() and not hits.all():
            seen, said = calibration_curve(hits, scores[:, index], n_bins=_BINS, strategy="quantile")
            axes.plot(said, seen, marker="o", markersize=3, label=name)
    axes.set(title="Calibration", xlabel="probability", ylabel="frequency", xlim=(0, 1), ylim=(0, 1))
    axes.legend()


def _draw_roc(axes: Axes, scores: Floats, classes: list[str], labels: Any) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for index, name in enumerate(classes):
        hits = labels == name
        if hits.any() and not hits.all():
            wrong, right, _ = roc_curve(hits, scores[:, index])
            area = roc_auc_score(hits, scores[:, index])
            axes.plot(wrong, right, label=f"{name}: area {area:.3f}")
    axes.set(title="ROC", xlabel="false positives", ylabel="true positives", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="lower right")


def _draw_regression(first: Axes, second: Axes, scores: Floats, returns: Floats) -> None:
    import numpy as np

    parts = np.array_split(np.argsort(scores, kind="stable"), min(2 * _BINS, len(scores)))
    means = np.array([(scores[part].mean(), returns[part].mean()) for part in parts])
    first.plot(means[:, 0], means[:, 1], marker="o", markersize=3)
    first.axline((0.0, 0.0), slope=1.0, color="0.7", linewidth=1)
    first.set(title="Return by score", xlabel="score, mean of a bin", ylabel="return, mean of a bin")
    second.hist(returns - scores, bins=50)
    second.set(title="Errors", xlabel="return - score", ylabel="rows")


def _draw_weights(axes: Axes, model: LinearModel, deviations: Floats) -> None:
    import numpy as np

    places = np.arange(len(model.features))
    height = 0.8 / len(model.weights)
    names = model.classes if len(model.weights) > 1 else model.outputs
    for index, (name, row) in enumerate(zip(names, model.weights, strict=True)):
        axes.barh(places + index * height, np.array(row) * deviations, height=height, label=name)
    axes.set(title="Weight of a standard deviation", yticks=places, yticklabels=list(model.features))
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.legend()
