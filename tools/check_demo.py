"""Load the table that the demo wrote, and say what is in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq


def main(folder: Path) -> int:
    """Print rows, columns and nulls of every Parquet file; fail when there is none or one is empty."""
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        print(f"{folder}: no Parquet file")
        return 1
    for path in files:
        table = pq.read_table(path)
        nulls = sum(column.null_count for column in table.columns)
        print(f"{path}: {table.num_rows} rows, {table.num_columns} columns, {nulls} null values")
        if table.num_rows == 0:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
