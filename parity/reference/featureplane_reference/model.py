"""The input vocabulary: instruments, packets and quality flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GAP_DETECTED = 1 << 0
STATE_RESET = 1 << 1
STALE_INPUT = 1 << 2
OUT_OF_ORDER_INPUT = 1 << 3
PARTIAL_FEATURES = 1 << 4
DUPLICATE_INPUT = 1 << 5
CROSSED_BOOK = 1 << 6
LOCKED_BOOK = 1 << 7
ONE_SIDED_BOOK = 1 << 8
REJECTED_INPUT = 1 << 9
TS_ANOMALY = 1 << 10
SATURATED = 1 << 11
UNVERIFIED_BOOK = 1 << 12
CHECKSUM_MISMATCH = 1 << 13

FLAG_NAMES = (
    "GAP_DETECTED",
    "STATE_RESET",
    "STALE_INPUT",
    "OUT_OF_ORDER_INPUT",
    "PARTIAL_FEATURES",
    "DUPLICATE_INPUT",
    "CROSSED_BOOK",
    "LOCKED_BOOK",
    "ONE_SIDED_BOOK",
    "REJECTED_INPUT",
    "TS_ANOMALY",
    "SATURATED",
    "UNVERIFIED_BOOK",
    "CHECKSUM_MISMATCH",
)

PACKET_KINDS = ("delta", "snapshot", "reset", "heartbeat", "rejected", "rejected_trade")
BOOK_OPS = ("set_bid", "set_ask", "clear_bid", "clear_ask")
ORDER_OPS = ("add", "modify", "cancel", "fill")
DEFAULT_MAX_AGE_NS = 10_000_000_000


def flag_names(bits: int) -> list[str]:
    """The names of the set bits, lowest first."""
    return [name for bit, name in enumerate(FLAG_NAMES) if bits >> bit & 1]


@dataclass(frozen=True)
class Instrument:
    """What a feed delivers and how its integers scale."""

    symbol_id: int
    price_scale: int
    qty_scale: int
    tick_scaled: int
    lot_scaled: int
    feed: str
    sequencing: str
    max_age_ns: int | None = DEFAULT_MAX_AGE_NS
    symbol: str = ""
    venue: str = ""

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Instrument:
        """Build from the ``instrument`` object of a packet log or case; unknown keys are refused."""
        instrument = cls(**raw)
        if instrument.feed not in ("delta", "snapshot"):
            raise ValueError(f"unknown feed {instrument.feed!r}")
        if instrument.sequencing not in ("venue", "source_time", "arrival"):
            raise ValueError(f"unknown sequencing {instrument.sequencing!r}")
        return instrument


@dataclass(frozen=True)
class Packet:
    """The events of one exchange message. Prices are ticks, quantities lots; 0 is an absent stamp."""

    kind: str
    ts_event: int = 0
    ts_recv: int = 0
    seq: int = 0
    first_seq: int = 0
    prev_seq: int = 0
    checksum_mismatch: bool = False
    runs: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    trades: list[Any] = field(default_factory=list)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Packet:
        """Build from one line of a packet log."""
        kind = raw["k"]
        if kind not in PACKET_KINDS:
            raise ValueError(f"unknown packet kind {kind!r}")
        runs = raw.get("runs", [])
        for op, _ in runs:
            if op not in BOOK_OPS:
                raise ValueError(f"unknown book operation {op!r}")
        orders = raw.get("o", [])
        for op, _, side, _, _ in orders:
            if op not in ORDER_OPS or side not in ("bid", "ask"):
                raise ValueError(f"unknown order event {op!r} of side {side!r}")
        return cls(
            kind=kind,
            ts_event=raw.get("e", 0),
            ts_recv=raw.get("r", 0),
            seq=raw.get("s", 0),
            first_seq=raw.get("f", 0),
            prev_seq=raw.get("p", 0),
            checksum_mismatch=bool(raw.get("c", 0)),
            runs=runs,
            orders=orders,
            trades=raw.get("t", []),
        )

    @property
    def has_book_content(self) -> bool:
        """A book packet has at least one run or order event, or is a snapshot."""
        return self.kind == "snapshot" or (self.kind == "delta" and bool(self.runs or self.orders))

    @property
    def has_trades(self) -> bool:
        """A trade packet has at least one trade."""
        return self.kind in ("delta", "snapshot") and bool(self.trades)

    @property
    def content(self) -> tuple[Any, Any, Any]:
        """What two packets must share to be called equal."""
        return (self.runs, self.orders, self.trades)
