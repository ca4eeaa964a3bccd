//! One recorded session in two formats gives the same features.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use feature_runtime::SymbolEngine;
use jobs::set;
use market_io::OpenOptions;
use market_model::{Instrument, Packet, PacketKind};

/// Files of the shared recordings, or `None` with a visible note.
fn shared(names: [&str; 2]) -> Option<[PathBuf; 2]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.is_dir() {
        eprintln!("skipped: {} is absent", root.display());
        return None;
    }
    Some(names.map(|name| root.join(name)))
}

fn read(path: PathBuf) -> (Instrument, Vec<Packet>) {
    let options = OpenOptions { inputs: vec![path], ..OpenOptions::default() };
    let mut source = market_io::open(&options).unwrap();
    let (mut packets, mut packet) = (Vec::new(), Packet::default());
    while source.next_packet(&mut packet).unwrap() {
        packets.push(packet.clone());
    }
    (source.instrument().clone(), packets)
}

fn start(packets: &[Packet]) -> usize {
    packets.iter().position(|packet| packet.kind == PacketKind::Snapshot).unwrap()
}

/// What a frame says, without times, ids and flags.
type Said = (Vec<u64>, Vec<u64>, Vec<u64>);

fn said(engine: &mut SymbolEngine, packet: &Packet) -> Said {
    let frame = engine.process(packet).expect("the book is two-sided all the time");
    let masks = [frame.valid_mask(), frame.changed_mask()].map(<[u64]>::to_vec);
    let [valid, changed] = masks;
    (frame.values().to_vec(), valid, changed)
}

#[test]
fn a_recording_and_the_array_made_from_it_give_the_same_frames() {
    let names = ["binance/usdm_btcusdt_20240808.gz", "hftbacktest/usdm_btcusdt_20240808.npz"];
    let Some([lines, array]) = shared(names) else { return };
    let ((grid, recorded), (array_grid, array)) = (read(lines), read(array));
    assert_eq!(
        (grid.price_scale, grid.tick_scaled, grid.qty_scale, grid.lot_scaled),
        (
            array_grid.price_scale,
            array_grid.tick_scaled,
            array_grid.qty_scale,
            array_grid.lot_scaled
        ),
    );
    let set = set("lob_shared_v1");
    let mut by_recording = SymbolEngine::new(set.clone(), grid);
    let mut by_array = SymbolEngine::new(set, array_grid);

    // The array's own snapshot lacks the updates that came before it; both start from the joined one.
    let joined = &recorded[start(&recorded)];
    let begin = said(&mut by_recording, joined);
    assert_eq!(begin, said(&mut by_array, joined));

    let mut rest = recorded[start(&recorded) + 1..].iter();
    let array = &array[start(&array) + 1..];
    let (mut equal, mut shifts) = (0, BTreeMap::<i64, usize>::new());
    for (index, packet) in array.iter().enumerate() {
        // An update without levels is a packet of the recording and no row of the array.
        let other = rest.find(|other| {
            let counts = other.event_count() > 0;
            if !counts {
                by_recording.process(other);
            }
            counts
        });
        let other = other.unwrap();
        *shifts.entry(packet.ts_recv_ns - other.ts_recv_ns).or_default() += 1;
        let want = said(&mut by_recording, other);
        assert_eq!(said(&mut by_array, packet), want, "packet {index}: {packet:?}, {other:?}");
        equal += 1;
    }
    println!("{equal} equal frames, local time shifted by {shifts:?}");
    assert_eq!((equal, rest.count(), shifts.len()), (27_853, 0, 1));
}
