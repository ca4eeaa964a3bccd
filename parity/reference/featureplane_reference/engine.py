"""Rules 1 to 11 of the semantics: from one packet to at most one frame."""

from __future__ import annotations

import math
from collections import Counter
from typing import Protocol

from . import model, sequencing
from .book import Book
from .families.base import Feature, Value, View
from .frame import Frame
from .model import Instrument, Packet
from .numeric import MASK64, clamp_i64, word_of_float
from .sequencing import Sequencer

EMPTY = "empty"
LIVE = "live"
AWAITING = "awaiting_snapshot"

FUTURE_NS = 5_000_000_000
JUMP_NS = 24 * 3600 * 1_000_000_000
CROSSED_NS = 1_000_000_000
CROSSED_PACKETS = 1_000


class Listener(Protocol):
    """Who wants to know about frames and about the clock (see ``rows.py``)."""

    def on_clock(self, t_eff: int) -> None:
        """The clock stands at ``t_eff``; the packet that moved it is not applied yet."""

    def on_frame(self, frame: Frame, has_trades: bool, is_gap_frame: bool) -> None:
        """A frame was made."""

    def on_reset(self) -> None:
        """A new epoch begins; it has no frame yet."""


class Engine:
    """The state of one symbol."""

    def __init__(self, instrument: Instrument, features: list[Feature], schema_hash: int = 0) -> None:
        self.instrument = instrument
        self.features = features
        self.schema_hash = schema_hash
        self.listener: Listener | None = None
        self.counters: Counter[str] = Counter()
        self.price_unit = 10**instrument.price_scale
        self.qty_unit = 10**instrument.qty_scale

        self.book = Book(instrument.tick_scaled, instrument.lot_scaled)
        self.sequencer = Sequencer(instrument)
        self.status = EMPTY
        self.pending = 0
        self.epoch = 0
        self.snapshot_seen = False
        self.t_eff: int | None = None
        self.last_event_time: dict[bool, int] = {}  # by channel: book packets or others
        self.clear_kernel()

    def clear_kernel(self) -> None:
        """What ends with an epoch, except the book."""
        self.frame_seq = 0
        self.last_frame: Frame | None = None
        self.t_first = 0
        self.t_gap: int | None = None
        self.gap_carried = False
        self.book_applied = False
        self.source_seq = 0
        self.last_book_t = 0
        self.crossed_packets = 0
        self.crossed_since = 0
        for feature in self.features:
            feature.reset()

    def new_epoch(self) -> None:
        """A new session (D5)."""
        self.clear_kernel()
        self.epoch += 1
        self.pending |= model.STATE_RESET
        if self.listener:
            self.listener.on_reset()

    # -- one packet -------------------------------------------------------------------------------

    def push(self, packet: Packet) -> Frame | None:
        """Process one packet; return its frame if it has one."""
        if self.listener:
            event_time, _ = self.event_time(packet)
            self.listener.on_clock(event_time if self.t_eff is None else max(self.t_eff, event_time))
        if packet.kind == "reset":
            return self.session_reset()
        if packet.kind in ("rejected", "rejected_trade"):
            self.pending |= model.REJECTED_INPUT
            if packet.kind == "rejected_trade":
                return None
            return self.lose_book(packet) if self.instrument.feed == "delta" else None

        if self.status == AWAITING and packet.kind != "snapshot":
            self.counters["awaiting"] += 1
            return None
        is_book = packet.has_book_content
        verdict = sequencing.OK
        is_tested = packet.kind == "delta" or self.instrument.feed == "snapshot"
        if is_book and is_tested and self.status != AWAITING:
            verdict = self.sequencer.classify(packet)
        if verdict in (sequencing.DUPLICATE, sequencing.DUPLICATE_CONFLICT):
            self.counters["duplicates" if verdict == sequencing.DUPLICATE else "duplicate_conflicts"] += 1
            self.pending |= model.DUPLICATE_INPUT
            return None
        if verdict == sequencing.LATE:
            self.counters["late"] += 1
            self.pending |= model.OUT_OF_ORDER_INPUT
            return self.lose_book(packet) if self.sequencer.late_run_is_too_long(packet) else None

        if verdict == sequencing.GAP:
            self.counters["gaps"] += 1
            if self.instrument.feed == "delta":
                return self.lose_book(packet)

        replaces = packet.kind == "snapshot" or (is_book and self.instrument.feed == "snapshot")
        if is_book:
            self.book.check_capacity(packet.runs, replaces)
            self.book.check_orders(packet.runs, packet.orders, replaces)

        flags = self.advance_clock(packet, is_book)
        if verdict == sequencing.GAP:
            flags |= model.GAP_DETECTED
        if is_book:
            self.apply(packet, replaces)
        return self.emit(packet, is_book, verdict == sequencing.GAP, flags)

    def session_reset(self) -> None:
        """Rule 1."""
        self.book.clear()
        self.sequencer.forget()
        self.new_epoch()
        by_id = self.instrument.feed == "delta" and self.instrument.sequencing == "venue"
        self.status = AWAITING if by_id else EMPTY

    def lose_book(self, packet: Packet) -> Frame | None:
        """Rule D3: the book can no longer be trusted; at most one frame says so."""
        if self.status != LIVE:
            return None
        self.status = AWAITING
        if self.last_frame is None:
            self.pending |= model.GAP_DETECTED
            return None
        last = self.last_frame
        event_time, _ = self.event_time(packet)
        flags = model.GAP_DETECTED | model.PARTIAL_FEATURES | self.standing_flags()
        return self.write(
            packet,
            event_time=event_time,
            source_seq=packet.seq if packet.has_book_content else self.source_seq,
            flags=flags,
            changed=0,
            ready=last.warmup_ready_mask,
            valid=0,
            is_gap_frame=True,
        )

    # -- rule 6: time -----------------------------------------------------------------------------

    def event_time(self, packet: Packet) -> tuple[int, bool]:
        """The event time of a packet, and whether its own stamp was not usable (D17, D18)."""
        fallback = packet.ts_recv or self.t_eff or 0
        if packet.ts_event == 0:
            return fallback, True
        if packet.ts_recv:
            far = packet.ts_event - packet.ts_recv > FUTURE_NS
        else:
            far = self.t_eff is not None and packet.ts_event - self.t_eff > JUMP_NS
        return (fallback, True) if far else (packet.ts_event, False)

    def advance_clock(self, packet: Packet, is_book: bool) -> int:
        """Move ``t_eff``; return the flags that describe the stamps."""
        event_time, anomaly = self.event_time(packet)
        anomaly |= is_book in self.last_event_time and event_time < self.last_event_time[is_book]
        self.last_event_time[is_book] = event_time
        self.t_eff = event_time if self.t_eff is None else max(self.t_eff, event_time)
        flags = model.TS_ANOMALY if anomaly else 0
        max_age = self.instrument.max_age_ns
        if max_age is not None and packet.ts_event and packet.ts_recv:
            flags |= model.STALE_INPUT if packet.ts_recv - packet.ts_event > max_age else 0
        return flags

    # -- rules 7 and 8: the book ------------------------------------------------------------------

    def apply(self, packet: Packet, replaces: bool) -> None:
        """Apply the runs of a book packet."""
        if packet.kind == "snapshot":
            if self.instrument.feed == "delta" or self.status == AWAITING:
                if self.book_applied:
                    self.new_epoch()
                self.sequencer.forget()
            self.snapshot_seen = True
        if replaces:
            self.book.clear()
        if packet.orders or self.book.orders is not None:
            if self.book.apply_orders(packet.runs, packet.orders, self.t_eff or 0, replaces):
                self.snapshot_seen = False
        else:
            self.book.apply(packet.runs)
        self.sequencer.accept(packet)
        self.status = LIVE
        self.book_applied = True
        self.source_seq = packet.seq
        self.last_book_t = self.t_eff or 0

    def standing_flags(self) -> int:
        """Flags of every frame of a feed that cannot be verified."""
        if self.instrument.sequencing == "source_time":
            return model.UNVERIFIED_BOOK
        if self.instrument.feed == "delta" and not self.snapshot_seen:
            return model.UNVERIFIED_BOOK
        return 0

    # -- rules 9 to 11: the frame -----------------------------------------------------------------

    def emit(self, packet: Packet, is_book: bool, gap: bool, flags: int) -> Frame | None:
        """Judge the book, step the features and write the frame."""
        now = self.t_eff or 0
        bid, ask = self.book.bids.level(0), self.book.asks.level(0)
        one_sided = bid is None or ask is None
        crossed = not one_sided and bid[0] > ask[0]
        frozen = one_sided or crossed
        flags |= self.standing_flags()
        if one_sided:
            flags |= model.ONE_SIDED_BOOK | model.PARTIAL_FEATURES
        elif crossed:
            flags |= model.CROSSED_BOOK | model.PARTIAL_FEATURES
        elif bid[0] == ask[0]:
            flags |= model.LOCKED_BOOK
        if packet.checksum_mismatch:
            flags |= model.CHECKSUM_MISMATCH
        lost = packet.checksum_mismatch or self.crossed_too_long(crossed, is_book, now)

        frame = None
        if self.last_frame is not None or (self.status == LIVE and not frozen):
            frame = self.step(packet, is_book, gap, frozen, flags, now)
        if lost and self.status == LIVE:
            self.status = AWAITING
        return frame

    def crossed_too_long(self, crossed: bool, is_book: bool, now: int) -> bool:
        """Rule 9: a book that stays crossed is a broken book, on a delta feed."""
        if not crossed:
            self.crossed_packets = 0
            return False
        if is_book:
            if self.crossed_packets == 0:
                self.crossed_since = now
            self.crossed_packets += 1
        too_long = self.crossed_packets > CROSSED_PACKETS or now - self.crossed_since > CROSSED_NS
        return too_long and self.instrument.feed == "delta"

    def step(self, packet: Packet, is_book: bool, gap: bool, frozen: bool, flags: int, now: int) -> Frame:
        """Section 3: every feature steps, keeps its state, or is frozen."""
        first = self.last_frame is None
        if first:
            self.t_first = now
        # A gap on a frozen book: nothing can be anchored until the next two-sided book packet.
        gap_step = is_book and (gap or (self.gap_carried and not frozen))
        if gap_step:
            self.t_gap = now
            self.gap_carried = frozen
        view = View(
            book=self.book,
            now=now,
            last_book_t=self.last_book_t,
            gap_step=gap_step,
            ts_event=packet.ts_event,
            ts_recv=packet.ts_recv,
            price_unit=self.price_unit,
            frozen=frozen,
            trades=packet.trades if packet.has_trades else [],
            tick=self.instrument.tick_scaled,
            lot=self.instrument.lot_scaled,
            qty_unit=10**self.instrument.qty_scale,
        )
        if not frozen:
            view.bid, view.bid_qty = self.book.bids.level(0)
            view.ask, view.ask_qty = self.book.asks.level(0)

        changed = ready = valid = 0
        steps = {"clock": True, "trades": bool(view.trades), "book": is_book and not frozen}
        for i, feature in enumerate(self.features):
            feature.stepped = feature.clamped = False
            is_frozen = frozen and feature.reads == "book"
            if gap_step:
                feature.break_chain()
            if steps[feature.reads]:
                feature.advance(view)
            elif not is_frozen:
                feature.idle(view)
            feature.settle(view)
            flags |= model.SATURATED if feature.clamped else 0
            if not is_frozen:
                word, saturated = encode(feature)
                flags |= model.SATURATED if saturated else 0
                if word is not None:
                    valid |= 1 << i
                    if word != feature.word:
                        changed |= 1 << i
                    feature.word = word
            if self.is_ready(feature, now):
                ready |= 1 << i
        if first:
            changed = (1 << len(self.features)) - 1
        return self.write(
            packet,
            # The clock never runs back, the event time of a packet may.
            event_time=self.last_event_time[is_book],
            source_seq=self.source_seq,
            flags=flags,
            changed=changed,
            ready=ready,
            valid=valid,
        )

    def is_ready(self, feature: Feature, now: int) -> bool:
        """The warm-up rule of section 3."""
        if feature.steps < feature.warmup_min_events or now - self.t_first < feature.warmup_min_ns:
            return False
        if feature.is_window and self.t_gap is not None:
            return now - self.t_gap >= feature.warmup_min_ns
        return True

    def write(
        self,
        packet: Packet,
        *,
        event_time: int,
        source_seq: int,
        flags: int,
        changed: int,
        ready: int,
        valid: int,
        is_gap_frame: bool = False,
    ) -> Frame:
        """Make the frame; the pending flags go with it."""
        self.frame_seq += 1
        frame = Frame(
            schema_hash=self.schema_hash,
            symbol_id=self.instrument.symbol_id,
            seq=self.frame_seq,
            source_seq=source_seq,
            source_ts_ns=event_time,
            local_ts_ns=packet.ts_recv,
            epoch=self.epoch,
            quality_flags=flags | self.pending,
            changed_mask=changed,
            warmup_ready_mask=ready,
            valid_mask=valid,
            words=tuple(feature.word for feature in self.features),
        )
        self.pending = 0
        self.last_frame = frame
        if self.listener:
            self.listener.on_frame(frame, packet.has_trades, is_gap_frame)
        return frame

    def sample(self, now: int) -> list[int | None]:
        """The words of a row at the grid point ``now``, from the state before it."""
        assert self.last_frame is not None
        words: list[int | None] = []
        for i, feature in enumerate(self.features):
            if not self.last_frame.valid_mask >> i & 1:
                words.append(None)
            elif feature.resamples:
                words.append(encode_value(feature.at(now, self.last_book_t), feature.dtype)[0])
            else:
                words.append(self.last_frame.words[i])
        return words


def encode(feature: Feature) -> tuple[int | None, bool]:
    """The word of a feature, ``None`` if it has no value, and whether it saturated."""
    return encode_value(feature.value, feature.dtype)


def encode_value(value: Value, dtype: str) -> tuple[int | None, bool]:
    """The 64 bits of a value, and whether it saturated."""
    if value is None:
        return None, False
    if dtype == "f64":
        return (word_of_float(value), False) if math.isfinite(value) else (None, False)
    if dtype == "u32":
        return value, False
    clamped = clamp_i64(value)
    return clamped & MASK64, clamped != value
