//! A fixed tape: a seeded random walk with the shape of a busy futures feed.
//!
//! It is made here, not by `market_io::synthetic`: a change of that generator must not move the
//! recorded counts.

use market_model::{BookOp, FeedKind, Instrument, Level, Packet, PacketKind, Sequencing};

/// Packets after the snapshot.
pub const PACKETS: usize = 1_000;
/// Longer than the tape, ns.
pub const LENGTH_NS: i64 = 200_000_000_000;
const SEED: u64 = 20_240_808;
const START_TICKS: i64 = 618_000;
const SNAPSHOT_LEVELS: i64 = 1_000;
/// Level changes of each side in most packets.
const CHANGES: u64 = 30;

struct Rng(u64);

impl Rng {
    /// A number below `end` (xorshift64*).
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    /// A number below `end` as a signed integer, small ones more often.
    fn near(&mut self, end: u64) -> i64 {
        let cap = self.below(end) + 1;
        self.below(cap).cast_signed()
    }
}

/// The instrument of the tape.
///
/// # Panics
///
/// Never: the sizes are constants.
#[must_use]
pub fn instrument() -> Instrument {
    let mut btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").expect("sizes are decimals");
    (btc.feed, btc.sequencing) = (FeedKind::Delta, Sequencing::Arrival);
    btc
}

/// The tape, told later by some time: a snapshot and [`PACKETS`] packets.
#[must_use]
pub fn packets(later_ns: i64) -> Vec<Packet> {
    let mut rng = Rng(SEED);
    let mut mid = START_TICKS;
    let mut now_ns = 1_723_161_255_000_000_000 + later_ns;
    let mut packets = vec![packet(PacketKind::Snapshot, now_ns)];
    for op in [BookOp::SetBid, BookOp::SetAsk] {
        for level in 1..=SNAPSHOT_LEVELS {
            let qty_lots = 1 + rng.near(50_000);
            packets[0].push_level(op, Level::new(away(mid, op, level), qty_lots));
        }
    }
    for _ in 0..PACKETS {
        now_ns += 1_000_000 + rng.near(80_000_000);
        let next_mid = mid + rng.near(4) - rng.near(4);
        let mut packet = packet(PacketKind::Delta, now_ns);
        for op in [BookOp::SetBid, BookOp::SetAsk] {
            // Levels that the new mid has run over are deleted, those it leaves behind are set.
            let behind = (next_mid - mid) * if op == BookOp::SetBid { 1 } else { -1 };
            for level in 1..=-behind {
                packet.push_level(op, Level::new(away(mid, op, level), 0));
            }
            for level in 1..=behind {
                packet.push_level(op, Level::new(away(next_mid, op, level), 1 + rng.near(9_000)));
            }
            // A quiet packet now and then: one change.
            let changes = if rng.below(8) == 0 { 1 } else { CHANGES };
            for _ in 0..changes {
                let level = 1 + rng.near(20_000);
                let is_delete = level > 3 && rng.below(3) == 0;
                let qty_lots = if is_delete { 0 } else { 1 + rng.near(50_000) };
                packet.push_level(op, Level::new(away(next_mid, op, level), qty_lots));
            }
        }
        mid = next_mid;
        packets.push(packet);
    }
    packets
}

fn packet(kind: PacketKind, now_ns: i64) -> Packet {
    Packet { kind, ts_event_ns: now_ns, ts_recv_ns: now_ns + 2_000_000, ..Packet::default() }
}

/// The price some levels away from the mid.
fn away(mid: i64, op: BookOp, levels: i64) -> i64 {
    if op == BookOp::SetBid { mid - levels } else { mid + levels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tape_is_fixed_and_never_crosses() {
        let (packets, again) = (packets(0), packets(0));
        assert_eq!(packets, again);
        let changes: usize = packets.iter().map(|p| p.levels.len()).sum();
        let mut book = lob_engine::Book::new(BookNeeds::top(5));
        for packet in &packets {
            book.apply(packet).unwrap();
            assert_eq!(book.shape(), lob_engine::BookShape::TwoSided);
        }
        assert_eq!((packets.len(), changes), (PACKETS + 1, 56_362));
        assert!(packets[PACKETS].ts_event_ns - packets[0].ts_event_ns < LENGTH_NS);
        assert!(book.levels(market_model::Side::Bid).len() > 1_000);
    }
}
