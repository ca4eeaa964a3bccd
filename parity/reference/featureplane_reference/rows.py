"""Section 5 of the semantics: from frames to rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from .engine import Engine
from .frame import Frame

MODES = ("packet", "trade", "step", "trade-or-step")


@dataclass(frozen=True)
class Row:
    """One row; a word is ``None`` where the value is undefined."""

    ts_event: int
    ts_recv: int | None
    seq: int
    epoch: int
    quality: int
    words: list[int | None]

    def to_json(self) -> str:
        """One line of NDJSON."""
        words = [None if word is None else f"{word:016x}" for word in self.words]
        raw = {
            "ts_event": self.ts_event,
            "ts_recv": self.ts_recv,
            "seq": self.seq,
            "epoch": self.epoch,
            "quality": self.quality,
            "words": words,
        }
        return json.dumps(raw, separators=(",", ":"))


def parse_emission(text: str) -> tuple[str, int]:
    """``packet``, ``trade``, ``step:NS`` or ``trade-or-step:NS`` as mode and step."""
    mode, _, step = text.partition(":")
    wants_step = mode in ("step", "trade-or-step")
    if mode not in MODES or wants_step != bool(step):
        raise ValueError(f"unknown emission {text!r}")
    step_ns = int(step) if wants_step else 0
    if wants_step and step_ns <= 0:
        raise ValueError("the step of an emission is positive")
    return mode, step_ns


class RowWriter:
    """Listens to an engine and hands rows to ``sink``."""

    def __init__(self, engine: Engine, emission: str, sink: Callable[[Row], None]) -> None:
        self.engine = engine
        self.sink = sink
        self.mode, self.step_ns = parse_emission(emission)
        self.flags_since_row = 0
        self.last_grid: int | None = None  # no grid point is closed twice
        self.next_grid: int | None = None  # None while the epoch has no frame
        engine.listener = self

    def on_clock(self, clock: int) -> None:
        """Close the grid points up to ``clock``, before the packet that passes them does anything."""
        while self.next_grid is not None and self.next_grid <= clock:
            frame = self.engine.last_frame
            assert frame is not None
            words = self.engine.sample(self.next_grid)
            self._write(self.next_grid, None, frame, words)
            self.last_grid = self.next_grid
            self.next_grid += self.step_ns

    def on_frame(self, frame: Frame, has_trades: bool, is_gap_frame: bool) -> None:
        """Write the row of a frame, if this emission has one."""
        self.flags_since_row |= frame.quality_flags
        if self.next_grid is None and self.step_ns:
            self.next_grid = ((self.engine.t_eff or 0) // self.step_ns + 1) * self.step_ns
            if self.last_grid is not None:
                self.next_grid = max(self.next_grid, self.last_grid + self.step_ns)
        of_trade = self.mode in ("trade", "trade-or-step") and has_trades and not is_gap_frame
        if self.mode == "packet" or of_trade:
            words = [word if frame.valid_mask >> i & 1 else None for i, word in enumerate(frame.words)]
            self._write(frame.source_ts_ns, frame.local_ts_ns or None, frame, words)

    def on_reset(self) -> None:
        """There is nothing to sample until the epoch has a frame."""
        self.next_grid = None

    def _write(self, ts_event: int, ts_recv: int | None, frame: Frame, words: list[int | None]) -> None:
        quality = frame.quality_flags | self.flags_since_row
        self.flags_since_row = 0
        self.sink(Row(ts_event, ts_recv, frame.seq, frame.epoch, quality, words))
