"""The backtest over a table: cases by hand, rules, and what the page says."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featureplane as fp
from featureplane import models
from featureplane.backtest import (
    Rules,
    Run,
    differences,
    edge,
    edge_places,
    next_target,
    over_table,
    write_report,
)
from featureplane.backtest._table import _Market, _replay
from featureplane.models import LinearModel

RULES = Rules(0.5, 0.1, 2.0, 0.5, 0.001, entry_ns=10, response_ns=5)
NAN = math.nan


def played(
    scores: list[float], received: list[int], mids: list[float], spreads: list[float], clock: list[int],
    rules: Rules = RULES,
) -> Run:  # fmt: skip
    market = _Market(np.array(mids), np.array(spreads), clock, list(range(len(clock))), rules)
    return _replay(market, np.array(received), np.array(scores).reshape(-1, 1), (0, -1, 0.0), rules)


def test_an_order_meets_the_quotes_at_the_exchange_when_it_arrives() -> None:
    # Sent at 100, at the exchange at 110: the row of 110 stands, bid 103.5, ask 104.5; known after 115.
    run = played(
        [0.9, 0.9, 0.9, 0.9, 0.9], [100, 112, 115, 116, 200], [100.0, 102.0, 104.0, 106.0, 108.0],
        [1.0] * 5, [95, 105, 110, 111, 190],
    )  # fmt: skip
    assert run.targets.tolist() == [1, 1, 1, 1, 1]
    assert (run.trades, run.position, run.balance) == (1, 2.0, -209.0)
    assert run.fees == pytest.approx(0.209)
    assert run.equity.tolist() == pytest.approx([0.0, 0.0, 0.0, 212.0 - 209.209, 216.0 - 209.209])
    assert run.paid.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.209, 0.209])


def test_a_reversal_trades_two_positions_and_one_order_is_under_way() -> None:
    run = played([0.9, -0.9, -0.9, -0.9, NAN], [100, 105, 120, 140, 500], [100.0] * 5, [1.0] * 5,
                 [100, 105, 120, 140, 500])  # fmt: skip
    assert run.targets.tolist() == [1, -1, -1, -1, -1]
    # Bought 2 at 100.5 (sent at 100), sold 4 at 99.5 (sent at 120: at 105 the first was under way).
    assert (run.trades, run.position, run.balance) == (2, -2.0, -201.0 + 398.0)
    assert run.fees == pytest.approx(0.201 + 0.398)
    assert run.profit == pytest.approx(197.0 - 200.0 - 0.599)


def test_what_would_cost_more_than_the_collar_is_not_filled() -> None:
    tight = dataclasses.replace(RULES, collar_ticks=3)
    for jump, trades in [(1.5, 1), (2.0, 0)]:
        run = played([0.9, 0.0, 0.0], [100, 120, 300], [100.0, 100.0 + jump, 100.0], [1.0] * 3,
                     [100, 110, 300], tight)  # fmt: skip
        assert run.trades == 2 * trades, "bought, and sold again when the edge was gone"


def test_without_quotes_nothing_is_sent_and_nothing_is_filled() -> None:
    blind = played([0.9, 0.9], [100, 500], [NAN, 100.0], [1.0, 1.0], [100, 500])
    assert (blind.trades, blind.equity.tolist()) == (0, [0.0, 0.0])
    gone = played([0.9, 0.0, 0.0], [100, 120, 500], [100.0, NAN, 100.0], [1.0, NAN, 1.0], [100, 110, 500])
    assert gone.trades == 0


def test_orders_that_nobody_would_hear_of_are_not_sent() -> None:
    assert played([0.9, 0.9], [100, 115], [100.0] * 2, [1.0] * 2, [100, 115]).trades == 0
    assert played([0.9, 0.9], [100, 116], [100.0] * 2, [1.0] * 2, [100, 116]).trades == 1


def test_nothing_is_sent_before_the_start() -> None:
    late = dataclasses.replace(RULES, start_ns=101)
    run = played([0.9] * 3, [100, 101, 200], [100.0, 103.0, 103.0], [1.0] * 3, [100, 101, 200], late)
    assert (run.trades, run.balance, run.targets.tolist()) == (1, -207.0, [1, 1, 1])


def test_packets_of_one_time_are_seen_together() -> None:
    run = played([0.9, -0.9, 0.0], [100, 100, 200], [100.0] * 3, [1.0] * 3, [99, 100, 200])
    assert (run.times_ns.tolist(), run.packets.tolist()) == ([100, 200], [2, 3])
    assert run.targets.tolist() == [-1, 0]


def test_targets_follow_the_edge() -> None:
    cases = [
        (0.6, 0, 1), (0.5, 0, 0), (-0.6, 1, -1), (0.3, 1, 1), (0.3, 0, 0), (0.3, -1, 0), (-0.3, -1, -1),
        (-0.3, 1, 0), (0.1, 1, 0), (-0.1, -1, 0), (NAN, 1, 1), (NAN, 0, 0),
    ]  # fmt: skip
    for value, before, after in cases:
        assert next_target(value, before, 0.5, 0.1) == after, (value, before)


def test_an_edge_is_made_of_the_scores_that_there_are() -> None:
    assert edge([0.2, 0.3, 0.5], *edge_places(("p_down", "p_flat", "p_up"))) == 0.3
    assert edge([0.75], *edge_places(("p_up",))) == 0.25
    assert edge([-3.0], *edge_places(("score",))) == -3.0
    assert math.isnan(edge([NAN], *edge_places(("score",))))
    with pytest.raises(ValueError, match="the model has p_a, p_b"):
        edge_places(("p_a", "p_b"))


@pytest.mark.parametrize("wrong", [
    {"leave": 0.6}, {"leave": -0.1}, {"quantity": 0.0}, {"tick_size": -1.0}, {"entry_ns": 0},
    {"collar_ticks": -1},
])  # fmt: skip
def test_rules_that_cannot_be_kept_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(RULES, **wrong)


@pytest.fixture(scope="module")
def model() -> LinearModel:
    names = [column["name"] for column in fp.describe_set("l2_linear_v1")["features"]]
    weights = tuple(2.0 if name == "qi_0" else 0.0 for name in names)
    schema = fp.describe_set("l2_linear_v1")["schema_hash"]
    plain = LinearModel("identity", "l2_linear_v1", schema, tuple(names), (), (0.0,), (weights,),
                        training=(1, 2, 3))  # fmt: skip
    zeros = (0.0,) * len(names)
    scores = plain.score(zeros)
    assert scores is not None
    return dataclasses.replace(plain, test_vectors=((zeros, scores),))


@pytest.fixture(scope="module")
def run(model: LinearModel, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("backtest")
    fp.write_synthetic(folder / "day.npz", kind="hftbacktest", seed=4, duration_s=20.0)
    (folder / "model.json").write_text(model.to_json())
    table = models.score(folder / "day.npz", folder / "model.json", tick_size="0.1", lot_size="0.001")
    return over_table(table, model, Rules(1.0, 0.2, 0.001, 0.1))


def test_a_table_is_played_to_its_end(run: Run) -> None:
    assert run.trades > 10
    assert run.packets[-1] > 1_000
    assert set(run.targets) == {-1, 0, 1}
    assert run.fees > 0.0
    assert run.equity[-1] == run.profit


def one_ulp(run: Run) -> Run:
    edges = run.edges.copy()
    place = np.flatnonzero(~np.isnan(edges))[5]
    edges[place] = math.nextafter(edges[place], math.inf)
    return dataclasses.replace(run, edges=edges)


def lost_score(run: Run) -> Run:
    edges = run.edges.copy()
    edges[np.flatnonzero(~np.isnan(edges))[5]] = NAN
    return dataclasses.replace(run, edges=edges)


def other_target(run: Run) -> Run:
    return dataclasses.replace(run, targets=np.append(run.targets[:-1], 7))


def lost_packet(run: Run) -> Run:
    arrays = ("times_ns", "packets", "edges", "targets", "equity", "paid")
    return dataclasses.replace(run, **{name: getattr(run, name)[1:] for name in arrays})


@pytest.mark.parametrize("defect", [one_ulp, lost_score, other_target, lost_packet])
def test_planted_differences_are_found_and_said(
    run: Run, model: LinearModel, tmp_path: Path, defect: Any
) -> None:
    assert differences(run, dataclasses.replace(run, name="other")) == []
    other = dataclasses.replace(defect(run), name="other")
    assert len(differences(run, other)) == 1
    assert not write_report(tmp_path / "page.html", model, RULES, [run, other])
    assert "The signals differ" in (tmp_path / "page.html").read_text()


def test_the_page_says_results_costs_and_origin(run: Run, model: LinearModel, tmp_path: Path) -> None:
    other = dataclasses.replace(run, name="other")
    assert write_report(tmp_path / "page.html", model, RULES, [run, other])
    page = (tmp_path / "page.html").read_text()
    said = ["table and other: every score and signal is the same", f"{run.fees:,.4f}", f"{run.profit:,.4f}",
            "10 bp of the traded value", "1e-05 ms to the exchange, 5e-06 ms back", model.checksum,
            model.schema_hash, "<svg"]  # fmt: skip
    for text in said:
        assert text in page, text
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert "not after the training" not in page
    late = dataclasses.replace(model, training=(1, int(run.times_ns[0]), 3))
    write_report(tmp_path / "page.html", late, RULES, [run])
    page = (tmp_path / "page.html").read_text()
    assert "not after the training" in page
    assert "nothing checks it" in page
