"""The packet log: one header line, then one packet per line."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .model import Instrument, Packet


@dataclass(frozen=True)
class Header:
    """What the packets of a log belong to."""

    instrument: Instrument
    schema_hash: int
    feature_set: dict[str, Any]


def read(path: Path) -> tuple[Header, Iterator[Packet]]:
    """The header and the packets of a log, compressed or not."""
    lines = _lines(path)
    raw = json.loads(next(lines))
    if raw.get("featureplane_packets") != 1:
        raise ValueError(f"{path}: no packet log of version 1")
    header = Header(Instrument.from_json(raw["instrument"]), int(raw["schema_hash"], 16), raw["feature_set"])
    return header, (Packet.from_json(json.loads(line)) for line in lines if line.strip())


def _lines(path: Path) -> Iterator[str]:
    raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    with raw, io.TextIOWrapper(raw, encoding="utf-8") as text:
        yield from text
