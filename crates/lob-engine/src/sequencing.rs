//! Is a book packet new, repeated, late, or is something missing before it? Rules D1, D2, D3, D6.

use market_model::{
    FeedKind, LATE_RUN_PACKETS, LATE_RUN_SPAN_NS, Packet, Sequencing, StateError, StateReader,
    StateWriter,
};

/// Verdict on one book packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Follows the last one.
    Next,
    /// Follows the last one, and something is missing between the two.
    AfterGap,
    /// Seen before; `conflict` when its content is not the content seen before.
    Duplicate { conflict: bool },
    /// Older than the last one; `hopeless` when so many are that a reset was missed.
    Late { hopeless: bool },
}

/// What the last accepted book packet of a symbol was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Id of the last accepted book packet; 0 when it had none.
    pub(crate) applied_seq: u64,
    /// Last id that was not 0.
    last_seq: u64,
    last_ts_ns: Option<i64>,
    last_content: u32,
    late_run: u64,
    late_since_ns: i64,
}

impl Sequence {
    /// Judges a book packet; nothing is changed but the run of late packets.
    pub(crate) fn judge(&mut self, packet: &Packet, feed: FeedKind, by: Sequencing) -> Order {
        let order = match by {
            Sequencing::Arrival => Order::Next,
            Sequencing::Venue if packet.seq != 0 => self.by_id(packet, feed),
            Sequencing::Venue | Sequencing::SourceTime => self.by_time(packet),
        };
        match order {
            Order::Late { .. } => {
                if self.late_run == 0 {
                    self.late_since_ns = packet.ts_event_ns;
                }
                self.late_run += 1;
                let span_ns = packet.ts_event_ns - self.late_since_ns;
                Order::Late {
                    hopeless: self.late_run >= LATE_RUN_PACKETS || span_ns >= LATE_RUN_SPAN_NS,
                }
            }
            Order::Duplicate { .. } => {
                self.late_run = 0;
                order
            }
            other => other,
        }
    }

    fn by_id(&self, packet: &Packet, feed: FeedKind) -> Order {
        let last = self.last_seq;
        if last == 0 {
            return Order::Next;
        }
        if packet.seq == last {
            return Order::Duplicate { conflict: content_hash(packet) != self.last_content };
        }
        if packet.seq < last {
            return Order::Late { hopeless: false };
        }
        let missing = if packet.prev_seq != 0 {
            packet.prev_seq != last
        } else if packet.first_seq != 0 {
            packet.first_seq > last + 1
        } else {
            feed == FeedKind::Snapshot && packet.seq > last + 1
        };
        if missing { Order::AfterGap } else { Order::Next }
    }

    fn by_time(&self, packet: &Packet) -> Order {
        match self.last_ts_ns {
            Some(last_ns) if packet.ts_event_ns < last_ns => Order::Late { hopeless: false },
            Some(last_ns)
                if packet.ts_event_ns == last_ns && content_hash(packet) == self.last_content =>
            {
                Order::Duplicate { conflict: false }
            }
            _ => Order::Next,
        }
    }

    /// Remembers an accepted book packet.
    pub(crate) fn accept(&mut self, packet: &Packet, by: Sequencing) {
        self.late_run = 0;
        self.applied_seq = packet.seq;
        self.last_seq = if packet.seq == 0 { self.last_seq } else { packet.seq };
        self.last_ts_ns = Some(packet.ts_event_ns);
        if by != Sequencing::Arrival {
            self.last_content = content_hash(packet);
        }
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        out.u64(self.applied_seq);
        out.u64(self.last_seq);
        out.opt_i64(self.last_ts_ns);
        out.u64(self.last_content.into());
        out.u64(self.late_run);
        out.i64(self.late_since_ns);
    }

    pub(crate) fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let (applied_seq, last_seq) = (from.u64()?, from.u64()?);
        let (last_ts_ns, content) = (from.opt_i64()?, from.u64()?);
        let last_content = u32::try_from(content).map_err(|_| from.invalid("content", &content))?;
        let (late_run, late_since_ns) = (from.u64()?, from.i64()?);
        Ok(Self { applied_seq, last_seq, last_ts_ns, last_content, late_run, late_since_ns })
    }
}

/// CRC32C over the level changes, the bounds of the runs, the order events, and the trades.
fn content_hash(packet: &Packet) -> u32 {
    let mut hash = crc32c::crc32c(bytemuck::cast_slice(&packet.levels));
    for run in &packet.run_ends {
        let [a, b, c, d] = run.end.to_le_bytes();
        hash = crc32c::crc32c_append(hash, &[run.op as u8, a, b, c, d]);
    }
    for event in &packet.orders {
        hash = crc32c::crc32c_append(hash, &event.order_id.to_le_bytes());
        hash = crc32c::crc32c_append(hash, &event.price_ticks.to_le_bytes());
        hash = crc32c::crc32c_append(hash, &event.qty_lots.to_le_bytes());
        hash = crc32c::crc32c_append(hash, &[event.side as u8, event.op as u8]);
    }
    for trade in &packet.trades {
        hash = crc32c::crc32c_append(hash, &trade.price_ticks.to_le_bytes());
        hash = crc32c::crc32c_append(hash, &trade.qty_lots.to_le_bytes());
        hash = crc32c::crc32c_append(hash, &[trade.aggressor as u8]);
    }
    hash
}
