"""Bars of event time (``specs/bars.md``): frames are kept and added up when their bar ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import model
from .engine import AWAITING, Engine
from .frame import Frame
from .model import Packet
from .numeric import I64_MAX, QUANTUM, float_of_word, quantised, ratio, word_of_float

BREAKS = model.GAP_DETECTED | model.STATE_RESET
I128_MAX = (1 << 127) - 1


@dataclass
class Bar:
    """The frames of one bar, with the trades of their packets."""

    start: int
    epoch: int = 0
    frames: list[tuple[Frame, list[Any]]] = field(default_factory=list)


class BarWriter:
    """Follows an engine packet by packet and hands bars, as NDJSON lines, to ``sink``."""

    def __init__(self, engine: Engine, durations: list[int], *, empty: bool, sink: Callable[[str], None]) -> None:
        self.engine = engine
        self.empty = empty
        self.sink = sink
        self.places = {feature.name: i for i, feature in enumerate(engine.features)}
        self.open: dict[int, Bar | None] = dict.fromkeys(durations)
        self.covered_from: int | None = None

    def push(self, packet: Packet, frame: Frame | None) -> None:
        """Take a packet that the engine has processed, with its frame."""
        now = self.engine.t_eff or 0
        for duration in self.open:
            self.close(duration, now)
        if frame is not None and now:
            for duration, bar in self.open.items():
                kept = bar or Bar(now // duration * duration)
                kept.frames.append((frame, packet.trades if packet.has_trades else []))
                kept.epoch = frame.epoch
                self.open[duration] = kept
        if self.engine.status == AWAITING or self.engine.last_frame is None:
            self.covered_from = None
        elif self.covered_from is None and now:
            self.covered_from = now

    def close(self, duration: int, now: int) -> None:
        """Write the bars that end at ``now`` or before."""
        bar = self.open[duration]
        while bar is not None and bar.start + duration <= now:
            covered = self.covered_from is not None and self.covered_from <= bar.start
            if bar.frames or self.empty:
                self.sink(self.line(bar, duration, complete=covered and not quality(bar) & BREAKS))
            following = bar.start + duration if self.empty else now // duration * duration
            bar = self.open[duration] = Bar(following, bar.epoch)

    def flush(self) -> None:
        """The end of the input: what no packet has ended is written as it is."""
        for duration, bar in self.open.items():
            if bar is not None and bar.frames:
                self.sink(self.line(bar, duration, complete=False))

    def line(self, bar: Bar, duration: int, *, complete: bool) -> str:
        """One bar as one line; floats are the bits, ``None`` where there is no value."""
        mids = self.integers(bar, "mid_price_x2")
        spreads = self.integers(bar, "spread_scaled")
        known: list[Any] = []
        for frame, trades in bar.frames:
            known += trades if self.word(frame, "trade_count") is not None else []
        tick, lot = self.engine.instrument.tick_scaled, self.engine.instrument.lot_scaled
        volume = sum(qty * lot for _, qty, _ in known)
        notional = sum(price * tick * qty * lot for price, qty, _ in known)
        returns = [int(x * 2.0**52) for x in self.floats(bar, "log_return_step")]
        squares = min(sum(r * r for r in returns), I128_MAX)
        price, quantity = self.engine.price_unit, self.engine.qty_unit

        def mid(values: list[int]) -> float | None:
            return ratio(values[0], 2 * price) if values else None

        values = {
            "open": mid(mids[:1]),
            "high": mid(sorted(mids)[-1:]),
            "low": mid(sorted(mids)[:1]),
            "close": mid(mids[-1:]),
            "mean_spread": ratio(sum(spreads), len(spreads) * price),
            "min_spread": ratio(min(spreads), price) if spreads else None,
            "max_spread": ratio(max(spreads), price) if spreads else None,
            "mean_rel_spread": mean(self.floats(bar, "rel_spread")),
            "mean_imbalance_l1": mean(self.floats(bar, "l1_imbalance")),
            "ofi": ratio(sum(self.integers(bar, "ofi_l1_raw")), quantity),
            "realized_variance": float(squares) / 2.0**104,
            "volume": ratio(volume, quantity),
            "buy_volume": ratio(sum(self.integers(bar, "buy_qty")), quantity),
            "sell_volume": ratio(sum(self.integers(bar, "sell_qty")), quantity),
            "vwap": ratio(notional, volume * price),
        }
        words = {name: None if x is None else f"{word_of_float(x):016x}" for name, x in values.items()}
        integers = {
            "bar_start": bar.start,
            "duration_ns": duration,
            "complete": int(complete),
            "epoch": bar.epoch,
            "quality_flags": quality(bar),
            "frames": len(bar.frames),
            "quotes": len(mids),
            "trade_count": len(known),
        }
        return json.dumps({**integers, **words}, separators=(",", ":"))

    def word(self, frame: Frame, name: str) -> int | None:
        """The word of a column where it is defined."""
        place = self.places[name]
        return frame.words[place] if frame.valid_mask >> place & 1 else None

    def words(self, bar: Bar, name: str) -> Iterable[int]:
        """The defined words of a column."""
        return (word for frame, _ in bar.frames if (word := self.word(frame, name)) is not None)

    def integers(self, bar: Bar, name: str) -> list[int]:
        """The defined values of an integer column."""
        return [word - (1 << 64) if word > I64_MAX else word for word in self.words(bar, name)]

    def floats(self, bar: Bar, name: str) -> list[float]:
        """The defined values of a float column."""
        return [float_of_word(word) for word in self.words(bar, name)]


def quality(bar: Bar) -> int:
    """The quality bits of all frames joined."""
    bits = 0
    for frame, _ in bar.frames:
        bits |= frame.quality_flags
    return bits


def mean(values: list[float]) -> float | None:
    """The mean of floats as an exact sum of units of 2**-40."""
    return ratio(sum(quantised(x)[0] for x in values), len(values) * QUANTUM)
