"""Rule 3 of the semantics: duplicates, late packets and gaps."""

from __future__ import annotations

from typing import Any

from .model import Instrument, Packet

LATE_PACKETS = 64
LATE_SPAN_NS = 5_000_000_000

OK = "ok"
GAP = "gap"
DUPLICATE = "duplicate"
DUPLICATE_CONFLICT = "duplicate_conflict"
LATE = "late"


class Sequencer:
    """What is remembered of the last accepted book packet."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.forget()

    def forget(self) -> None:
        """A new session: no last sequence, no last packet."""
        self.last_seq: int | None = None
        self.last_seq_content: Any = None
        self.last_ts: int | None = None
        self.last_content: Any = None
        self.late_count = 0
        self.late_since = 0

    def classify(self, packet: Packet) -> str:
        """The verdict over a book packet that is subject to the test. Changes nothing but the late run."""
        verdict = self._verdict(packet)
        if verdict == LATE:
            if self.late_count == 0:
                self.late_since = packet.ts_event
            self.late_count += 1
        else:
            self.late_count = 0
        return verdict

    def late_run_is_too_long(self, packet: Packet) -> bool:
        """Whether the run of late packets that ends here says that a reset was missed."""
        return self.late_count >= LATE_PACKETS or packet.ts_event - self.late_since >= LATE_SPAN_NS

    def accept(self, packet: Packet) -> None:
        """Remember a book packet that is about to be applied."""
        if packet.seq != 0:
            self.last_seq = packet.seq
            self.last_seq_content = packet.content
        self.last_ts = packet.ts_event
        self.last_content = packet.content
        self.late_count = 0

    def _verdict(self, packet: Packet) -> str:
        how = self.instrument.sequencing
        if how == "arrival":
            return OK
        if how == "source_time" or packet.seq == 0:
            return self._by_source_time(packet)
        return OK if self.last_seq is None else self._by_venue_id(packet, self.last_seq)

    def _by_source_time(self, packet: Packet) -> str:
        if self.last_ts is None:
            return OK
        if packet.ts_event < self.last_ts:
            return LATE
        if packet.ts_event == self.last_ts and packet.content == self.last_content:
            return DUPLICATE
        return OK

    def _by_venue_id(self, packet: Packet, last: int) -> str:
        if packet.seq == last:
            return DUPLICATE if packet.content == self.last_seq_content else DUPLICATE_CONFLICT
        if packet.seq < last:
            return LATE
        if packet.prev_seq != 0:
            missing = packet.prev_seq != last
        elif packet.first_seq != 0:
            missing = packet.first_seq > last + 1
        else:
            missing = self.instrument.feed == "snapshot" and packet.seq > last + 1
        return GAP if missing else OK
