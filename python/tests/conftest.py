"""Data and logs that several tests use."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import featureplane as fp

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
T0 = 1_723_161_256_000_000_000

INSTRUMENT = {
    "symbol_id": 0,
    "symbol": "BTCUSDT",
    "venue": "",
    "price_scale": 1,
    "qty_scale": 3,
    "tick_scaled": 1,
    "lot_scaled": 1,
    "feed": "delta",
    "sequencing": "venue",
    "max_age_ns": 10_000_000_000,
}


def packet(kind: str, at_ns: int, seq: int, runs: list[Any], trades: list[Any]) -> dict[str, Any]:
    times = {"e": T0 + at_ns, "r": T0 + at_ns + 1_000_000}
    return {"k": kind, **times, "s": seq, "f": seq, "p": seq - 1, "c": 0, "runs": runs, "t": trades}


PACKETS = [
    packet("snapshot", 0, 1, [["set_bid", [[618_001, 696]]], ["set_ask", [[618_003, 12]]]], []),
    packet("delta", 100_000_000, 2, [["set_ask", [[618_003, 10]]]], [[618_003, 2, "buy"]]),
    packet("delta", 200_000_000, 3, [["set_bid", [[618_002, 5]]], ["clear_ask", [[618_003, 0]]],
                                     ["set_ask", [[618_004, 9]]]], []),
]  # fmt: skip


def write_log(path: Path, features: str = "lob_shared_v1") -> Path:
    described = fp.describe_set(features)
    file = ROOT / "specs" / "sets" / f"{features}.json"
    header = {
        "featureplane_packets": 1,
        "instrument": INSTRUMENT,
        "schema_hash": described["schema_hash"],
        "feature_set": json.loads(described["canonical_json"]),
        "feature_set_json": json.loads(file.read_text()),
    }
    lines = [header, *PACKETS]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "packets.ndjson")


@pytest.fixture
def engine() -> fp.FeatureEngine:
    return fp.FeatureEngine("lob_shared_v1", {"BTCUSDT": {"tick_size": "0.1", "lot_size": "0.001"}})


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synthetic") / "day.gz"
    fp.write_synthetic(path, seed=7, duration_s=60.0, duplicates=3)
    return path


@pytest.fixture
def real() -> Path:
    path = DATA / "binance" / "usdm_btcusdt_20240808.gz"
    if not path.exists():
        pytest.skip(f"no recorded data at {path}")
    return path


def oib(bids: dict[float, float], asks: dict[float, float], halflife_bps: int) -> float:
    """Imbalance of the notional, halved every `halflife_bps` from the mid: the formula of the replay plan."""
    mid = (max(bids) + min(asks)) / 2

    def weighted(levels: dict[float, float]) -> float:
        near = ((p, q) for p, q in levels.items() if abs(p / mid - 1) * 10_000 <= halflife_bps * 40)
        return math.fsum(
            p * q * math.exp(-math.log(2) / (halflife_bps * 1e-4) * abs(p / mid - 1)) for p, q in near
        )

    bid, ask = weighted(bids), weighted(asks)
    return (bid - ask) / (bid + ask)


def book_states(
    recording: Path, times_ms: list[int]
) -> Iterator[tuple[dict[float, float], dict[float, float]]]:
    """Books of a USD-M recording strictly before the given times, from its JSON lines."""
    waiting: list[dict[str, Any]] = []
    books: list[dict[float, float]] = []
    due = iter(times_ms)
    next_ms: float = next(due)
    with gzip.open(recording, "rt") as lines:
        for line in lines:
            body = json.loads(line.partition(" ")[2])
            if "lastUpdateId" in body:
                books = [{float(p): float(q) for p, q in body[side]} for side in ("bids", "asks")]
                waiting = [update for update in waiting if update["u"] >= body["lastUpdateId"]]
            elif body.get("data", {}).get("e") == "depthUpdate":
                waiting.append(body["data"])
            while books and waiting:
                update = waiting.pop(0)
                while update["T"] >= next_ms:
                    yield books[0], books[1]
                    next_ms = next(due, math.inf)
                apply(books, update)


def apply(books: list[dict[float, float]], update: dict[str, Any]) -> None:
    for book, side in zip(books, ("b", "a"), strict=True):
        for price, qty in ((float(p), float(q)) for p, q in update[side]):
            if qty:
                book[price] = qty
            else:
                book.pop(price, None)
