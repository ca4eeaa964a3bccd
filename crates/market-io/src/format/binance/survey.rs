//! A first look at a recording: its symbol, market and number of decimals.

use std::collections::BTreeSet;

use market_model::{Instrument, check_ns};

use super::message::{Message, read, split_local_ns};
use super::sync::Chain;
use crate::bytes::{Line, Lines};
use crate::error::{Error, Fault, FieldFault, Location};
use crate::format::grid::{decimal_step, decimals};
use crate::format::note::{self, Note};
use crate::source::OpenOptions;

/// Lines that are looked at, counted from the first one of the symbol.
const SURVEY_LINES: u64 = 20_000;
/// The same when the sizes are given, and with them what takes long to be sure of.
const SHORT_SURVEY_LINES: u64 = 2_000;
const MAX_LISTED_SYMBOLS: usize = 50;

/// What the first lines say.
pub(super) struct Survey {
    pub(super) instrument: Instrument,
    pub(super) chain: Chain,
    /// More than one symbol occurs, so that a snapshot without a name belongs to nobody.
    pub(super) is_mixed: bool,
    /// Single trades are there, so that aggregate trades would count them twice.
    pub(super) has_single_trades: bool,
}

#[derive(Default)]
struct Findings {
    symbol: Option<String>,
    others: BTreeSet<String>,
    has_prev_id: bool,
    has_pair: bool,
    has_trade_kind: bool,
    has_single_trades: bool,
    price_decimals: usize,
    qty_decimals: usize,
    lines: u64,
    /// Tick and lot size, where the recorder wrote them.
    noted: Option<(String, String)>,
    first_fault: Option<Fault>,
}

pub(super) fn survey(options: &OpenOptions) -> Result<Survey, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let wanted = options.symbol.as_deref();
    let mut lines = Lines::open(&options.inputs)?;
    let mut findings = Findings::default();
    let has_sizes = options.tick_size.is_some() && options.lot_size.is_some();
    let limit = if has_sizes { SHORT_SURVEY_LINES } else { SURVEY_LINES };
    while findings.lines < limit {
        let line = match lines.next_line() {
            Ok(Some(Line::Text(range))) => lines.text(range),
            Ok(Some(Line::TooLong)) => continue,
            Ok(None) => break,
            // What is readable is handed out; the error comes again where it belongs.
            Err(_) if findings.symbol.is_some() => break,
            Err(error) => return Err(error),
        };
        findings.look_at(line, wanted, || lines.location())?;
    }
    let Some(symbol) = findings.symbol.clone() else {
        return Err(nothing_found(path, wanted, findings));
    };
    let (noted_tick, noted_lot) = findings.noted.take().unzip();
    let tick = options.tick_size.clone().or(noted_tick);
    let tick = tick.unwrap_or_else(|| decimal_step(findings.price_decimals));
    let lot = options.lot_size.clone().or(noted_lot);
    let lot = lot.unwrap_or_else(|| decimal_step(findings.qty_decimals));
    let mut instrument = Instrument::new(options.symbol_id, &symbol, &tick, &lot)?;
    let is_futures = findings.has_prev_id || findings.has_trade_kind;
    let venue = match (is_futures, findings.has_pair) {
        (true, true) => "binance-coinm",
        (true, false) => "binance-usdm",
        (false, _) => "binance-spot",
    };
    instrument.venue = venue.into();
    Ok(Survey {
        instrument,
        chain: if is_futures { Chain::Futures } else { Chain::Spot },
        is_mixed: !findings.others.is_empty(),
        has_single_trades: findings.has_single_trades,
    })
}

fn nothing_found(path: &std::path::Path, wanted: Option<&str>, findings: Findings) -> Error {
    if let Some(fault) = findings.first_fault.filter(|_| findings.others.is_empty()) {
        return fault.into();
    }
    match wanted {
        Some(symbol) => Error::UnknownSymbol {
            path: path.into(),
            symbol: crate::error::excerpt(symbol.as_bytes()),
            seen: findings.others.into_iter().collect(),
        },
        None => Error::UnknownFormat {
            path: path.into(),
            expected: "a recording with depth updates or trades",
            found: "neither".into(),
        },
    }
}

impl Findings {
    fn look_at(
        &mut self,
        line: &[u8],
        wanted: Option<&str>,
        location: impl Fn() -> Location,
    ) -> Result<(), Error> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.lines += u64::from(self.symbol.is_some());
        let located = |fault: FieldFault| fault.at(location(), wanted.unwrap_or_default());
        let read = split_local_ns(line).and_then(|(ns, json)| {
            if let Some(Note::Recording { tick_size, lot_size }) = note::read(json)? {
                self.noted.get_or_insert((tick_size, lot_size));
            }
            match read(json, None)? {
                Message::RefusedTrade(fault) => Err(fault),
                message => Ok((ns, message)),
            }
        });
        let (local_ns, message) = match read {
            Ok(read) => read,
            Err(fault) => {
                self.first_fault.get_or_insert_with(|| located(fault));
                return Ok(());
            }
        };
        let symbol = match &message {
            Message::Depth(depth) => &depth.symbol,
            Message::Trade(trade) => &trade.symbol,
            Message::Snapshot(snapshot) => {
                let owner = snapshot.symbol.as_deref();
                if owner.is_none_or(|owner| wanted.is_none_or(|w| w.eq_ignore_ascii_case(owner))) {
                    self.learn_levels(snapshot.bids);
                    self.learn_levels(snapshot.asks);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        if self.symbol.is_none()
            && let Err(wrong) = check_ns(local_ns)
        {
            let found = wrong.to_string();
            let expected = "a time in ns";
            return Err(located(FieldFault { field: "local time", expected, found }).into());
        }
        if wanted.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(symbol)) {
            if self.others.len() < MAX_LISTED_SYMBOLS {
                self.others.insert(crate::error::excerpt(symbol.as_bytes()));
            }
            return Ok(());
        }
        match &self.symbol {
            None => self.symbol = Some(symbol.to_string()),
            Some(first) if *first != **symbol => {
                let second = crate::error::excerpt(symbol.as_bytes());
                let first = crate::error::excerpt(first.as_bytes());
                return Err(Error::SeveralSymbols { location: location(), first, second });
            }
            Some(_) => {}
        }
        self.learn(&message);
        Ok(())
    }

    fn learn(&mut self, message: &Message<'_>) {
        match message {
            Message::Depth(depth) => {
                self.has_prev_id |= depth.prev_id.is_some();
                self.has_pair |= depth.has_pair;
                for side in [depth.bids, depth.asks] {
                    self.learn_levels(side);
                }
            }
            Message::Trade(trade) => {
                self.has_trade_kind |= trade.kind.is_some();
                self.has_single_trades |= !trade.is_aggregate;
                let (price, qty) = (trade.price.as_bytes(), trade.qty.as_bytes());
                self.price_decimals = self.price_decimals.max(decimals(price));
                self.qty_decimals = self.qty_decimals.max(decimals(qty));
            }
            _ => {}
        }
    }

    fn learn_levels(&mut self, json: &[u8]) {
        // Between quotes: a price, a quantity, a price, ...
        let mut numbers = json.split(|c| *c == b'"').skip(1).step_by(2);
        while let (Some(price), Some(qty)) = (numbers.next(), numbers.next()) {
            self.price_decimals = self.price_decimals.max(decimals(price));
            self.qty_decimals = self.qty_decimals.max(decimals(qty));
        }
    }
}
