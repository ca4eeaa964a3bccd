//! Snapshot before, between and after depth updates, by the rules of futures and spot.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/book.rs"]
mod book;

use book::{Book, options, read, write_file};
use market_io::{Error, Source};
use market_model::{Packet, PacketKind};

/// One line of a script: a depth update with `U`, `u`, `pu`, or a snapshot.
#[derive(Debug, Clone, Copy)]
enum Step {
    Diff(u64, u64, u64),
    Snap(u64),
    Trade,
    Bad,
}
use Step::{Bad, Diff, Snap, Trade};

const START_NS: i64 = 1_723_161_255_000_000_000;

/// A recording of the script. Every update sets one bid whose price tells its last id.
fn text(steps: &[Step], is_spot: bool) -> String {
    let mut out = String::new();
    for (index, step) in steps.iter().enumerate() {
        let ns = START_NS + index as i64 * 1_000_000;
        let ms = ns / 1_000_000;
        let transaction = if is_spot { String::new() } else { format!("\"T\":{ms},") };
        let line = match *step {
            Diff(first, last, prev) => {
                let prev = if is_spot { String::new() } else { format!("\"pu\":{prev},") };
                format!(
                    "{{\"stream\":\"x@depth\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{ms},{transaction}\"s\":\"X\",\
                     \"U\":{first},\"u\":{last},{prev}\"b\":[[\"{last}\",\"1\"]],\"a\":[]}}}}"
                )
            }
            Snap(last) => format!(
                "{{\"lastUpdateId\":{last},\"bids\":[[\"1\",\"{last}\"]],\"asks\":[[\"9999\",\"1\"]]}}"
            ),
            Trade => format!(
                "{{\"stream\":\"x@trade\",\"data\":{{\"e\":\"trade\",\"E\":{ms},\"T\":{ms},\"s\":\"X\",\"t\":1,\
                 \"p\":\"5\",\"q\":\"1\",\"X\":\"MARKET\",\"m\":true}}}}"
            ),
            Bad => "{\"stream\":\"x@depth\",\"data\":".into(),
        };
        out.push_str(&format!("{ns} {line}\n"));
    }
    out
}

/// What came out: kind letter, `seq`, `prev_seq`.
fn shape(packet: &Packet) -> (char, u64, u64) {
    let kind = match packet.kind {
        PacketKind::Snapshot => 'S',
        PacketKind::Rejected => 'R',
        PacketKind::RejectedTrade => 'r',
        PacketKind::Delta if packet.trades.is_empty() => 'D',
        _ => 'T',
    };
    (kind, packet.seq, packet.prev_seq)
}

/// Ids of the updates inside a snapshot packet.
fn merged(packet: &Packet) -> Vec<i64> {
    packet.levels.iter().map(|l| l.price_ticks).filter(|p| !matches!(p, 1 | 9999)).collect()
}

struct Case {
    name: &'static str,
    steps: &'static [Step],
    packets: &'static [(char, u64, u64)],
    /// Updates inside the last snapshot packet.
    merged: &'static [i64],
}

fn run(cases: &[Case], is_spot: bool) {
    let dir = tempfile::tempdir().unwrap();
    for case in cases {
        let path = write_file(&dir, "x.txt", text(case.steps, is_spot).as_bytes());
        let (packets, error) = read(&options(vec![path]));
        let got: Vec<_> = packets.iter().map(shape).collect();
        assert_eq!(got, case.packets, "{}", case.name);
        let has_snapshot = got.iter().any(|(kind, ..)| *kind == 'S');
        assert_eq!(matches!(error, Some(Error::NoSnapshot { .. })), !has_snapshot, "{}", case.name);
        if let Some(snapshot) = packets.iter().rfind(|p| p.kind == PacketKind::Snapshot) {
            assert_eq!(merged(snapshot), case.merged, "{}", case.name);
            let index = case.steps.iter().rposition(|s| matches!(s, Snap(_))).unwrap();
            assert!(snapshot.ts_recv_ns <= START_NS + index as i64 * 1_000_000, "{}", case.name);
        }
    }
}

#[test]
fn futures_rules() {
    run(
        &[
            Case {
                name: "snapshot first, then the straddling update",
                steps: &[Snap(10), Diff(8, 12, 7), Diff(14, 15, 12)],
                packets: &[('S', 10, 0), ('D', 12, 10), ('D', 15, 12)],
                merged: &[],
            },
            Case {
                name: "older updates are dropped",
                steps: &[Snap(10), Diff(5, 7, 4), Diff(8, 10, 7), Diff(11, 12, 10)],
                packets: &[('S', 10, 0), ('D', 12, 10)],
                merged: &[],
            },
            Case {
                name: "snapshot in a hole of the ids",
                steps: &[Snap(10), Diff(5, 7, 4), Diff(12, 13, 7), Diff(14, 15, 13)],
                packets: &[('S', 10, 0), ('D', 13, 10), ('D', 15, 13)],
                merged: &[],
            },
            Case {
                name: "all before the snapshot",
                steps: &[Diff(5, 7, 4), Diff(8, 9, 7), Snap(10), Diff(10, 12, 9), Diff(13, 14, 12)],
                packets: &[('S', 10, 0), ('D', 12, 10), ('D', 14, 12)],
                merged: &[],
            },
            Case {
                name: "straddling in the buffer",
                steps: &[
                    Diff(5, 7, 4),
                    Diff(8, 12, 7),
                    Diff(13, 14, 12),
                    Snap(10),
                    Diff(15, 16, 14),
                ],
                packets: &[('S', 14, 0), ('D', 16, 14)],
                merged: &[12, 14],
            },
            Case {
                name: "update ending at the snapshot is applied",
                steps: &[Diff(5, 7, 4), Diff(8, 10, 7), Snap(10), Diff(11, 12, 10)],
                packets: &[('S', 10, 0), ('D', 12, 10)],
                merged: &[10],
            },
            Case {
                name: "break inside the buffer, snapshot behind it",
                steps: &[
                    Diff(5, 7, 4),
                    Diff(20, 22, 19),
                    Diff(23, 25, 22),
                    Snap(21),
                    Diff(26, 27, 25),
                ],
                packets: &[('S', 25, 0), ('D', 27, 25)],
                merged: &[22, 25],
            },
            Case {
                name: "break inside the buffer, snapshot before it",
                steps: &[
                    Diff(5, 7, 4),
                    Diff(20, 22, 19),
                    Snap(6),
                    Diff(23, 25, 22),
                    Snap(24),
                    Diff(26, 27, 25),
                ],
                packets: &[('S', 25, 0), ('D', 27, 25)],
                merged: &[25],
            },
            Case {
                name: "snapshot older than the buffer only",
                steps: &[Diff(20, 22, 19), Snap(6)],
                packets: &[],
                merged: &[],
            },
            Case {
                name: "first update beyond the snapshot",
                steps: &[Snap(10), Diff(20, 22, 19), Diff(23, 24, 22), Snap(21), Diff(25, 26, 24)],
                packets: &[('S', 10, 0), ('D', 22, 19), ('S', 24, 0), ('D', 26, 24)],
                merged: &[22, 24],
            },
            Case {
                name: "old second snapshot in a live stream",
                steps: &[Snap(10), Diff(8, 12, 7), Snap(11), Diff(13, 14, 12)],
                packets: &[('S', 10, 0), ('D', 12, 10), ('D', 14, 12)],
                merged: &[],
            },
            Case {
                name: "new second snapshot in a live stream",
                steps: &[Snap(10), Diff(8, 12, 7), Snap(13), Diff(13, 14, 12), Diff(15, 16, 14)],
                packets: &[('S', 10, 0), ('D', 12, 10), ('S', 13, 0), ('D', 14, 13), ('D', 16, 14)],
                merged: &[],
            },
            Case {
                name: "two snapshots back to back",
                steps: &[Snap(10), Snap(11), Diff(8, 12, 7)],
                packets: &[('S', 10, 0), ('S', 11, 0), ('D', 12, 11)],
                merged: &[],
            },
            Case {
                name: "gap, then silence, then resynchronised",
                steps: &[
                    Snap(10),
                    Diff(8, 12, 7),
                    Diff(30, 31, 29),
                    Diff(32, 33, 31),
                    Snap(32),
                    Diff(34, 35, 33),
                ],
                packets: &[('S', 10, 0), ('D', 12, 10), ('D', 31, 29), ('S', 33, 0), ('D', 35, 33)],
                merged: &[33],
            },
            Case {
                name: "repeated and late updates are handed out",
                steps: &[Snap(10), Diff(8, 12, 7), Diff(8, 12, 7), Diff(5, 7, 4), Diff(13, 14, 12)],
                packets: &[('S', 10, 0), ('D', 12, 10), ('D', 12, 7), ('D', 7, 4), ('D', 14, 12)],
                merged: &[],
            },
            Case {
                name: "trades are not held back",
                steps: &[Diff(5, 7, 4), Trade, Snap(6), Trade],
                packets: &[('T', 0, 0), ('S', 7, 0), ('T', 0, 0)],
                merged: &[7],
            },
            Case {
                name: "a refused line loses the book",
                steps: &[
                    Snap(10),
                    Diff(8, 12, 7),
                    Bad,
                    Diff(15, 16, 14),
                    Snap(15),
                    Diff(17, 18, 16),
                ],
                packets: &[('S', 10, 0), ('D', 12, 10), ('R', 0, 0), ('S', 16, 0), ('D', 18, 16)],
                merged: &[16],
            },
            Case {
                name: "snapshot at the end",
                steps: &[Diff(5, 7, 4), Snap(20)],
                packets: &[('S', 20, 0)],
                merged: &[],
            },
            Case {
                name: "no snapshot",
                steps: &[Diff(5, 7, 4), Trade],
                packets: &[('T', 0, 0)],
                merged: &[],
            },
        ],
        false,
    );
}

#[test]
fn spot_rules() {
    run(
        &[
            Case {
                name: "next id",
                steps: &[Snap(10), Diff(11, 12, 0), Diff(13, 15, 0)],
                packets: &[('S', 10, 0), ('D', 12, 0), ('D', 15, 0)],
                merged: &[],
            },
            Case {
                name: "straddling",
                steps: &[Snap(10), Diff(5, 10, 0), Diff(8, 12, 0), Diff(13, 15, 0)],
                packets: &[('S', 10, 0), ('D', 12, 0), ('D', 15, 0)],
                merged: &[],
            },
            Case {
                name: "buffered",
                steps: &[Diff(5, 7, 0), Diff(8, 10, 0), Diff(11, 13, 0), Snap(10), Diff(14, 14, 0)],
                packets: &[('S', 13, 0), ('D', 14, 0)],
                merged: &[13],
            },
            Case {
                name: "break inside the buffer",
                steps: &[Diff(5, 7, 0), Diff(9, 10, 0), Diff(11, 13, 0), Snap(8), Diff(14, 14, 0)],
                packets: &[('S', 13, 0), ('D', 14, 0)],
                merged: &[10, 13],
            },
            Case {
                name: "snapshot one id too old",
                steps: &[Diff(9, 10, 0), Snap(7), Snap(8)],
                packets: &[('S', 10, 0)],
                merged: &[10],
            },
            Case {
                name: "gap after the snapshot",
                steps: &[Snap(10), Diff(12, 13, 0), Snap(11), Diff(14, 15, 0)],
                packets: &[('S', 10, 0), ('D', 13, 0), ('S', 13, 0), ('D', 15, 0)],
                merged: &[13],
            },
        ],
        true,
    );
}

/// After 64 late updates in a row the engine gives up and the next snapshot decides, however small its id.
#[test]
fn restarted_ids_are_taken_up_by_the_next_snapshot() {
    let mut steps = vec![Snap(1_000), Diff(990, 1_001, 989)];
    steps.extend((0..70).map(|i| Diff(10 + i, 10 + i, 9 + i)));
    steps.extend([Snap(75), Diff(80, 80, 79)]);
    let dir = tempfile::tempdir().unwrap();
    let path = write_file(&dir, "x.txt", text(&steps, false).as_bytes());
    let (packets, error) = read(&options(vec![path]));
    assert!(error.is_none());
    assert_eq!(packets.len(), 2 + 64 + 2);
    assert_eq!(packets[66].kind, PacketKind::Snapshot);
    assert_eq!((packets[66].seq, merged(&packets[66])), (79, vec![75, 76, 77, 78, 79]));
    assert_eq!(shape(&packets[67]), ('D', 80, 79));
}

/// Whatever the moment of the snapshot, the book at the end is the same.
#[test]
fn the_book_does_not_depend_on_when_the_snapshot_comes() {
    let dir = tempfile::tempdir().unwrap();
    for is_spot in [false, true] {
        let ids: Vec<_> = (11..=22).map(|i| Diff(i * 10 - 9, i * 10, i * 10 - 10)).collect();
        for at in 0..=11_u64 {
            for arrives in at as usize..=12 {
                let mut steps = ids.clone();
                steps.insert(arrives, Snap(at * 10 + 105));
                let path = write_file(&dir, "x.txt", text(&steps, is_spot).as_bytes());
                let (packets, error) = read(&options(vec![path]));
                assert!(error.is_none(), "{steps:?}");
                let mut book = Book::default();
                packets.iter().for_each(|packet| book.apply(packet));
                // Updates that end after the snapshot, and the snapshot's own level.
                let want: Vec<_> =
                    [1].into_iter().chain((at + 11..=22).map(|i| i as i64 * 10)).collect();
                assert_eq!(book.bids.keys().copied().collect::<Vec<_>>(), want, "{steps:?}");
                assert_eq!(packets.last().unwrap().seq, 220);
            }
        }
    }
}

#[test]
fn state_carries_from_one_file_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let script = [Diff(5, 7, 4), Trade, Snap(6), Diff(8, 9, 7), Trade, Diff(10, 12, 9)];
    let whole = text(&script, false);
    let one = read(&options(vec![write_file(&dir, "one", whole.as_bytes())])).0;
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    for cut in 1..lines.len() {
        let first = write_file(&dir, "a.gz", &book::gzip(lines[..cut].concat().as_bytes()));
        let second = write_file(&dir, "b", lines[cut..].concat().as_bytes());
        let mut source: Box<dyn Source> = market_io::open(&options(vec![first, second])).unwrap();
        let (packets, error) = book::drain(source.as_mut());
        assert!(error.is_none());
        assert_eq!(packets, one);
        assert_eq!(source.progress().0, source.progress().1);
    }
}

/// Lines that are not used are counted by kind; a chosen symbol is found in any case.
#[test]
fn unused_lines_are_counted() {
    let trade = |stream: &str, symbol: &str, qty: &str, kind: &str| {
        let event = stream.split('@').nth(1).unwrap();
        format!(
            "{START_NS} {{\"stream\":\"{stream}\",\"data\":{{\"e\":\"{event}\",\"E\":1723161255000,\
             \"T\":1723161255000,\"s\":\"{symbol}\",\"t\":1,\"p\":\"5\",\"q\":\"{qty}\"{kind},\"m\":false}}}}\n"
        )
    };
    let market = ",\"X\":\"MARKET\"";
    let named = text(&[Snap(10)], false).replace("\"bids\"", "\"symbol\":\"X\",\"bids\"");
    let input = [
        named,
        trade("x@trade", "X", "1.5", market),
        trade("x@trade", "X", "2", ",\"X\":\"INSURANCE_FUND\""),
        trade("x@trade", "X", "0", market),
        trade("x@trade", "X", "1.25", market),
        trade("x@aggTrade", "X", "1", ""),
        trade("y@trade", "Y", "1", market),
        text(&[Snap(11)], false),
        text(&[Diff(8, 12, 7)], false),
    ]
    .concat();
    let dir = tempfile::tempdir().unwrap();
    let path = write_file(&dir, "x.txt", input.as_bytes());
    for strict_scale in [false, true] {
        let mut source = market_io::open(&market_io::OpenOptions {
            symbol: Some("x".into()),
            lot_size: Some("0.1".into()),
            strict_scale,
            ..options(vec![path.clone()])
        })
        .unwrap();
        assert_eq!(source.instrument().symbol, "X");
        let (packets, error) = book::drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        let got: Vec<_> = packets.iter().map(shape).collect();
        let stats = source.stats();
        let ignored: Vec<_> = stats.ignored.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(
            ignored,
            [
                ("aggTrade beside trade", 1),
                ("another symbol", 1),
                ("snapshot without a symbol among several symbols", 1),
                ("trade of price or quantity 0", 1),
                ("trade of type INSURANCE_FUND", 1),
            ]
        );
        if strict_scale {
            // The book does not depend on the refused trade.
            assert_eq!(got, [('S', 10, 0), ('T', 0, 0), ('r', 0, 0), ('D', 12, 10)]);
            assert!(stats.faults[0].to_string().contains("line 5 ("), "{}", stats.faults[0]);
            assert!(stats.faults[0].to_string().contains("field `q`"), "{}", stats.faults[0]);
        } else {
            assert_eq!(got, [('S', 10, 0), ('T', 0, 0), ('T', 0, 0), ('D', 12, 10)]);
            assert_eq!((stats.rounded, packets[2].trades[0].qty_lots), (1, 12));
        }
    }
    // Aggregate trades alone are trades.
    let input = text(&[Snap(10)], false) + &trade("x@aggTrade", "X", "1", "");
    let (packets, error) = read(&options(vec![write_file(&dir, "agg", input.as_bytes())]));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.iter().map(shape).collect::<Vec<_>>(), [('S', 10, 0), ('T', 0, 0)]);
}
