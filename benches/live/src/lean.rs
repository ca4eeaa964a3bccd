//! One strategy in three ways: features by hand, by an engine of its own, from the shared table.
//!
//! It leans with the queue while the spread is one tick. What callgrind counts is not inlined.

use std::collections::BTreeMap;

use anyhow::Result;
use feature_kernel::{FeatureSet, FeatureSpec};
use feature_runtime::{Latest, LatestReader, SymbolEngine};
use market_model::{BookOp, Instrument, Packet, PacketKind};

/// Imbalance from which it leans.
const ENTER: f64 = 0.6;

/// Where it leans: long 1, short -1, aside 0.
fn lean(imbalance: f64, spread_ticks: i64) -> i64 {
    match imbalance {
        _ if spread_ticks != 1 => 0,
        x if x > ENTER => 1,
        x if x < -ENTER => -1,
        _ => 0,
    }
}

/// The strategy as it is without a feature plane: its own book, its own imbalance, nothing else.
#[derive(Default)]
pub struct ByHand {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl ByHand {
    fn apply(&mut self, packet: &Packet) {
        if packet.kind == PacketKind::Snapshot {
            self.bids.clear();
            self.asks.clear();
        }
        for (op, levels) in packet.runs() {
            let side = match op {
                BookOp::SetBid => &mut self.bids,
                BookOp::SetAsk => &mut self.asks,
                // The recording has snapshots instead.
                BookOp::ClearBid | BookOp::ClearAsk => continue,
            };
            for level in levels {
                if level.qty_lots == 0 {
                    side.remove(&level.price_ticks);
                } else {
                    side.insert(level.price_ticks, level.qty_lots);
                }
            }
        }
    }

    /// Takes a packet and decides.
    #[inline(never)]
    pub fn decide_by_hand(&mut self, packet: &Packet) -> i64 {
        self.apply(packet);
        let (Some((bid, bid_qty)), Some((ask, ask_qty))) =
            (self.bids.last_key_value(), self.asks.first_key_value())
        else {
            return 0;
        };
        lean((bid_qty - ask_qty) as f64 / (bid_qty + ask_qty) as f64, ask - bid)
    }
}

/// The strategy with an engine of its own, for the three columns that it reads.
pub struct OwnEngine(SymbolEngine);

impl OwnEngine {
    pub fn new(instrument: &Instrument) -> Result<Self> {
        let column = |family: &str, column: &str| FeatureSpec {
            family: family.into(),
            column: column.into(),
            ..FeatureSpec::default()
        };
        let columns = [
            column("imbalance", "l1_imbalance"),
            column("top", "best_bid"),
            column("top", "best_ask"),
        ];
        Ok(Self(SymbolEngine::new(FeatureSet::new("lean", &columns)?.into(), instrument.clone())))
    }

    /// Takes a packet and decides; `None` without a frame or with a flag.
    #[inline(never)]
    pub fn decide_by_engine(&mut self, packet: &Packet) -> Option<i64> {
        let frame = self.0.process(packet)?;
        let [imbalance, bid, ask] = [0, 1, 2].map(|index| frame.value(index));
        let spread = ask?.cast_signed() - bid?.cast_signed();
        let is_clean = frame.header().quality.is_empty();
        is_clean.then(|| lean(f64::from_bits(imbalance.unwrap_or_default()), spread))
    }
}

/// The strategy that consumes the plane: no book, no feature.
pub struct Shared {
    reader: LatestReader,
    latest: Latest,
    columns: [usize; 3],
}

impl Shared {
    pub fn new(reader: LatestReader, set: &FeatureSet) -> Self {
        let columns = ["l1_imbalance", "best_bid", "best_ask"];
        let columns = columns.map(|name| set.index_of(name).expect("core_v1 has it"));
        Self { reader, latest: Latest::default(), columns }
    }

    /// Copies the latest frame and decides; `None` without a frame or with a flag.
    #[inline(never)]
    pub fn decide_from_table(&mut self) -> Option<i64> {
        if !self.reader.read(0, &mut self.latest).ok()? {
            return None;
        }
        let frame = self.latest.frame();
        let [imbalance, bid, ask] = self.columns.map(|index| frame.value(index));
        let spread = ask?.cast_signed() - bid?.cast_signed();
        let is_clean = frame.header().quality.is_empty();
        is_clean.then(|| lean(f64::from_bits(imbalance.unwrap_or_default()), spread))
    }
}
