//! Plays the tapes through the engine and hashes what every column says.

use std::sync::Arc;

use anyhow::Result;
use feature_kernel::FeatureSet;
use feature_kernel::frame::bit;
use feature_runtime::SymbolEngine;
use market_model::Packet;

use super::cases;
use super::lock::{Entry, Lock};
use super::orders;
use super::tape::{self, Tape};

/// Every how many packets a row between packets is sampled.
const SAMPLE_EVERY: usize = 7;
/// How far after the packet it is sampled.
const SAMPLE_AFTER_NS: i64 = 40_000_000;

/// Revision of the rules between packet and book (`specs/semantics.md`, section 2). Bump it together
/// with a change of those rules: it shows in `cases` of every column, so that the new bits of columns
/// whose own definition stands can be recorded.
const BOOK_RULES: u32 = 1;

/// The family that is played on a feed of orders as well; others cannot tell one from levels.
const OF_ORDERS: &str = "order_flow_l3";

/// The lock of this build.
pub(super) fn lock() -> Result<Lock> {
    let set = Arc::new(cases::set()?);
    let of_levels = Played::new(&set, &tape::all());
    let of_orders = Played::new(&set, &[orders::tape()]);
    Ok(summarise(&set, &of_levels, &of_orders))
}

/// Tapes, and what every feature said on them.
struct Played {
    tape_hash: Vec<u8>,
    columns: Vec<blake3::Hasher>,
}

impl Played {
    fn new(set: &Arc<FeatureSet>, tapes: &[Tape]) -> Self {
        let mut columns: Vec<blake3::Hasher> = vec![blake3::Hasher::new(); set.len()];
        for tape in tapes {
            play(set, tape, &mut columns);
        }
        Self { tape_hash: hash_tapes(tapes), columns }
    }
}

fn play(set: &Arc<FeatureSet>, tape: &Tape, columns: &mut [blake3::Hasher]) {
    let mut engine = SymbolEngine::new(Arc::clone(set), tape.instrument.clone());
    for (number, packet) in tape.packets.iter().enumerate() {
        if let Some(frame) = engine.process(packet) {
            let (valid, ready) = (frame.valid_mask(), frame.warmup_ready_mask());
            for (index, (hasher, value)) in columns.iter_mut().zip(frame.values()).enumerate() {
                let bits = u8::from(bit(valid, index)) | u8::from(bit(ready, index)) << 1;
                hasher.update(&value.to_le_bytes());
                hasher.update(&[bits]);
            }
        }
        if number % SAMPLE_EVERY == 0
            && let Some(row) = engine.sample(engine.t_eff_ns() + SAMPLE_AFTER_NS)
        {
            for (index, (hasher, value)) in columns.iter_mut().zip(&row.values).enumerate() {
                hasher.update(&value.to_le_bytes());
                hasher.update(&[u8::from(bit(&row.valid, index))]);
            }
        }
    }
}

/// One entry per column of the registry: all its parameters together.
fn summarise(set: &FeatureSet, of_levels: &Played, of_orders: &Played) -> Lock {
    let mut lock = Lock::new();
    for (family, column) in crate::meta::columns() {
        let (mut inputs, mut outputs) = (blake3::Hasher::new(), blake3::Hasher::new());
        inputs.update(&BOOK_RULES.to_le_bytes());
        let mut played = vec![of_levels];
        played.extend((family.slug == OF_ORDERS).then_some(of_orders));
        for Played { tape_hash, columns } in played {
            inputs.update(tape_hash);
            for (feature, hasher) in set.features().iter().zip(columns) {
                if feature.column.id == column.id && feature.family.slug == family.slug {
                    inputs.update(cases::inputs(set, feature).as_bytes());
                    outputs.update(hasher.finalize().as_bytes());
                }
            }
        }
        let (cases, bits) = (first_word(&inputs) as u32, first_word(&outputs));
        let key = format!("{}.{}", family.slug, column.id);
        lock.insert(key, Entry { rev: column.rev, cases, bits });
    }
    lock
}

fn first_word(hasher: &blake3::Hasher) -> u64 {
    let digest = hasher.finalize();
    u64::from_le_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 8]))
}

/// Hash of instruments and packets, field by field.
fn hash_tapes(tapes: &[Tape]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    for tape in tapes {
        let i = &tape.instrument;
        let sizes = [i.tick_scaled, i.lot_scaled, i.price_scale.into(), i.qty_scale.into()];
        for size in sizes {
            hasher.update(&size.to_le_bytes());
        }
        hasher.update(&[i.feed as u8, i.sequencing as u8]);
        tape.packets.iter().for_each(|packet| hash_packet(&mut hasher, packet));
    }
    hasher.finalize().as_bytes().to_vec()
}

fn hash_packet(hasher: &mut blake3::Hasher, packet: &Packet) {
    let ids = [packet.seq, packet.first_seq, packet.prev_seq];
    let times = [packet.ts_event_ns, packet.ts_recv_ns].map(i64::cast_unsigned);
    let counts = [packet.kind as u64, packet.run_ends.len() as u64, packet.trades.len() as u64];
    for word in ids.into_iter().chain(times).chain(counts) {
        hasher.update(&word.to_le_bytes());
    }
    for run in &packet.run_ends {
        hasher.update(&[run.op as u8]);
        hasher.update(&run.end.to_le_bytes());
    }
    for level in &packet.levels {
        hasher.update(&level.price_ticks.to_le_bytes());
        hasher.update(&level.qty_lots.to_le_bytes());
    }
    for event in &packet.orders {
        for word in [event.price_ticks, event.qty_lots] {
            hasher.update(&word.to_le_bytes());
        }
        hasher.update(&event.order_id.to_le_bytes());
        hasher.update(&[event.side as u8, event.op as u8]);
    }
    for trade in &packet.trades {
        hasher.update(&trade.price_ticks.to_le_bytes());
        hasher.update(&trade.qty_lots.to_le_bytes());
        hasher.update(&[trade.aggressor as u8]);
    }
}

#[cfg(test)]
mod tests {
    use market_model::QualityFlags;

    use super::*;

    #[test]
    fn the_tapes_hold_everything_that_can_happen() {
        let set = Arc::new(cases::set().unwrap());
        let mut seen = QualityFlags::empty();
        let (mut duplicates, mut late, mut gaps, mut resets, mut rejected) = (0, 0, 0, 0, 0);
        for tape in tape::all() {
            let mut engine = SymbolEngine::new(Arc::clone(&set), tape.instrument);
            for packet in &tape.packets {
                if let Some(frame) = engine.process(packet) {
                    seen |= frame.header().quality;
                }
            }
            let counters = engine.counters();
            duplicates += counters.duplicates;
            late += counters.late;
            gaps += counters.gaps;
            resets += counters.resets;
            rejected += counters.rejected;
            assert!(counters.applied > 400, "{counters:?}");
        }
        assert!([duplicates, late, gaps, resets, rejected].iter().all(|n| *n > 0));
        for flag in [
            QualityFlags::GAP_DETECTED,
            QualityFlags::STATE_RESET,
            QualityFlags::OUT_OF_ORDER_INPUT,
            QualityFlags::PARTIAL_FEATURES,
            QualityFlags::DUPLICATE_INPUT,
            QualityFlags::CROSSED_BOOK,
            QualityFlags::LOCKED_BOOK,
            QualityFlags::ONE_SIDED_BOOK,
            QualityFlags::REJECTED_INPUT,
            QualityFlags::TS_ANOMALY,
            QualityFlags::UNVERIFIED_BOOK,
        ] {
            assert!(seen.contains(flag), "{flag:?} is in no tape");
        }
    }

    #[test]
    fn the_tape_of_orders_holds_everything_that_can_happen_to_orders() {
        let set = Arc::new(cases::set().unwrap());
        let tape = orders::tape();
        let mut engine = SymbolEngine::new(Arc::clone(&set), tape.instrument);
        let (mut seen, mut valid) = (QualityFlags::empty(), vec![0_u32; set.len()]);
        for packet in &tape.packets {
            if let Some(frame) = engine.process(packet) {
                seen |= frame.header().quality;
                for (index, count) in valid.iter_mut().enumerate() {
                    *count += u32::from(bit(frame.valid_mask(), index));
                }
            }
        }
        let faults = engine.book().order_faults();
        assert!(faults.unknown > 0 && faults.known == 0 && faults.overdrawn > 0, "{faults:?}");
        for flag in [
            QualityFlags::GAP_DETECTED,
            QualityFlags::STATE_RESET,
            QualityFlags::CROSSED_BOOK,
            QualityFlags::UNVERIFIED_BOOK,
        ] {
            assert!(seen.contains(flag), "{flag:?} is not in the tape");
        }
        for (feature, count) in set.features().iter().zip(valid) {
            if feature.family.slug == OF_ORDERS {
                assert!(count > 200, "{}: {count}", feature.name);
            }
        }
    }

    #[test]
    fn playing_twice_gives_the_same_lock() {
        assert_eq!(lock().unwrap(), lock().unwrap());
    }
}
