from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import featureplane as fp
from featureplane.live import LatestFrames

#: The console script of the environment, and the module.
COMMANDS = [[str(Path(sys.executable).with_name("featureplane"))], [sys.executable, "-m", "featureplane"]]


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_the_package_installs_the_command(command: list[str], tmp_path: Path) -> None:
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"featureplane {fp.__version__}\n"

    market = tmp_path / "market.npz"
    fp.write_synthetic(market, kind="hftbacktest", duration_s=2)
    out = tmp_path / "out.parquet"
    job = ["extract", "--input", str(market), "--symbol", "SYN", "--set", "lob_shared_v1", "--out", str(out)]
    done = subprocess.run([*command, *job, "--json"], capture_output=True, text=True, check=True)
    [summary] = json.loads(done.stdout)
    assert out.exists()
    assert summary["rows"] > 10


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_the_exit_codes_are_those_of_the_program(command: list[str], tmp_path: Path) -> None:
    def code(*arguments: str) -> int:
        return subprocess.run([*command, *arguments], capture_output=True).returncode

    assert code("--help") == 0
    assert code("extract") == 2
    assert code("inspect", str(tmp_path / "absent.gz")) == 3


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_the_live_plane_runs_from_the_package(command: list[str], tmp_path: Path) -> None:
    log, table = tmp_path / "log.ndjson", tmp_path / "latest.fp"
    fp.write_synthetic(log, kind="events", duration_s=4)
    live = [*command, "live", "--feed", f"replay:{log}", "--pace", "2x", "--latest", str(table)]
    process = subprocess.Popen(
        [*live, "--shadow", "runtime", "--metrics", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("metrics at http://127.0.0.1:")
    url = process.stderr.readline().split("page at ")[1].strip()
    with urllib.request.urlopen(url) as page:
        assert page.read().startswith(b"<!doctype html>")
    with urllib.request.urlopen(f"{url}state.json") as answer:
        assert json.load(answer)["feature_set"] == "core_v1"
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    summary = json.loads(out)
    assert summary["shadow"]["mismatched_frames"] == 0
    with LatestFrames(table, "core_v1") as frames:
        [symbol] = frames.symbols
        latest = frames.read(symbol)
        assert latest is not None
        assert latest.published == summary["symbols"][0]["frames"] > 10
