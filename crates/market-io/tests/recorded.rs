//! Lines of our recorder: notes between messages, and readers that take a line at a time.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};

use market_io::venue::{RecordedLines, VenueLines, VenueReader};
use market_io::{Location, OpenOptions, Source, open};
use market_model::{Instrument, Packet, PacketKind};

const START_NS: i64 = 1_723_161_254_206_652_067;

const FORMS: [VenueLines; 4] = [
    VenueLines::BinanceSpot,
    VenueLines::BinanceFutures,
    VenueLines::Bybit,
    VenueLines::Cryptofeed,
];

/// A snapshot and a change; the last one is told again after the connection was lost.
fn messages(form: VenueLines) -> [&'static str; 2] {
    match form {
        VenueLines::BinanceSpot => [
            r#"{"lastUpdateId":7,"bids":[["10.5","3"]],"asks":[["11.5","2"]]}"#,
            r#"{"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":1723161254300,"s":"X","U":8,"u":9,"b":[["10.0","1"]],"a":[]}}"#,
        ],
        VenueLines::BinanceFutures => [
            r#"{"lastUpdateId":7,"E":1723161254200,"T":1723161254200,"bids":[["10.5","3"]],"asks":[["11.5","2"]]}"#,
            r#"{"stream":"x@depth@0ms","data":{"e":"depthUpdate","E":1723161254300,"T":1723161254300,"s":"X","U":8,"u":9,"pu":7,"b":[["10.0","1"]],"a":[]}}"#,
        ],
        VenueLines::Bybit => [
            r#"{"topic":"orderbook.200.X","type":"snapshot","ts":1723161254200,"data":{"s":"X","b":[["10.5","3"]],"a":[["11.5","2"]],"u":7}}"#,
            r#"{"topic":"orderbook.200.X","type":"delta","ts":1723161254300,"data":{"s":"X","b":[["10.0","1"]],"a":[],"u":8}}"#,
        ],
        VenueLines::Cryptofeed => [
            r#"{"arg":{"channel":"books","instId":"X"},"action":"snapshot","data":[{"asks":[["11.5","2"]],"bids":[["10.5","3"]],"ts":"1723161254200","checksum":0}]}"#,
            r#"{"arg":{"channel":"books","instId":"X"},"action":"update","data":[{"asks":[],"bids":[["10.0","1"]],"ts":"1723161254300","checksum":0}]}"#,
        ],
    }
}

fn instrument() -> Instrument {
    Instrument::new(0, "X", "0.25", "0.01").unwrap()
}

/// The note, a snapshot, a change, a lost connection, a change that is of no use any more.
fn text(form: VenueLines) -> Vec<u8> {
    let [snapshot, change] = messages(form);
    let (begin, lost) = (VenueLines::recording_note(&instrument()), VenueLines::lost_note("bye"));
    let mut text = Vec::new();
    for (message, at) in [&*begin, snapshot, change, &lost, change].into_iter().zip(0..) {
        form.push_line(START_NS + at * 100_000_000, message, &mut text);
        text.push(b'\n');
    }
    text
}

fn written(folder: &Path, form: VenueLines) -> PathBuf {
    let path = folder.join(format!("{form:?}.txt"));
    std::fs::write(&path, text(form)).unwrap();
    path
}

fn opened(path: &Path) -> Box<dyn Source> {
    open(&OpenOptions { inputs: vec![path.into()], ..OpenOptions::default() }).unwrap()
}

#[test]
fn a_recording_brings_its_sizes_and_a_lost_connection_ends_the_book() {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = written(folder.path(), form);
        let mut source = opened(&path);
        let found = source.instrument();
        // By the decimals alone the sizes would be 0.1 and 1.
        assert_eq!((found.price_scale, found.tick_scaled), (2, 25), "{form:?}");
        assert_eq!((found.qty_scale, found.lot_scaled), (2, 1), "{form:?}");
        let (mut packet, mut kinds) = (Packet::default(), Vec::new());
        while source.next_packet(&mut packet).unwrap() {
            kinds.push((packet.kind, packet.ts_recv_ns - START_NS));
        }
        let expected = [
            (PacketKind::Snapshot, 100_000_000),
            (PacketKind::Delta, 200_000_000),
            (PacketKind::Rejected, 300_000_000),
        ];
        assert_eq!(kinds, expected, "{form:?}");
        let fault = source.stats().faults[0].to_string();
        assert!(fault.contains("line 4") && fault.contains("`connection`"), "{fault}");
        assert!(fault.contains("bye"), "{fault}");
    }
}

#[test]
fn sizes_that_are_given_stand_above_those_of_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = written(folder.path(), form);
        let options = OpenOptions {
            inputs: vec![path],
            tick_size: Some("0.5".into()),
            ..OpenOptions::default()
        };
        let found = open(&options).unwrap();
        let found = found.instrument();
        assert_eq!((found.price_scale, found.tick_scaled), (1, 5), "{form:?}");
        assert_eq!((found.qty_scale, found.lot_scaled), (2, 1), "{form:?}");
    }
}

#[test]
fn a_reader_of_lines_gives_the_packets_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = written(folder.path(), form);
        let mut source = opened(&path);
        let mut reader = VenueReader::new(form, instrument());
        assert_eq!(reader.instrument().sequencing, source.instrument().sequencing, "{form:?}");
        let (mut live, mut read) = (Packet::default(), Packet::default());
        let mut waits = Vec::new();
        for line in text(form).split(|c| *c == b'\n') {
            if reader.read(line, || Location::file(&path), &mut live) {
                assert!(source.next_packet(&mut read).unwrap());
                assert_eq!(live, read, "{form:?}");
            }
            waits.push(reader.awaits_snapshot());
        }
        assert!(!source.next_packet(&mut read).unwrap());
        assert_eq!(waits, [true, false, false, true, true, true], "{form:?}");
        assert_eq!(reader.stats().packets, source.stats().packets);
    }
}

#[test]
fn lines_give_their_time_and_message_back() {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let mut lines = RecordedLines::open(&[written(folder.path(), form)]).unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            if let Some((local_ns, message)) = form.message(line) {
                seen.push((local_ns - START_NS, message.into_owned()));
            }
        }
        let [snapshot, change] = messages(form).map(String::from);
        let expected =
            [(100_000_000, snapshot), (200_000_000, change.clone()), (400_000_000, change)];
        assert_eq!(seen, expected, "{form:?}: notes are no messages");
    }
    let mut line = Vec::new();
    VenueLines::Bybit.push_line(START_NS, "{\"a\":\r\n1}", &mut line);
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    assert_eq!(VenueLines::Bybit.message(b"no line"), None);
    assert_eq!(VenueLines::Cryptofeed.message(b"{\"t\":\"header\"}"), None);
}

#[test]
fn a_note_that_nobody_knows_is_refused() {
    for form in FORMS {
        let mut reader = VenueReader::new(form, instrument());
        let (mut line, mut packet) = (Vec::new(), Packet::default());
        form.push_line(START_NS, r#"{"featureplane":"other"}"#, &mut line);
        assert!(reader.read(&line, || Location::file(Path::new("live")), &mut packet));
        assert_eq!(packet.kind, PacketKind::Rejected, "{form:?}");
    }
}
