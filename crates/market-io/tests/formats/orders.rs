//! Feeds of orders: Bitstamp's live orders and raw books of Bitfinex.

use std::io::{BufRead, BufReader};

use lob_engine::{LobEngine, Outcome};
use market_io::{Format, OpenOptions};
use market_model::{BookNeeds, BookView, OrderOp, PacketKind, Side};

use crate::book::{drain, options, read, shared, write_file};
use crate::{check_sample, sample};

fn ops(packets: &[market_model::Packet]) -> Vec<(OrderOp, u64, i64)> {
    let events = packets.iter().flat_map(|packet| &packet.orders);
    events.map(|event| (event.op, event.order_id, event.qty_lots)).collect()
}

#[test]
fn bitstamp_orders_shrink_by_executions_only() {
    let inputs = sample("bitstamp-l3", &["sample.log"]);
    check_sample(&options(inputs.clone()), Format::BitstampL3, "expected.ndjson");
    let mut source = market_io::open(&options(inputs)).unwrap();
    assert_eq!(source.instrument().symbol, "sample");
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        ops(&packets),
        [
            (OrderOp::Add, 11, 200_000_000),
            (OrderOp::Add, 12, 50_000_000),
            (OrderOp::Fill, 11, 25_000_000),
            (OrderOp::Modify, 11, 175_000_000),
            (OrderOp::Modify, 7, 12_345_678),
            (OrderOp::Fill, 12, 0),
            (OrderOp::Cancel, 11, 0),
            (OrderOp::Add, 15, 100_000_000),
        ]
    );
    // After the refused line the book begins anew, at the price of one line.
    let kinds: Vec<_> = packets[8..].iter().map(|packet| packet.kind).collect();
    assert_eq!(kinds, [PacketKind::Rejected, PacketKind::Reset, PacketKind::Delta]);
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.rejected), (12, 11, 1));
    assert_eq!((stats.ignored["order_book"], stats.rounded), (1, 1));
    assert_eq!(stats.ignored["line after a refused one"], 1);
}

#[test]
fn bitfinex_orders_are_told_apart_from_changes() {
    let inputs = sample("bitfinex-l3", &["sample.ndjson"]);
    check_sample(&options(inputs.clone()), Format::BitfinexL3, "expected.ndjson");
    let mut source = market_io::open(&options(inputs.clone())).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        ops(&packets),
        [
            (OrderOp::Add, 101, 250),
            (OrderOp::Add, 102, 1_000),
            (OrderOp::Add, 103, 2),
            (OrderOp::Add, 104, 3_000),
            (OrderOp::Modify, 101, 125),
            (OrderOp::Cancel, 103, 0),
            (OrderOp::Add, 106, 1_000),
        ]
    );
    let sides: Vec<Side> = packets[0].orders.iter().map(|event| event.side).collect();
    assert_eq!(sides, [Side::Bid, Side::Bid, Side::Ask]);
    let stats = source.stats();
    assert_eq!((stats.snapshots, stats.rejected), (2, 1));
    assert_eq!((stats.ignored["\"hb\""], stats.ignored["another channel"]), (1, 1));
    // Two books in one file need a choice.
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&inputs[0]).unwrap();
    let other = text.lines().nth(1).unwrap().replace("tBTC", "tETH").replace(":5,", ":6,");
    let both = vec![write_file(&dir, "both", format!("{text}{other}\n").as_bytes())];
    let (_, error) = read(&options(both.clone()));
    assert!(error.unwrap().to_string().contains("tETHUSD"));
    let chosen = OpenOptions { symbol: Some("tBTCUSD".into()), ..options(both) };
    assert_eq!(read(&chosen).0, packets);
}

fn lines(path: &std::path::Path) -> impl Iterator<Item = String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(zstd::Decoder::new(file).unwrap()).lines().map(Result::unwrap)
}

/// Levels of the venue's own books that ours has with the same quantity, with less, and with more.
#[derive(Debug, Default)]
struct Agreement {
    equal: u64,
    less: u64,
    more: u64,
}

/// The venue's own top 20 against the book of orders, by half hours. What is less are orders from before
/// the log, which it does not tell of; what is more are orders whose end it does not tell.
#[test]
fn bitstamp_books_agree_but_for_orders_from_before_the_log() {
    let Some(paths) = shared(&["bitstamp_l3/2015-05-01_part1.log.zst"]) else { return };
    let sized = OpenOptions {
        symbol: Some("BTCUSD".into()),
        tick_size: Some("0.01".into()),
        lot_size: Some("0.00000001".into()),
        ..options(paths.clone())
    };
    let mut source = market_io::open(&sized).unwrap();
    let mut engine = LobEngine::new(source.instrument(), BookNeeds::top(1));
    let mut packet = market_model::Packet::default();
    let mut halves: Vec<Agreement> = Vec::new();
    let (mut first_ms, mut trades) = (None, 0);
    let scaled = |text: &str, digits: usize| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<digits$}").parse::<i64>().unwrap()
    };
    for line in lines(&paths[0]) {
        let mut parts = line.splitn(3, ' ');
        let ms: i64 = parts.next().unwrap().parse().unwrap();
        let (kind, json) = (parts.next().unwrap(), parts.next().unwrap());
        if kind != "order_book" {
            assert!(source.next_packet(&mut packet).unwrap());
            trades += packet.trades.len();
            let outcome = engine.apply(&packet).unwrap();
            assert!(matches!(outcome, Outcome::Applied(_)), "{line}");
            continue;
        }
        let since_ms = ms - *first_ms.get_or_insert(ms);
        let half = usize::try_from(since_ms / 1_800_000).unwrap();
        halves.resize_with(halves.len().max(half + 1), Agreement::default);
        let book: serde_json::Value = serde_json::from_str(json).unwrap();
        for (side, name) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            for level in book[name].as_array().unwrap() {
                let text = |index: usize| level[index].as_str().unwrap();
                let (price, qty) = (scaled(text(0), 2), i128::from(scaled(text(1), 8)));
                let ours = engine.book().qty_between_lots(side, price, price);
                let agreement = &mut halves[half];
                agreement.equal += u64::from(ours == qty);
                agreement.less += u64::from(ours < qty);
                agreement.more += u64::from(ours > qty);
            }
        }
    }
    assert!(!source.next_packet(&mut packet).unwrap());
    let found: Vec<_> = halves.iter().map(|half| (half.equal, half.less, half.more)).collect();
    let wanted = [
        (13_843, 6_996, 1),
        (17_621, 3_779, 0),
        (18_714, 4_525, 1),
        (18_337, 2_543, 0),
        (19_693, 2_267, 0),
    ];
    assert_eq!(found, wanted);
    let faults = engine.book().order_faults();
    assert_eq!((faults.unknown, faults.known, faults.overdrawn, trades), (179, 0, 0, 332));
}

/// Every order of the recording is known when something happens to it, and the book never crosses.
#[test]
fn bitfinex_orders_are_consistent() {
    let Some(paths) = shared(&["bitfinex_l3/tBTCUSD_R0_first20001.ndjson.zst"]) else { return };
    let mut source = market_io::open(&options(paths)).unwrap();
    assert_eq!(source.instrument().symbol, "tBTCUSD");
    let mut engine = LobEngine::new(source.instrument(), BookNeeds::top(1));
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    for packet in &packets {
        assert!(matches!(engine.apply(packet).unwrap(), Outcome::Applied(_)));
    }
    let stats = source.stats();
    assert_eq!((packets.len(), stats.snapshots, stats.rejected), (19_999, 1, 0));
    let book = engine.book();
    // A second program finds the same number of orders at the end.
    assert_eq!((book.order_faults().total(), book.order_count()), (0, 47));
}
