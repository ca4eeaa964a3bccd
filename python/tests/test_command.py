from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import featureplane as fp

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
