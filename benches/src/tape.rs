//! One recording in every form that an arm reads.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hftbacktest::types::{
    DEPTH_CLEAR_EVENT, EXCH_ASK_DEPTH_EVENT, EXCH_BID_DEPTH_EVENT, EXCH_EVENT, Event,
    LOCAL_ASK_DEPTH_EVENT, LOCAL_BID_DEPTH_EVENT, LOCAL_EVENT,
};
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_io::{OpenOptions, Source};
use market_model::{
    BookOp, EventFlags, EventKind, Instrument, MarketEvent, Packet, PacketKind, Sequencing,
};

/// A snapshot among so many first packets is the beginning of the tape: every arm begins with an
/// empty book, and wiping a flat array of the whole range would cost it more than the tape.
const EARLY_PACKETS: usize = 500;

/// A recording of one instrument.
pub struct Tape {
    /// Name for the table.
    pub name: String,
    /// The instrument.
    pub instrument: Instrument,
    /// Book packets as columns.
    pub packets: Vec<Packet>,
    /// The same level changes as 64-byte rows of hftbacktest.
    pub rows: Vec<Event>,
    /// Index of the row after the last row of each packet.
    pub row_ends: Vec<usize>,
    /// The same level changes as 64-byte rows of ours.
    pub events: Vec<MarketEvent>,
    /// Number of level changes.
    pub changes: u64,
    /// Lowest and highest price, ticks.
    pub range_ticks: (i64, i64),
}

/// Folder of the recorded data, beside the repository.
#[must_use]
pub fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

/// Options of the recorded hftbacktest file; `None` when it is not there.
#[must_use]
pub fn recorded_npz() -> Option<OpenOptions> {
    let path = recordings().join("hftbacktest/usdm_btcusdt_20240808.npz");
    path.exists().then(|| open_options(path))
}

/// Options of the recorded Binance stream; `None` when it is not there.
#[must_use]
pub fn recorded_gz() -> Option<OpenOptions> {
    let path = recordings().join("binance/usdm_btcusdt_20240808.gz");
    path.exists().then(|| open_options(path))
}

/// BTCUSDT perpetual: tick 0.1, lot 0.001.
#[must_use]
pub fn open_options(path: PathBuf) -> OpenOptions {
    OpenOptions {
        inputs: vec![path],
        symbol: Some("BTCUSDT".into()),
        tick_size: Some("0.1".into()),
        lot_size: Some("0.001".into()),
        ..OpenOptions::default()
    }
}

/// The synthetic market that stands in for a missing recording.
#[must_use]
pub fn stand_in() -> SyntheticConfig {
    SyntheticConfig {
        duration_ns: 340_000_000_000,
        events_per_packet: 80,
        ..SyntheticConfig::default()
    }
}

impl Tape {
    /// The recording, or the synthetic stand-in with a visible notice.
    ///
    /// # Errors
    ///
    /// When the source cannot be read or a packet cannot be told as rows.
    pub fn load() -> Result<Self> {
        match recorded_npz() {
            Some(options) => {
                Self::read("usdm_btcusdt_20240808", market_io::open(&options)?.as_mut())
            }
            None => {
                println!("SKIPPED recording: {} is absent", recordings().display());
                println!("using market_io::synthetic instead; its ratios are not the targets'\n");
                Self::read("synthetic", &mut SyntheticSource::new(&stand_in())?)
            }
        }
    }

    fn read(name: &str, source: &mut dyn Source) -> Result<Self> {
        let mut instrument = source.instrument().clone();
        // Every arm takes packets as they come: none pays for update ids.
        instrument.sequencing = Sequencing::Arrival;
        let mut tape = Self {
            name: name.into(),
            instrument,
            packets: Vec::new(),
            rows: Vec::new(),
            row_ends: Vec::new(),
            events: Vec::new(),
            changes: 0,
            range_ticks: (i64::MAX, i64::MIN),
        };
        let mut packet = Packet::default();
        while source.next_packet(&mut packet)? {
            if packet.touches_book() {
                if packet.kind == PacketKind::Snapshot && tape.packets.len() < EARLY_PACKETS {
                    tape.start_over();
                }
                tape.push(&packet)?;
            }
        }
        ensure!(tape.changes > 0, "the tape has no level changes");
        Ok(tape)
    }

    fn start_over(&mut self) {
        self.packets.clear();
        self.rows.clear();
        self.row_ends.clear();
        self.events.clear();
        (self.changes, self.range_ticks) = (0, (i64::MAX, i64::MIN));
    }

    fn push(&mut self, packet: &Packet) -> Result<()> {
        let mut own = Packet { levels: Vec::new(), run_ends: Vec::new(), ..packet.clone() };
        own.trades.clear();
        if packet.kind == PacketKind::Snapshot && !self.packets.is_empty() {
            self.rows.push(Event { ev: clear_flags(), ..empty_row(packet) });
        }
        let kind = if packet.kind == PacketKind::Snapshot {
            EventKind::SnapshotLevel
        } else {
            EventKind::LevelSet
        };
        for (op, levels) in packet.runs() {
            if !matches!(op, BookOp::SetBid | BookOp::SetAsk) {
                // A snapshot replaces the book, so that clearing first says nothing more.
                ensure!(packet.kind == PacketKind::Snapshot, "the tape clears a side");
                continue;
            }
            let is_bid = op == BookOp::SetBid;
            for level in levels {
                own.push_level(op, *level);
                self.rows.push(Event {
                    ev: if is_bid {
                        LOCAL_BID_DEPTH_EVENT | EXCH_BID_DEPTH_EVENT
                    } else {
                        LOCAL_ASK_DEPTH_EVENT | EXCH_ASK_DEPTH_EVENT
                    },
                    px: level.price_ticks as f64 * tick(&self.instrument),
                    qty: level.qty_lots as f64 * lot(&self.instrument),
                    ..empty_row(packet)
                });
                self.events.push(MarketEvent {
                    ts_event_ns: packet.ts_event_ns,
                    ts_recv_ns: packet.ts_recv_ns,
                    seq: packet.seq,
                    price_ticks: level.price_ticks,
                    qty_lots: level.qty_lots,
                    kind: kind as u8,
                    flags: if is_bid { EventFlags::BID.bits() } else { 0 },
                    ..MarketEvent::default()
                });
                self.range_ticks.0 = self.range_ticks.0.min(level.price_ticks);
                self.range_ticks.1 = self.range_ticks.1.max(level.price_ticks);
            }
            self.changes += levels.len() as u64;
        }
        own.levels.shrink_to_fit();
        if let Some(last) = self.events.last_mut() {
            last.flags |= EventFlags::LAST_OF_PACKET.bits();
        }
        self.row_ends.push(self.rows.len());
        self.packets.push(own);
        Ok(())
    }

    /// Level changes per packet.
    #[must_use]
    pub fn changes_per_packet(&self) -> f64 {
        self.changes as f64 / self.packets.len() as f64
    }

    /// The packets with all times moved on by the length of the tape and a second.
    #[must_use]
    pub fn continued(&self) -> Vec<Packet> {
        let time = |packet: Option<&Packet>| packet.map_or(0, |packet| packet.ts_event_ns);
        let by_ns = time(self.packets.last()) - time(self.packets.first()) + 1_000_000_000;
        let mut packets = self.packets.clone();
        for packet in &mut packets {
            packet.ts_event_ns += by_ns;
            packet.ts_recv_ns += by_ns;
        }
        packets
    }
}

/// Tick size as a float.
#[must_use]
pub fn tick(instrument: &Instrument) -> f64 {
    instrument.tick_scaled as f64 / 10_f64.powi(instrument.price_scale.into())
}

/// Lot size as a float.
#[must_use]
pub fn lot(instrument: &Instrument) -> f64 {
    instrument.lot_scaled as f64 / 10_f64.powi(instrument.qty_scale.into())
}

fn clear_flags() -> u64 {
    LOCAL_EVENT | EXCH_EVENT | DEPTH_CLEAR_EVENT
}

fn empty_row(packet: &Packet) -> Event {
    Event {
        ev: 0,
        exch_ts: packet.ts_event_ns,
        local_ts: packet.ts_recv_ns,
        px: 0.0,
        qty: 0.0,
        order_id: 0,
        ival: 0,
        fval: 0.0,
    }
}
