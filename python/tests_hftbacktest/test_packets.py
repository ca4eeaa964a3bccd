"""The example of `docs/explain/packets.md`: the same rows, summed per packet and per row."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import ROOT

TOOL = ROOT / "tools" / "packet_boundary.py"


def test_the_sum_by_row_has_the_other_sign(recorded: str) -> None:
    done = subprocess.run([sys.executable, TOOL, recorded], capture_output=True, text=True, check=True)
    page = (ROOT / "docs" / "explain" / "packets.md").read_text()
    said = re.findall(r"[-+]?\d+\.\d{3}", done.stdout)
    assert len(said) >= 2, done.stdout
    for value in (float(text) for text in said[:2]):
        assert f"{value:+.3f}" in page or f"{value:.3f}" in page, done.stdout
    assert float(said[0]) * float(said[1]) < 0
