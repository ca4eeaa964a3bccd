//! Features of a live bot: what comes through its channel, with a clock per row.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "support/setup.rs"]
mod setup;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use feature_hftbacktest::{Error, Features, Mode};
use feature_runtime::SymbolEngine;
use hftbacktest::backtest::data::read_npz_file;
use hftbacktest::types::{
    DEPTH_CLEAR_EVENT, DEPTH_EVENT, DEPTH_SNAPSHOT_EVENT, ErrorKind, Event, LOCAL_EVENT, LiveError,
    LiveEvent, OrdType, Order, Side, TRADE_EVENT, TimeInForce,
};
use market_io::hftbacktest::{Row, open_arrays};
use market_io::synthetic::SyntheticConfig;
use market_model::{Instrument, Packet, QualityFlags};
use setup::{Frame, NS_PER_S, set, synthetic};

const KIND: u64 = 0xff;

/// The rows of a market as a connector makes them: no clear, and snapshots as plain changes.
fn rows() -> Vec<Event> {
    let dir = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { duration_ns: 20 * NS_PER_S, ..SyntheticConfig::default() };
    let path = synthetic(dir.path(), "a.npz", &config);
    let data = read_npz_file::<Event>(path.to_str().unwrap(), "data").unwrap();
    (0..data.len())
        .map(|index| data[index].clone())
        .filter(|row| row.ev & LOCAL_EVENT != 0 && row.ev & KIND != DEPTH_CLEAR_EVENT)
        .map(|row| {
            let is_snapshot = row.ev & KIND == DEPTH_SNAPSHOT_EVENT;
            let ev = if is_snapshot { row.ev & !KIND | DEPTH_EVENT } else { row.ev };
            Event { ev, ival: 0, fval: 0.0, ..row }
        })
        .collect()
}

/// The frames of a plain pass over the rows.
fn plain(rows: &[Event]) -> Vec<Frame> {
    let row = |event: &Event| Row {
        ev: event.ev,
        exch_ts_ns: event.exch_ts,
        local_ts_ns: event.local_ts,
        px: event.px,
        qty: event.qty,
        ..Row::default()
    };
    let instrument = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let rows: Vec<Row> = rows.iter().map(row).collect();
    let mut source = open_arrays(instrument.clone(), vec![rows], None).unwrap();
    let mut engine = SymbolEngine::new(Arc::new(set()), source.instrument().clone());
    let (mut packet, mut frames) = (Packet::default(), Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        if let Some(frame) = engine.process(&packet) {
            let bytes = frame.as_bytes().to_vec();
            frames.push(Frame { local_ts_ns: packet.ts_recv_ns, bytes });
        }
    }
    frames
}

fn feed(event: &Event) -> LiveEvent {
    LiveEvent::Feed { symbol: "BTCUSDT".into(), event: event.clone() }
}

fn order() -> LiveEvent {
    let (gtc, limit) = (TimeInForce::GTC, OrdType::Limit);
    let order = Order::new(1, 618_000, 0.1, 0.001, Side::Buy, limit, gtc);
    LiveEvent::Order { symbol: "BTCUSDT".into(), order }
}

/// A connector: messages of depth in batches, each row with a clock of its own; trades alone; orders
/// in between.
fn connector(rows: Vec<Event>, in_batches: bool) -> (Receiver<(usize, LiveEvent)>, JoinHandle<()>) {
    let (sender, receiver) = sync_channel(64);
    let thread = std::thread::spawn(move || {
        let send = |event| sender.send((0, event)).unwrap();
        for message in rows.chunk_by(|a, b| a.local_ts == b.local_ts) {
            let is_depth = message[0].ev & KIND != TRADE_EVENT;
            if is_depth && in_batches {
                send(LiveEvent::BatchStart);
            }
            for (index, row) in (0_i64..).zip(message) {
                send(feed(&Event { local_ts: row.local_ts + index * 40, ..row.clone() }));
            }
            if is_depth && in_batches {
                send(LiveEvent::BatchEnd);
            }
            send(order());
        }
    });
    (receiver, thread)
}

fn current(features: &Features) -> Option<Vec<u8>> {
    let view = features.feature_view(0).unwrap()?;
    Some(view.get().frame().as_bytes().to_vec())
}

/// Every frame that is seen after an event of the channel.
fn seen(rows: &[Event], in_batches: bool) -> Vec<Vec<u8>> {
    let features = Features::new(Mode::LobFeature(set()));
    assert_eq!(features.add_live("BTCUSDT", 0.1, 0.001).unwrap(), 0);
    let (events, thread) = connector(rows.to_vec(), in_batches);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for (asset, event) in events {
        features.see(asset, &event).unwrap();
        // Asked after every event, also in the middle of a batch.
        let frame = current(&features);
        frames.extend(frame.filter(|frame| frames.last() != Some(frame)));
    }
    thread.join().unwrap();
    frames
}

#[test]
fn a_batch_is_a_packet_whatever_the_clocks_of_its_rows() {
    let rows = rows();
    let want: Vec<_> = plain(&rows).into_iter().map(|frame| frame.bytes).collect();
    let found = seen(&rows, true);
    assert!(want.len() > 300);
    assert!(found == want, "{} and {} frames", found.len(), want.len());
    let by_row = seen(&rows, false);
    assert!(by_row.len() > 2 * want.len(), "without batches every row would be a packet");
}

#[test]
fn an_interrupted_connection_begins_a_new_session() {
    let rows = rows();
    let features = Features::new(Mode::LobFeature(set()));
    features.add_live("BTCUSDT", 0.1, 0.001).unwrap();
    let take = |rows: &[Event]| {
        features.see(0, &LiveEvent::BatchStart).unwrap();
        rows.iter().for_each(|row| features.see(0, &feed(row)).unwrap());
    };
    let snapshot = rows.chunk_by(|a, b| a.local_ts == b.local_ts).find(|m| m.len() > 100).unwrap();
    take(snapshot);
    features.see(0, &LiveEvent::BatchEnd).unwrap();
    assert!(features.get_feature(0, "best_bid").unwrap().is_some());
    // Half a batch is lost with the connection.
    take(&snapshot[..1]);
    let lost = LiveError::new(ErrorKind::ConnectionInterrupted);
    features.see(0, &LiveEvent::Error(lost)).unwrap();
    assert!(features.get_feature(0, "best_bid").unwrap().is_none());
    take(snapshot);
    features.see(0, &LiveEvent::BatchEnd).unwrap();
    let view = features.feature_view(0).unwrap().unwrap();
    let header = view.get().frame().header();
    assert!(header.quality.contains(QualityFlags::STATE_RESET | QualityFlags::UNVERIFIED_BOOK));
    assert_eq!(header.epoch, 1);
}

#[test]
fn misuse_is_named() {
    let features = Features::new(Mode::LobFeature(set()));
    assert!(features.see(0, &feed(&rows()[0])).is_err(), "no such instrument");
    features.add_live("BTCUSDT", 0.1, 0.001).unwrap();
    assert!(features.add_live("BTCUSDT", 0.1, 0.001).is_err(), "twice");
    assert!(matches!(features.add_live("ETHUSDT", 0.0, 0.001), Err(Error::Instrument(_))));
    let none = Features::new(Mode::StatsOnly);
    assert!(matches!(none.see(0, &LiveEvent::BatchEnd), Err(Error::StatsOnly)));
}
