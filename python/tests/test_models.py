"""From a synthetic day to scores: training, export, and the same bits from both scorers."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import struct
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featureplane as fp
from featureplane import _lib, models
from featureplane.models import Calibration, Dataset, LinearModel

SET = "l2_linear_v1"
HORIZON = timedelta(milliseconds=500)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "day.gz"
    fp.write_synthetic(path, seed=11, duration_s=60.0)
    return path


@pytest.fixture(scope="module")
def dataset(day: Path) -> Dataset:
    return models.build_dataset(fp.extract(day, features=SET), HORIZON)


Trainer = Callable[[Dataset, Any], Any]
TRAINERS: dict[str, Trainer] = {
    "softmax": models.train_classifier,
    "logistic": lambda d, rows: models.train_classifier(d, rows[d.returns[rows] != 0.0]),
    "identity": models.train_regressor,
}

CALIBRATIONS = {
    "softmax": Calibration(0.9, -0.01),
    "logistic": Calibration(0.9, -0.01, ((0.1, 0.0), (0.3, 0.25), (0.45, 0.25), (0.8, 1.0))),
    "identity": Calibration(0.9, -0.01, ((-1.0, -2.0), (1.0, 2.5))),
}


@pytest.fixture(scope="module", params=TRAINERS)
def exported(request: Any, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    train, _ = next(models.purged_splits(dataset, 1))
    pipeline = TRAINERS[request.param](dataset, train)
    path = tmp_path_factory.mktemp("exported") / "model.json"
    model = models.export_linear(pipeline, dataset, train, path, calibration=CALIBRATIONS[request.param])
    assert model.link == request.param
    return path


def bits(numbers: Any) -> list[bytes | None]:
    return [None if x is None else struct.pack("<d", x) for x in numbers]


def rows_in_units(table: fp.FeatureTable, model: LinearModel) -> list[list[float | None]]:
    columns = []
    for name in model.features:
        divisor = table.column_metadata(name).get("divide_by")
        values = table.to_polars()[name].to_list()
        columns.append([x if x is None or divisor is None else float(x) / float(divisor) for x in values])
    return [list(row) for row in zip(*columns, strict=True)]


def test_the_engine_and_the_reference_give_the_same_bits(day: Path, exported: Path) -> None:
    model = models.load_model(exported)
    table = models.score(day, exported)
    frame = table.to_polars()
    ready = frame["warmup_ready"].to_list()
    want = [
        model.score(row) if is_ready == 1 else None
        for row, is_ready in zip(rows_in_units(table, model), ready, strict=True)
    ]
    for index, name in enumerate(model.outputs):
        have = frame[name].to_list()
        assert bits(have) == bits([None if scores is None else scores[index] for scores in want])
        assert 100 < sum(x is not None for x in have) < len(have), "scores, and rows before they are ready"
    assert table.metadata["featureplane.model"] == model.checksum


def test_the_folded_model_is_the_pipeline(dataset: Dataset) -> None:
    train, test = next(models.purged_splits(dataset, 1))
    pipeline = models.train_classifier(dataset, train)
    model = models.linear_model(pipeline, dataset, train)
    shares = pipeline.predict_proba(dataset.inputs[test])
    mine = [model.score(row) or () for row in dataset.inputs[test].tolist()]
    np.testing.assert_allclose(np.array(mine), shares, rtol=1e-6, atol=1e-9)
    assert model.classes == tuple(pipeline.classes_)
    assert model.training == (dataset.times_ns[train].min(), dataset.times_ns[train].max(), len(train))


def test_scores_of_a_grid_are_those_of_the_reference(day: Path, exported: Path) -> None:
    model = models.load_model(exported)
    table = models.score(day, exported, emit="step:1s")
    frame = table.to_polars()
    scores = [frame[name] for name in model.outputs]
    rows = zip(rows_in_units(table, model), frame["warmup_ready"], *scores, strict=True)
    for row, is_ready, *have in rows:
        want = model.score(row) if is_ready == 1 else None
        assert bits(have) == bits(want or [None] * len(have))


def unsigned(raw: dict[str, Any]) -> LinearModel:
    line = raw["calibration"]
    return LinearModel(
        raw["link"], raw["feature_set_id"], raw["schema_hash"], tuple(raw["features"]), tuple(raw["classes"]),
        tuple(raw["intercepts"]), tuple(map(tuple, raw["weights"])),
        Calibration(line["slope"], line["offset"], tuple(map(tuple, line["knots"]))),
    )  # fmt: skip


def sign(raw: dict[str, Any]) -> None:
    """Give a changed file a checksum that fits, as somebody who means it would."""
    raw["checksum"] = unsigned(raw).checksum


def swapped(row: list[Any]) -> list[Any]:
    return [row[1], row[0], *row[2:]]


def one_ulp(raw: dict[str, Any]) -> None:
    raw["weights"][0][3] = math.nextafter(raw["weights"][0][3], math.inf)


def grouped(raw: dict[str, Any]) -> None:
    """The mix-up of trainers and engines: rolling columns interleaved on one side, grouped on the other."""
    order = [*range(9), 9, 12, 15, 10, 13, 16, 11, 14, 17]
    raw["weights"] = [[row[index] for index in order] for row in raw["weights"]]


def swap_weights(raw: dict[str, Any]) -> None:
    raw["weights"] = [swapped(row) for row in raw["weights"]]


def swap_columns(raw: dict[str, Any]) -> None:
    """Columns, weights and vectors agree with each other, and with no table."""
    swap_weights(raw)
    raw["features"] = swapped(raw["features"])
    raw["test_vectors"] = [dict(v, inputs=swapped(v["inputs"])) for v in raw["test_vectors"]]


def drop_column(raw: dict[str, Any]) -> None:
    raw["features"].pop()
    raw["weights"] = [row[:-1] for row in raw["weights"]]
    raw["test_vectors"] = [{"inputs": [0.0] * len(raw["features"]), "scores": [0.0] * len(raw["weights"])}]


def other_hash(raw: dict[str, Any]) -> None:
    raw["schema_hash"] = "0123456789abcdef"


def recalibrated(raw: dict[str, Any]) -> None:
    raw["calibration"]["offset"] = math.nextafter(raw["calibration"]["offset"], 1.0)


DEFECTS = [one_ulp, grouped, swap_weights, swap_columns, other_hash, recalibrated]


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_changed_file_is_refused_by_both_readers(
    day: Path, exported: Path, tmp_path: Path, defect: Callable[[dict[str, Any]], None]
) -> None:
    raw = json.loads(exported.read_text())
    defect(raw)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(raw))
    with pytest.raises(fp.DecodeError, match="checksum"):
        models.load_model(bad)
    with pytest.raises(fp.DecodeError, match="checksum"):
        _lib.extract(engine_request(day, bad), None)


@pytest.mark.parametrize("defect", [grouped, swap_weights])
def test_weights_on_other_columns_are_found_by_the_test_vectors(
    day: Path, exported: Path, tmp_path: Path, defect: Callable[[dict[str, Any]], None]
) -> None:
    raw = json.loads(exported.read_text())
    defect(raw)
    sign(raw)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(raw))
    with pytest.raises(fp.DecodeError, match="the trainer has"):
        models.load_model(bad)
    with pytest.raises(fp.DecodeError, match="the trainer has"):
        _lib.extract(engine_request(day, bad), None)


def test_a_consistent_model_of_other_columns_is_refused(day: Path, exported: Path, tmp_path: Path) -> None:
    described = fp.describe_set(SET)
    names = fp.extract(day, features=SET, emit="step:10s").column_names[7:]
    other = tmp_path / "other.json"

    def refused(defect: Callable[[dict[str, Any]], None], match: str) -> None:
        raw = json.loads(exported.read_text())
        defect(raw)
        sign(raw)
        if defect is not other_hash:
            raw["test_vectors"] = vectors(raw)
        other.write_text(json.dumps(raw))
        with pytest.raises(fp.SchemaMismatchError, match=match):
            models.score(day, other)
        with pytest.raises(fp.SchemaMismatchError, match=match):
            models.load_model(other).require(SET, described["schema_hash"], names)

    refused(swap_columns, f"input 0 of the model .set `{SET}`. is `spread`, feature 0 of .* is `mid`")
    refused(drop_column, f"the model has {len(names) - 1} inputs .* has {len(names)} features")
    refused(other_hash, f"0123456789abcdef .* has .*{described['schema_hash']}")


def vectors(raw: dict[str, Any]) -> list[dict[str, Any]]:
    model = unsigned(raw)
    inputs = [0.0] * len(model.features)
    return [{"inputs": inputs, "scores": model.score(inputs)}]


def engine_request(day: Path, model: Path) -> dict[str, Any]:
    from featureplane._extract import _request

    return _request(day, "auto", None, SET, "packet", None, None) | {
        "model": str(model), "tick_size": None, "lot_size": None, "initial_snapshot": None,
    }  # fmt: skip


def test_labels_of_training_rows_end_before_test_rows_begin(dataset: Dataset) -> None:
    embargo = timedelta(milliseconds=200)
    gap = dataset.horizon_ns + 200_000_000
    tested = []
    for train, test in models.purged_splits(dataset, 4, embargo=embargo):
        assert dataset.times_ns[train].max() + gap < dataset.times_ns[test].min()
        tested.append(test)
    assert len(tested) == 4
    assert all(a[-1] + 1 == b[0] for a, b in pairwise(tested))
    assert tested[-1][-1] == len(dataset.times_ns) - 1
    for train, test in models.purged_splits(dataset, 4, embargo=embargo, past_only=False):
        first, last = dataset.times_ns[test].min(), dataset.times_ns[test].max()
        times = dataset.times_ns[train]
        assert ((times + gap < first) | (times > last + gap)).all()


def test_splits_that_cannot_be_made_are_refused(dataset: Dataset) -> None:
    for folds, embargo, past_only in [(0, 0, True), (1, 0, False), (2, -1, True), (2, 10_000, True)]:
        free = timedelta(seconds=embargo)
        with pytest.raises(ValueError, match=r"folds or more|leaves no rows"):
            list(models.purged_splits(dataset, folds, embargo=free, past_only=past_only))


def test_a_dataset_has_complete_rows_and_labels_without_look_ahead(day: Path, dataset: Dataset) -> None:
    assert np.isfinite(dataset.inputs).all()
    assert np.isfinite(dataset.returns).all()
    table = fp.extract(day, features=SET)
    last = table.to_polars()["ts_event"].max()
    assert dataset.times_ns.max() + dataset.horizon_ns <= last.timestamp() * 1e9 + 1_000  # type: ignore[union-attr]
    half = fp.extract(day, features=SET, end=int(dataset.times_ns[len(dataset.times_ns) // 2]))
    shorter = models.build_dataset(half, HORIZON)
    count = len(shorter.returns)
    assert 100 < count < len(dataset.returns)
    assert (shorter.returns == dataset.returns[:count]).all()
    assert (shorter.inputs == dataset.inputs[:count]).all()


def test_plain_weights_survive_and_what_they_cannot_hold_is_refused(tmp_path: Path) -> None:
    rng = random.Random(3)
    weights = tuple(rng.gauss(0, 1) * 10.0 ** rng.randrange(-20, 20) for _ in range(18))
    model = LinearModel("logistic", SET, "0" * 16, tuple(f"x{i}" for i in range(18)), ("rest", "up"),
                        (0.1,), (weights,))  # fmt: skip
    path = tmp_path / "weights.txt"
    models.write_weights(path, model)
    assert models.read_weights(path) == (0.1, list(weights))
    with pytest.raises(ValueError, match="uncalibrated"):
        models.write_weights(path, dataclasses.replace(model, calibration=Calibration(slope=2.0)))
    for text in ["", "1\n", "1\n2\n3\n", "nan\n0\n", "1\n1\nx\n"]:
        path.write_text(text)
        with pytest.raises(fp.DecodeError, match="weights, line"):
            models.read_weights(path)


def test_the_reference_refuses_and_passes_over() -> None:
    model = LinearModel("identity", "s", "0" * 16, ("a", "b"), (), (1.0,), ((1.0, 1e308),))
    assert model.score([1.0, 0.0]) == (2.0,)
    assert model.score([1.0, None]) is None
    assert model.score([0.0, 1e10]) is None
    with pytest.raises(fp.SchemaMismatchError, match="2 inputs, got 1"):
        model.score([1.0])
    with pytest.raises(ValueError, match="do not fit"):
        dataclasses.replace(model, link="softmax")
