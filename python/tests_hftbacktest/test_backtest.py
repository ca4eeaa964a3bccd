"""The backtest of a model over a table and in hftbacktest: the same signals, fills and money."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, new_asset

import featureplane as fp
from featureplane import hftbacktest as fh
from featureplane import models
from featureplane.backtest import Rules, differences, over_table
from featureplane.backtest.__main__ import main
from featureplane.backtest.hft import in_hftbacktest
from featureplane.models import Calibration, LinearModel

SET = "l2_linear_v1"
CLASSES: dict[Any, tuple[str, ...]] = {
    "identity": (), "logistic": ("down", "up"), "softmax": ("down", "flat", "up"),
}  # fmt: skip
ENTER = {"identity": 0.8, "logistic": 0.2, "softmax": 0.3}


def a_model(link: Any, path: Path, calibration: Calibration = Calibration()) -> LinearModel:  # noqa: B008
    """Write a model that follows the imbalances, with noise on every column that is not a price."""
    described = fp.describe_set(SET)
    names = tuple(column["name"] for column in described["features"])
    rng = random.Random(5)
    row = {name: rng.gauss(0.0, 0.05) for name in names} | {
        "qi_0": 1.0,
        "qi_1": 0.3,
        "mid": 0.0,
        "microprice": 0.0,
    }
    rows = max(1, len(CLASSES[link]) if link == "softmax" else 1)
    leans = [1.0] if rows == 1 else [-1.0, 0.0, 1.0]
    weights = tuple(tuple(lean * row[name] for name in names) for lean in leans)
    bare = LinearModel(
        link, SET, described["schema_hash"], names, CLASSES[link], (0.01,) * rows, weights, calibration
    )
    inputs = tuple(rng.gauss(0.0, 1.0) for _ in names)
    scores = bare.score(inputs)
    assert scores is not None
    model = dataclasses.replace(bare, test_vectors=((inputs, scores),))
    path.write_text(model.to_json())
    return model


def rules(link: str, **changes: Any) -> Rules:
    return dataclasses.replace(Rules(ENTER[link], 0.05, 0.001, 0.1), **changes)


@pytest.mark.parametrize("link", CLASSES)
def test_signals_fills_and_money_are_the_same(array_file: str, tmp_path: Path, link: str) -> None:
    path = tmp_path / "model.json"
    curve = Calibration(0.9, 0.02, ((0.2, 0.1), (0.5, 0.45), (0.9, 1.0)) if link == "logistic" else ())
    model = a_model(link, path, curve)
    table = models.score(array_file, path, format="hftbacktest", tick_size="0.1", lot_size="0.001")
    one = over_table(table, model, rules(link))
    other = in_hftbacktest(array_file, path, rules(link), lot_size=0.001)
    assert differences(one, other) == []
    assert one.packets[-1] == table.num_rows > 1_000
    assert one.trades == other.trades > 10
    assert np.isfinite(one.edges).sum() > 500
    np.testing.assert_allclose(one.equity, other.equity, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(one.paid, other.paid, rtol=0.0, atol=1e-9)
    assert one.position == pytest.approx(other.position, abs=1e-12)


def test_the_comparison_sees_other_costs_and_other_models(synthetic: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    model = a_model("softmax", path)
    table = models.score(synthetic, path, tick_size="0.1", lot_size="0.001")
    one = over_table(table, model, rules("softmax"))
    slow = in_hftbacktest(synthetic, path, rules("softmax", entry_ns=300_000_000), lot_size=0.001)
    assert differences(one, slow) == [], "signals do not depend on fills"
    assert np.abs(one.equity - slow.equity).max() > 1e-6
    late = dataclasses.replace(rules("softmax"), start_ns=int(one.times_ns[len(one.times_ns) // 2]))
    after, there = over_table(table, model, late), in_hftbacktest(synthetic, path, late, lot_size=0.001)
    assert 0 < after.trades == there.trades < one.trades
    np.testing.assert_allclose(after.equity, there.equity, rtol=0.0, atol=1e-9)
    dear = in_hftbacktest(synthetic, path, rules("softmax", taker_fee=0.001), lot_size=0.001)
    assert dear.fees == pytest.approx(2.0 * one.fees)
    a_model("softmax", path, Calibration(slope=1.0000001))
    (said,) = differences(one, in_hftbacktest(synthetic, path, rules("softmax"), lot_size=0.001))
    assert said.startswith("edges differ at ")


def test_a_model_of_other_columns_is_refused(synthetic: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    a_model("identity", path)
    asset = new_asset(synthetic)
    with pytest.raises(fp.SchemaMismatchError, match=f"set `{SET}`.*`core_v1`"):
        asset.features("core_v1", model=path)
    feed = asset.features(SET, model=path)
    assert feed.outputs == ("score",)
    assert np.isnan(feed.scores).all()
    feed.advance(int(fh.END))
    assert np.isfinite(feed.scores).all()
    with pytest.raises(fp.ConfigError, match="no score `p_up`; there are score"):
        feed.output("p_up")
    with pytest.raises(fp.ConfigError, match="have a model already"):
        feed._raw.score_with(str(path))


@pytest.mark.parametrize("name", ["trees_multiclass", "xgboost_3_2_multiclass"])
def test_trees_of_several_classes_have_a_score_each(synthetic: str, name: str) -> None:
    path = ROOT / "crates" / "feature-infer" / "tests" / "models" / f"{name}.json"
    table = models.score(synthetic, path, format="hftbacktest", tick_size="0.1", lot_size="0.001")
    feed = new_asset(synthetic).features(SET, model=path)
    assert feed.outputs == ("p_down", "p_flat", "p_up")
    feed.advance(int(fh.END))
    row = table.to_polars()[-1]
    assert feed.scores.tolist() == [row[output][0] for output in feed.outputs]
    assert [feed.output(output) for output in feed.outputs] == [0, 1, 2]


def test_the_command_writes_one_page(
    synthetic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_model("logistic", tmp_path / "model.json")
    model, page = str(tmp_path / "model.json"), str(tmp_path / "page.html")
    options = ["--input", synthetic, "--model", model, "--tick-size", "0.1", "--lot-size", "0.001"]
    options += ["--quantity", "0.001", "--out", page]
    assert main([*options, "--enter", "0.2"]) == 0
    assert "signals are the same at " in capsys.readouterr().out
    assert "bit for bit" in (tmp_path / "page.html").read_text()
    with pytest.raises(SystemExit, match="2"):
        main([*options, "--enter", "-1"])
    assert main([*options[:2], "--model", "absent.json", *options[4:], "--enter", "0.2"]) == 1
    assert "absent.json" in capsys.readouterr().err
