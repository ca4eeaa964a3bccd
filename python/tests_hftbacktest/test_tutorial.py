"""Every command of the tutorial, over a recorded stream and over a synthetic one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars
import pytest
from conftest import ROOT

import featureplane as fp

PAGE = ROOT / "docs" / "howto" / "backtest-a-model.md"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_commands_of_the_tutorial_run(
    array_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(array_file, tmp_path / "day.npz")
    monkeypatch.chdir(tmp_path)
    here = os.environ | {"PYTHONPATH": str(Path(fp.__file__).parents[1])}
    names: dict[str, object] = {}
    languages = [language for language, _ in blocks()]
    assert (languages.count("python"), languages.count("sh")) == (5, 2)
    for language, text in blocks():
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            continue
        command = [sys.executable, *text.split()[1:]]
        ran = subprocess.run(command, env=here, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        print(ran.stdout)
    said = capsys.readouterr().out
    assert "every signal is the same" in said
    assert "signals are the same at" in said
    runs = names["runs"]
    assert isinstance(runs, list)
    assert runs[0].trades > 0
    assert runs[0].profit == pytest.approx(runs[1].profit, abs=1e-9)
    scores = polars.read_parquet(tmp_path / "scores.parquet")["p_up"]
    assert 100 < scores.count() < len(scores)
    assert "<svg" in (tmp_path / "backtest.html").read_text()
    assert (tmp_path / "again.html").is_file()
    assert (tmp_path / "model.svg").is_file()
