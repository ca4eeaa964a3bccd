//! An instrument: its grid of prices and quantities, and how its feed behaves.

use thiserror::Error;

use crate::decimal::{Decimal, MAX_SCALE};

/// Whether packets change a book or replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedKind {
    /// Packets carry changes; a lost packet spoils the book until the next snapshot (rule D3).
    Delta,
    /// Every book packet replaces the whole visible book (rule D4).
    Snapshot,
}

/// What decides whether a packet is new, repeated or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sequencing {
    /// The venue's update ids (rules D1 to D3).
    Venue,
    /// The source timestamp, for feeds without ids (rule D6).
    SourceTime,
    /// The order of arrival is all there is: recordings that were put in order by their maker.
    Arrival,
}

/// A tick or lot size that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} of {symbol}: `{text}` is not a positive decimal with at most 18 decimals")]
pub struct InstrumentError {
    /// `tick size` or `lot size`.
    pub what: &'static str,
    /// The symbol.
    pub symbol: String,
    /// The text that was given.
    pub text: String,
}

/// One traded instrument of one venue.
///
/// ```
/// use market_model::Instrument;
/// let btc = Instrument::new(0, "BTCUSDT", "0.10", "0.001").unwrap();
/// assert_eq!((btc.price_scale, btc.tick_scaled), (1, 1));
/// assert_eq!((btc.qty_scale, btc.lot_scaled), (3, 1));
/// let es = Instrument::new(1, "ES", "0.25", "1").unwrap();
/// assert_eq!((es.price_scale, es.tick_scaled), (2, 25));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Dense id inside one engine, from 0.
    pub symbol_id: u32,
    /// Name as the venue writes it; at most 64 bytes.
    pub symbol: String,
    /// Venue name, lower case; empty when unknown.
    pub venue: String,
    /// Decimals of an integer price column: its unit is `10^-price_scale`.
    pub price_scale: u8,
    /// Decimals of an integer quantity column: its unit is `10^-qty_scale`.
    pub qty_scale: u8,
    /// Tick size in units of `10^-price_scale`; at least 1.
    pub tick_scaled: i64,
    /// Lot size in units of `10^-qty_scale`; at least 1.
    pub lot_scaled: i64,
    /// Delta or full-snapshot feed.
    pub feed: FeedKind,
    /// How repeated, late and missing packets are recognised.
    pub sequencing: Sequencing,
    /// Age `ts_recv - ts_event` above which a packet is flagged stale; `None` never flags.
    pub max_age_ns: Option<i64>,
}

impl Instrument {
    /// Default of [`Instrument::max_age_ns`]: ten seconds.
    pub const DEFAULT_MAX_AGE_NS: i64 = 10_000_000_000;

    /// A delta feed with venue ids; the scales are the decimals of the tick and lot sizes.
    ///
    /// # Errors
    ///
    /// [`InstrumentError`] when a size is not a positive decimal.
    pub fn new(
        symbol_id: u32,
        symbol: &str,
        tick: &str,
        lot: &str,
    ) -> Result<Self, InstrumentError> {
        let size = |what, text: &str| {
            let wrong = || InstrumentError { what, symbol: symbol.into(), text: text.into() };
            let decimal = Decimal::parse(text.as_bytes()).map_err(|_| wrong())?;
            let scale = decimal.decimals();
            if scale > MAX_SCALE {
                return Err(wrong());
            }
            match decimal.to_scaled(scale) {
                Ok((scaled, false)) if scaled > 0 => Ok((scale, scaled)),
                _ => Err(wrong()),
            }
        };
        let (price_scale, tick_scaled) = size("tick size", tick)?;
        let (qty_scale, lot_scaled) = size("lot size", lot)?;
        Ok(Self {
            symbol_id,
            symbol: symbol.into(),
            venue: String::new(),
            price_scale,
            qty_scale,
            tick_scaled,
            lot_scaled,
            feed: FeedKind::Delta,
            sequencing: Sequencing::Venue,
            max_age_ns: Some(Self::DEFAULT_MAX_AGE_NS),
        })
    }
}
