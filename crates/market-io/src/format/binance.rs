//! Recorded Binance streams (`specs/inputs/binance.md`).
//!
//! One line is the local receive time in ns, a space, and the message as it came. Depth updates are
//! joined to the REST snapshot that the recorder wrote between them; trades are packets of their
//! own. A line that cannot be used makes one packet of kind `Rejected` and the reading goes on.

mod levels;
mod message;
mod survey;
pub(crate) mod sync;

use market_model::{Aggressor, BookOp, Instrument, Packet, PacketKind, Trade, check_ns};

pub(super) use self::message::split_local_ns;
use self::message::{Depth, Message, Snapshot, TradeText, read};
use self::sync::{Chain, Ids, Sync, Verdict};
use super::grid::Grid;
use super::line_feed::{LineDecoder, LineFeed, Refusal, no_snapshot};
use super::note;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, excerpt};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

const NS_PER_MS: i64 = 1_000_000;

/// Whether the first bytes of a file are the beginning of a recorded line.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let digits = head.iter().take_while(|c| c.is_ascii_digit()).count();
    digits > 0 && head[digits..].starts_with(b" {") && !super::bybit::looks_like(head)
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let found = survey::survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&found.instrument, options.strict_scale),
        is_filtered: options.symbol.is_some(),
        is_mixed: found.is_mixed,
        has_single_trades: found.has_single_trades,
        ..Decoder::live(found.instrument, found.chain)
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

/// Turns messages into packets.
pub(super) struct Decoder {
    instrument: Instrument,
    grid: Grid,
    chain: Chain,
    sync: Sync,
    is_filtered: bool,
    is_mixed: bool,
    has_single_trades: bool,
    /// Latest event time of the symbol so far; spot snapshots have none of their own.
    last_event_ns: i64,
}

impl LineDecoder for Decoder {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn line(
        &mut self,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal> {
        let (local_ns, json) = split_local_ns(line)?;
        packet.ts_recv_ns = checked_ns("local time", Some(local_ns))?;
        if note::is_note(json)? {
            return Ok(false);
        }
        match read(json, Some(&self.instrument.symbol))? {
            Message::Depth(depth) => Ok(self.depth(&depth, packet, stats)?),
            Message::Trade(trade) => self.trade(&trade, packet, stats).map_err(Refusal::Trades),
            Message::RefusedTrade(fault) => Err(Refusal::Trades(fault)),
            Message::Snapshot(snapshot) => Ok(self.snapshot(&snapshot, packet, stats)?),
            Message::Ignored(kind) => {
                stats.ignore(kind.as_bytes());
                Ok(false)
            }
            Message::Other(symbol) if !self.is_filtered => {
                Err(Refusal::SecondSymbol(excerpt(symbol.as_bytes())))
            }
            Message::Other(_) => {
                self.is_mixed = true;
                stats.ignore(b"another symbol");
                Ok(false)
            }
        }
    }

    fn lose_book(&mut self) {
        self.sync.lose_book();
    }

    fn awaits_snapshot(&self) -> bool {
        self.sync.is_waiting()
    }

    fn end(&self, lines: &Lines, stats: &SourceStats) -> Result<(), Error> {
        if stats.snapshots > 0 {
            return Ok(());
        }
        Err(no_snapshot(&self.instrument, lines, stats))
    }
}

impl Decoder {
    /// A decoder of a connection, on which one symbol and its single trades were asked for.
    pub(super) fn live(instrument: Instrument, chain: Chain) -> Self {
        Self {
            grid: Grid::new(&instrument, false),
            sync: Sync::new(chain),
            chain,
            instrument,
            is_filtered: true,
            is_mixed: false,
            has_single_trades: true,
            last_event_ns: 0,
        }
    }

    fn depth(
        &mut self,
        depth: &Depth<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        stats.depth_updates += 1;
        let ids = self.ids(depth)?;
        packet.ts_event_ns = ids.ts_event_ns;
        let rounded = self.grid.push_levels("b", depth.bids, BookOp::SetBid, packet)?
            + self.grid.push_levels("a", depth.asks, BookOp::SetAsk, packet)?;
        stats.rounded += rounded;
        self.last_event_ns = self.last_event_ns.max(ids.ts_event_ns);
        (packet.first_seq, packet.seq, packet.prev_seq) = (ids.first, ids.last, ids.prev);
        let verdict = self.sync.update(ids, packet);
        stats.dropped_updates = self.sync.dropped;
        match verdict {
            Verdict::Emit { prev } => packet.prev_seq = prev,
            Verdict::Gap => stats.gaps += 1,
            Verdict::Hold | Verdict::Drop => return Ok(false),
        }
        // An update of no level still moves the ids on; without a run it would not count as one.
        if packet.run_ends.is_empty() {
            packet.run_ends.push(market_model::Run { op: BookOp::SetBid, end: 0 });
        }
        Ok(true)
    }

    fn ids(&self, depth: &Depth<'_>) -> Result<Ids, FieldFault> {
        let ts_event_ns = match depth.transaction_ms {
            Some(ms) => event_ns("T", ms)?,
            None => event_ns("E", depth.event_ms)?,
        };
        let (first, last) = (depth.first_id, depth.last_id);
        if first == 0 || first > last {
            let found = format!("{first} with `u` {last}");
            return Err(FieldFault { field: "U", expected: "1 to `u`", found });
        }
        let prev = match (self.chain, depth.prev_id) {
            (Chain::Spot, None) => 0,
            (Chain::Futures, Some(prev)) if prev > 0 && prev <= last => prev,
            (chain, found) => {
                let expected = match chain {
                    Chain::Spot => "nothing (spot updates have none)",
                    Chain::Futures => "the last id of the update before",
                };
                let found = found.map_or_else(|| "nothing".into(), |id| id.to_string());
                return Err(FieldFault { field: "pu", expected, found });
            }
        };
        Ok(Ids { first, last, prev, ts_event_ns })
    }

    fn trade(
        &mut self,
        trade: &TradeText<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        if trade.is_aggregate && self.has_single_trades {
            stats.ignore(b"aggTrade beside trade");
            return Ok(false);
        }
        packet.ts_event_ns = event_ns("T", trade.transaction_ms)?;
        if let Some(kind) = &trade.kind
            && kind != "MARKET"
        {
            stats.ignore(format!("trade of type {kind}").as_bytes());
            return Ok(false);
        }
        let (qty_lots, was_rounded) = self.grid.qty("q", trade.qty.as_bytes())?;
        if is_zero(&trade.price) || (qty_lots == 0 && !was_rounded) {
            stats.ignore(b"trade of price or quantity 0");
            return Ok(false);
        }
        let price_ticks = self.grid.price("p", trade.price.as_bytes())?;
        stats.rounded += u64::from(was_rounded);
        if qty_lots == 0 {
            stats.ignore(b"trade below one lot");
            return Ok(false);
        }
        let aggressor = if trade.is_buyer_maker { Aggressor::Sell } else { Aggressor::Buy };
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        self.last_event_ns = self.last_event_ns.max(packet.ts_event_ns);
        Ok(true)
    }

    fn snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        if snapshot.symbol.is_none() && self.is_mixed {
            stats.ignore(b"snapshot without a symbol among several symbols");
            return Ok(false);
        }
        if snapshot.last_update_id == 0 {
            let expected = "an update id above 0";
            return Err(FieldFault { field: "lastUpdateId", expected, found: "0".into() });
        }
        packet.kind = PacketKind::Snapshot;
        packet.ts_event_ns = match snapshot.event_ms {
            Some(ms) => event_ns("T", ms)?,
            None => self.last_event_ns,
        };
        let rounded = self.grid.push_levels("bids", snapshot.bids, BookOp::SetBid, packet)?
            + self.grid.push_levels("asks", snapshot.asks, BookOp::SetAsk, packet)?;
        stats.rounded += rounded;
        let last = self.sync.snapshot(snapshot.last_update_id, packet);
        stats.dropped_updates = self.sync.dropped;
        let Some(last) = last else {
            stats.unused_snapshots += 1;
            return Ok(false);
        };
        packet.seq = last;
        Ok(true)
    }
}

fn is_zero(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c == b'0' || c == b'.')
}

fn event_ns(field: &'static str, ms: u64) -> Result<i64, FieldFault> {
    let ns = i64::try_from(ms).ok().and_then(|ms| ms.checked_mul(NS_PER_MS));
    if ns.is_some_and(|ns| check_ns(ns).is_ok()) {
        return Ok(ns.unwrap_or_default());
    }
    let expected = "a time in ms between 2000 and 2100";
    Err(FieldFault { field, expected, found: ms.to_string() })
}

fn checked_ns(field: &'static str, ns: Option<i64>) -> Result<i64, FieldFault> {
    let ns = ns.unwrap_or_default();
    check_ns(ns).map_err(|wrong| FieldFault {
        field,
        expected: "a time in ns",
        found: wrong.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::message::{parse, scan};
    use super::*;
    use crate::bytes::Line;

    /// The keys of every object in another order, with spaces.
    fn shuffled(json: &str) -> String {
        fn turn(value: &serde_json::Value, out: &mut String) {
            match value {
                serde_json::Value::Object(map) => {
                    out.push_str("{ ");
                    for (index, (key, value)) in map.iter().rev().enumerate() {
                        out.push_str(if index > 0 { " , " } else { "" });
                        out.push_str(&format!("{key:?} : "));
                        turn(value, out);
                    }
                    out.push_str(" }");
                }
                other => out.push_str(&other.to_string()),
            }
        }
        let mut out = String::new();
        turn(&serde_json::from_str(json).unwrap(), &mut out);
        out
    }

    #[test]
    fn scanner_and_parser_agree_on_every_recorded_line() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
        if !root.is_dir() {
            println!("skipped: ../shared/data is absent");
            return;
        }
        let mut paths: Vec<_> =
            root.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let mut lines = Lines::open(std::slice::from_ref(&path)).unwrap();
            let (mut total, mut scanned, mut turned) = (0, 0, 0);
            while let Some(Line::Text(range)) = lines.next_line().unwrap() {
                let (_, json) = split_local_ns(lines.text(range)).unwrap();
                let parsed = parse(json, None).unwrap();
                total += 1;
                if let Some(message) = scan(json, None) {
                    scanned += 1;
                    assert_eq!(message, parsed);
                }
                if total % 20 == 0 {
                    let text = shuffled(str::from_utf8(json).unwrap());
                    let same = read(text.as_bytes(), None).unwrap();
                    turned += 1;
                    assert_eq!(same, parsed, "{text}");
                }
            }
            println!("{}: {total} lines, {scanned} scanned, {turned} turned", path.display());
            assert!(total - scanned <= 1, "only the snapshot is for the general parser");
        }
    }

    #[test]
    fn scanner_takes_nothing_that_the_parser_refuses() {
        let depth = r#"{"stream":"x@depth@0ms","data":{"e":"depthUpdate","E":1,"T":2,"s":"X","U":3,"u":4,"pu":2,"b":[["1","2"]],"a":[]}}"#;
        let trade = r#"{"stream":"x@trade","data":{"e":"trade","E":1,"T":2,"s":"X","t":9,"p":"1","q":"2","X":"MARKET","m":true}}"#;
        let ticker =
            r#"{"stream":"x@bookTicker","data":{"u":1,"s":"X","b":"1","B":"2","a":"3","A":"4"}}"#;
        for text in [depth, trade, ticker] {
            assert_eq!(
                scan(text.as_bytes(), None).as_ref(),
                parse(text.as_bytes(), None).as_ref().ok()
            );
            assert!(scan(text.as_bytes(), None).is_some());
            // Any one byte changed to any of these, or cut off.
            for at in 0..text.len() {
                assert!(scan(&text.as_bytes()[..at], None).is_none());
                for byte in *b"\"{}[],:0.-\\ e\x01\xff" {
                    let mut changed = text.as_bytes().to_vec();
                    changed[at] = byte;
                    let (scanned, parsed) = (scan(&changed, None), parse(&changed, None));
                    match scanned {
                        Some(Message::Ignored(_)) | None => {}
                        Some(message) => {
                            // Levels are checked when they are read.
                            let same_levels = matches!(&message, Message::Depth(_));
                            assert!(
                                parsed.as_ref() == Ok(&message) || same_levels && parsed.is_err(),
                                "{}",
                                String::from_utf8_lossy(&changed)
                            );
                        }
                    }
                }
            }
        }
    }
}
