//! The synthetic market as packets, without a file in between.

use market_model::{BookOp, Instrument, Packet, PacketKind, Run};

use super::config::SyntheticConfig;
use super::stream::SyntheticStream;
use super::{SyntheticKind, SyntheticMessage};
use crate::error::Error;
use crate::format::binance::sync::{Chain, Ids, Sync, Verdict};
use crate::source::{Source, SourceStats};

/// A synthetic market whose messages are joined to their snapshots like those of a recording: the
/// packets are those of reading the file that `write_binance` makes.
///
/// ```
/// use market_io::{Source, synthetic::{SyntheticConfig, SyntheticSource}};
/// let mut source = SyntheticSource::new(&SyntheticConfig::default())?;
/// let mut packet = market_model::Packet::default();
/// while source.next_packet(&mut packet)? {}
/// assert_eq!(source.stats().snapshots, 1);
/// # Ok::<(), market_io::Error>(())
/// ```
#[derive(Debug)]
pub struct SyntheticSource {
    instrument: Instrument,
    stream: SyntheticStream,
    start_ns: i64,
    message: SyntheticMessage,
    sync: Sync,
    stats: SourceStats,
}

impl SyntheticSource {
    /// A market at its beginning.
    ///
    /// # Errors
    ///
    /// See [`SyntheticConfig::instrument`].
    pub fn new(config: &SyntheticConfig) -> Result<Self, Error> {
        Ok(Self {
            instrument: config.instrument()?,
            stream: SyntheticStream::new(config)?,
            start_ns: config.start_ns,
            message: SyntheticMessage::default(),
            sync: Sync::new(Chain::Futures),
            stats: SourceStats::default(),
        })
    }

    /// Fills the packet from the message; `true` when it is to be handed out.
    fn convert(&mut self, packet: &mut Packet) -> bool {
        let message = &self.message;
        packet.clear();
        packet.symbol_id = self.instrument.symbol_id;
        packet.ts_event_ns = message.ts_event_ns;
        packet.ts_recv_ns = message.ts_recv_ns;
        match message.kind {
            SyntheticKind::BookTicker => {
                self.stats.ignore(b"bookTicker");
                false
            }
            SyntheticKind::Trade => {
                packet.trades.push(message.trade);
                true
            }
            SyntheticKind::Diff => self.diff(packet),
            SyntheticKind::Snapshot => {
                packet.kind = PacketKind::Snapshot;
                push_levels(message, packet);
                let last = self.sync.snapshot(message.seq, packet);
                self.stats.dropped_updates = self.sync.dropped;
                match last {
                    Some(last) => {
                        packet.seq = last;
                        self.stats.snapshots += 1;
                    }
                    None => self.stats.unused_snapshots += 1,
                }
                last.is_some()
            }
        }
    }

    fn diff(&mut self, packet: &mut Packet) -> bool {
        let message = &self.message;
        self.stats.depth_updates += 1;
        push_levels(message, packet);
        (packet.first_seq, packet.seq, packet.prev_seq) =
            (message.first_seq, message.seq, message.prev_seq);
        let ids = Ids {
            first: message.first_seq,
            last: message.seq,
            prev: message.prev_seq,
            ts_event_ns: message.ts_event_ns,
        };
        let verdict = self.sync.update(ids, packet);
        self.stats.dropped_updates = self.sync.dropped;
        match verdict {
            Verdict::Emit { prev } => packet.prev_seq = prev,
            Verdict::Gap => self.stats.gaps += 1,
            Verdict::Hold | Verdict::Drop => return false,
        }
        if packet.run_ends.is_empty() {
            packet.run_ends.push(Run { op: BookOp::SetBid, end: 0 });
        }
        true
    }
}

fn push_levels(message: &SyntheticMessage, packet: &mut Packet) {
    for &level in &message.bids {
        packet.push_level(BookOp::SetBid, level);
    }
    for &level in &message.asks {
        packet.push_level(BookOp::SetAsk, level);
    }
}

impl Source for SyntheticSource {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn next_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        while self.stream.next_message(&mut self.message) {
            self.stats.records += 1;
            if self.convert(packet) {
                self.stats.packets += 1;
                return Ok(true);
            }
        }
        packet.clear();
        Ok(false)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    /// Event time passed and total, ns: there are no bytes.
    fn progress(&self) -> (u64, u64) {
        let (done, total) = self.stream.elapsed_ns(self.start_ns);
        (done.max(0).cast_unsigned(), total.max(0).cast_unsigned())
    }
}
