"""Where the shared test data is."""

from pathlib import Path

PARITY = Path(__file__).resolve().parents[2]
CASES = PARITY / "cases"
GOLDEN = PARITY / "golden"
