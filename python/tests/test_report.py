"""The page about a table says what is in it."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

import featureplane as fp


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> fp.FeatureTable:
    day = tmp_path_factory.mktemp("report") / "day.gz"
    fp.write_synthetic(day, seed=3, duration_s=60.0, gaps=2)
    return fp.extract(day, features="lob_shared_v3", progress=False)


def cells(page: str) -> dict[str, list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return {row[0]: row[1:] for row in (re.findall(r"<td>(.*?)</td>", line) for line in rows) if row}


def test_the_page_has_the_numbers_of_the_table(table: fp.FeatureTable, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    fp.report(table, path, title="A <day>")
    page, frame = path.read_text(), table.to_polars()
    assert page.startswith("<!doctype html>")
    assert "<h1>A &lt;day&gt;</h1>" in page
    assert not re.search(r"<(script|link|img|iframe)|href=.http", page), "nothing is loaded"
    shown = cells(page)
    assert shown["rows"] == [f"{frame.height:,}"]
    flagged = frame.filter(pl.col("quality_flags") != 0).height
    assert flagged > 0
    assert shown["rows with a quality flag"] == [f"{flagged:,} ({100 * flagged / frame.height:.2f} %)"]
    for name in frame.columns[7:]:
        values = frame[name].cast(pl.Float64)
        nulls, mean, _, low, _, median, _, high = shown[name]
        assert nulls == f"{100 * values.null_count() / len(values):.2f}"
        wanted = [values.mean(), values.min(), values.quantile(0.5, "nearest"), values.max()]
        assert [mean, low, median, high] == [f"{value:.6g}" for value in wanted]
    gaps = frame.filter(pl.col("quality_flags") & int(fp.QualityFlags.GAP_DETECTED) != 0).height
    assert f"<!-- GAP_DETECTED ({gaps:,}) -->" in page
    assert page.count("<svg") == 5


def test_the_same_table_gives_the_same_page(table: fp.FeatureTable, tmp_path: Path) -> None:
    fp.report(table, tmp_path / "a.html")
    fp.report(table.to_polars(), tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_table_without_rows_or_features_is_refused(table: fp.FeatureTable, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="ts_event, quality_flags missing"):
        fp.report(pl.DataFrame({"price": [1.0]}), path)
    with pytest.raises(ValueError, match="no rows"):
        fp.report(table.to_polars().head(0), path)
    assert not path.exists()
