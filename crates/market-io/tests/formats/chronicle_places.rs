//! Going on in the middle of a queue: the packets of the whole reading, or an error that says where the
//! seek index is wrong.

use std::path::{Path, PathBuf};

use market_io::synthetic::Rng;
use market_io::{Error, OpenOptions, Place};
use market_model::{Packet, PacketKind};
use tempfile::TempDir;
use testkit::chronicle::{
    BOOK_EVENT, EventHead, EventLevels, SegmentWriter, TRADE, archive, trade,
};

use crate::book::{drain, options, write_file};

const NS: u64 = 1_700_000_000_000_000_000;

fn head(seq: u64) -> EventHead {
    let (ingest_ns, exchange_ns) = (NS + seq * 1_000 + 5, NS + seq * 1_000);
    EventHead { market: (7, 11), ingest_ns, exchange_ns, seq, native_seq: 0 }
}

/// The type and payload of a record of any kind that a queue may hold.
fn content(rng: &mut Rng, seq: u64) -> (u16, Vec<u8>) {
    let mut levels = |middle: u64| -> Vec<_> {
        (0..rng.below(6)).map(|_| (middle + rng.below(40), rng.below(9) * 100)).collect()
    };
    let (bids, asks) = (levels(10_000), levels(10_050));
    let levels = EventLevels { scales: [2, 3], bids: &bids, asks: &asks };
    let event = match rng.below(20) {
        0 => EventHead { native_seq: seq, ..head(seq) }.snapshot(&levels),
        1 => head(seq).event(4, 0, &[]),
        2 => head(seq).event(3, 0, &[]),
        3 => head(seq).event(9, 0, &[]),
        4 => return (0x1001, vec![0; 48]),
        5..8 => return (TRADE, trade(NS + seq * 1_000, 100.25, 0.5, 1, 99)),
        _ => head(seq).diff([seq, seq, seq - 1], &levels),
    };
    (BOOK_EVENT, event)
}

/// A queue of several segments, some of them archives, with jumps of the record numbers, missing
/// segments and writers that were opened anew.
fn queue(dir: &TempDir, seed: u64) -> Vec<PathBuf> {
    let mut rng = Rng::new(seed);
    let (mut id, mut seq, mut paths) = (3, 100, Vec::new());
    for _ in 0..2 + rng.below(3) {
        id += if rng.below(4) == 0 { 2 } else { 1 };
        let mut segment = SegmentWriter::new(id, 1 << 14);
        for _ in 0..4 + rng.below(20) {
            seq = match rng.below(30) {
                0 => 0,
                1 => seq + 7,
                _ => seq + 1,
            };
            let (type_id, payload) = content(&mut rng, seq.max(1));
            segment.record(seq, NS + seq, type_id, &payload);
        }
        if rng.below(2) == 0 {
            segment.pad_and_seal();
        }
        let bytes = segment.into_bytes();
        let name = format!("{id:09}.q");
        paths.push(if rng.below(2) == 0 {
            let block = [200, 1_024, 5_000][rng.below(3) as usize];
            let [frames, index] = archive(&bytes, block, pack);
            write_file(dir, &format!("{name}.zst.idx"), &index);
            write_file(dir, &format!("{name}.zst"), &frames)
        } else {
            write_file(dir, &name, &bytes)
        });
    }
    paths
}

fn pack(block: &[u8]) -> Vec<u8> {
    zstd::encode_all(block, 3).unwrap()
}

/// All packets, and the place behind each.
fn places(options: &OpenOptions) -> (Vec<Packet>, Vec<Option<Place>>) {
    let mut source = market_io::open(options).unwrap();
    assert_eq!(source.place(), None, "nothing was read yet");
    let (mut packets, mut places) = (Vec::new(), Vec::new());
    let mut packet = Packet::default();
    while source.next_packet(&mut packet).unwrap() {
        packets.push(packet.clone());
        places.push(source.place());
    }
    assert_eq!(source.place(), None, "the source is at its end");
    (packets, places)
}

/// The packets behind a place, bytes left out, and bytes that were read.
fn rest(options: &OpenOptions, place: &Place) -> Result<(Vec<Packet>, u64, u64), Error> {
    let mut source = market_io::open(options)?;
    let skipped = source.resume(place)?;
    let (packets, error) = drain(source.as_mut());
    error.map_or_else(|| Ok((packets, skipped, source.progress().0)), Err)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn every_place_gives_the_rest_of_the_packets() {
    let (mut tried, mut archived) = (0, 0);
    for seed in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let options = options(queue(&dir, seed));
        let (packets, places) = places(&options);
        let total: u64 = options.inputs.iter().map(|path| size(path)).sum();
        for (at, place) in places.iter().enumerate() {
            let Some(place) = place else {
                let kind = packets[at].kind;
                assert!(matches!(kind, PacketKind::Rejected | PacketKind::Reset), "{kind:?}");
                continue;
            };
            let (found, skipped, read) = rest(&options, place).unwrap();
            assert_eq!(found, packets[at + 1..], "seed {seed} behind packet {at}");
            let before: u64 = options.inputs[..place.input].iter().map(|path| size(path)).sum();
            assert!(skipped >= before && skipped + read <= total, "{skipped} and {read}");
            tried += 1;
            let is_archive = options.inputs[place.input].extension().is_some_and(|e| e == "zst");
            archived += u32::from(is_archive && skipped > before);
        }
    }
    assert!(tried > 1_000 && archived > 200, "{tried} places, {archived} inside archives");
}

/// Segments, archives and records before the place are overwritten once the source is open: the whole
/// reading notices, the one that goes on at the place cannot.
#[test]
fn what_stands_before_a_place_is_not_read() {
    let mut tried = 0;
    for seed in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let options = options(queue(&dir, seed));
        let (packets, places) = places(&options);
        let last = options.inputs.len() - 1;
        let of_last = |place: &Option<Place>| {
            place.clone().filter(|place| place.input == last && place.stored.start == 64)
        };
        let found: Vec<_> = places.iter().map(of_last).enumerate().collect();
        let Some([(_, Some(before)), (at, Some(place))]) = found.last_chunk::<2>() else {
            continue;
        };
        let mut whole = market_io::open(&options).unwrap();
        let mut late = market_io::open(&options).unwrap();
        for path in &options.inputs[..last] {
            std::fs::write(path, vec![0; usize::try_from(size(path)).unwrap()]).unwrap();
        }
        let mut bytes = std::fs::read(&options.inputs[last]).unwrap();
        bytes[64..usize::try_from(before.stored.end).unwrap()].fill(0xa5);
        std::fs::write(&options.inputs[last], bytes).unwrap();
        assert!(drain(whole.as_mut()).1.is_some(), "the whole reading meets the damage");
        late.resume(place).unwrap();
        let (found, error) = drain(late.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(found, packets[at + 1..], "seed {seed}");
        tried += 1;
    }
    assert!(tried > 5, "{tried}");
}

/// One archive of many frames, its packets, and a place in the middle of it.
fn archived(dir: &TempDir) -> (OpenOptions, PathBuf, Vec<Packet>, Place) {
    let mut rng = Rng::new(5);
    let mut segment = SegmentWriter::new(1, 1 << 14);
    for seq in 1..40 {
        let levels = EventLevels { scales: [2, 3], bids: &[(9_000 + rng.below(9), 1)], asks: &[] };
        segment.record(seq, NS, BOOK_EVENT, &head(seq).diff([seq, seq, seq - 1], &levels));
    }
    let [frames, index] = archive(&segment.into_bytes(), 1_000, pack);
    let index = write_file(dir, "000000001.q.zst.idx", &index);
    let options = options(vec![write_file(dir, "000000001.q.zst", &frames)]);
    let (packets, places) = places(&options);
    let place = places[20].clone().unwrap();
    (options, index, packets[21..].to_vec(), place)
}

#[test]
fn a_wrong_index_is_named_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (options, index, wanted, place) = archived(&dir);
    let good = std::fs::read(&index).unwrap();
    let mut refused = 0;
    let mut check = |bytes: &[u8], what: &str| {
        std::fs::write(&index, bytes).unwrap();
        match rest(&options, &place) {
            Ok((found, ..)) => assert_eq!(found, wanted, "{what}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("000000001.q.zst.idx: byte "), "{what}: {text}");
                refused += 1;
            }
        }
    };
    check(&good, "untouched");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        check(&bad, &format!("flip in byte {at}"));
    }
    for len in 0..good.len() {
        check(&good[..len], &format!("cut to {len}"));
    }
    check(&[&good[..], b"x"].concat(), "a byte more");
    let lies = 2 * good.len();
    assert!(refused > lies * 9 / 10, "{refused} of {lies}");
}

/// Frames that meet end to end and fill the archive, and yet are not those of the archive.
#[test]
fn an_index_that_agrees_with_itself_is_still_held_against_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (options, index, _, place) = archived(&dir);
    let good = std::fs::read(&index).unwrap();
    let field = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut shifted_content = good.clone();
    for entry in (48..good.len()).step_by(24) {
        let offset = field(&good, entry) - 64;
        shifted_content[entry..entry + 8].copy_from_slice(&offset.to_le_bytes());
    }
    shifted_content[24 + 20..48].copy_from_slice(&(1_000_u32 - 64).to_le_bytes());
    let mut shifted_frames = good.clone();
    for entry in (48..good.len()).step_by(24) {
        let stored = field(&good, entry + 8) + 1;
        shifted_frames[entry + 8..entry + 16].copy_from_slice(&stored.to_le_bytes());
    }
    shifted_frames[24 + 16] += 1;
    let last = good.len() - 8;
    shifted_frames[last] -= 1;
    for bytes in [shifted_content, shifted_frames] {
        std::fs::write(&index, bytes).unwrap();
        let error = rest(&options, &place).unwrap_err().to_string();
        assert!(error.contains("the frame in which the record begins"), "{error}");
    }
    std::fs::remove_file(&index).unwrap();
    let error = rest(&options, &place).unwrap_err().to_string();
    assert!(error.contains("000000001.q.zst.idx: cannot read the seek index"), "{error}");
}

#[test]
fn a_place_of_another_reading_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (options, _, _, place) = archived(&dir);
    let reason = |options: &OpenOptions, place: &Place| {
        let error = rest(options, place).unwrap_err();
        assert!(matches!(error, Error::Place { .. }), "{error}");
        error.to_string()
    };
    let strict = OpenOptions { strict_scale: true, ..options.clone() };
    assert!(reason(&strict, &place).contains("the input was read as"));
    let coarse = OpenOptions { lot_size: Some("0.1".into()), ..options.clone() };
    assert!(reason(&coarse, &place).contains("the input was read as"));
    let elsewhere = Place { input: 1, ..place.clone() };
    assert!(reason(&options, &elsewhere).contains("input 1 of 1"));
    for len in 0..place.state.len() {
        let state = place.state[..len].to_vec();
        reason(&options, &Place { state, ..place.clone() });
    }
    let [sample] = &crate::sample("ccxt", &["sample.ndjson"])[..] else { panic!("one path") };
    let other = crate::book::options(vec![sample.clone()]);
    assert!(reason(&other, &place).contains("only read front to back"));
}
