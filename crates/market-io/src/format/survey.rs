//! A first look at an input: its symbol, and the decimals of its numbers.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use market_model::{Decimal, Instrument, POW10};

use super::grid::{NOISY_DIGITS, decimal_step, decimals, is_noisy};
use super::note::{self, Note};
use crate::bytes::{Line, Lines};
use crate::error::{Error, Fault, Location, excerpt};
use crate::source::OpenOptions;

/// Records of the symbol that are looked at.
const SURVEY_RECORDS: u64 = 20_000;
const MAX_LISTED_SYMBOLS: usize = 50;

/// Whether a symbol, also known by a shorter name, is the one asked for, or none is.
pub(super) fn is_wanted(options: &OpenOptions, symbol: &str, short: &str) -> bool {
    options.symbol.as_deref().is_none_or(|wanted| wanted == symbol || wanted == short)
}

/// What the first records say.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    options: &'a OpenOptions,
    symbol: Option<String>,
    others: BTreeSet<String>,
    price_decimals: usize,
    qty_decimals: usize,
    records: u64,
    /// Tick and lot size, where the recorder wrote them.
    noted: Option<(String, String)>,
    first_fault: Option<Fault>,
}

impl<'a> Survey<'a> {
    pub(super) const fn new(options: &'a OpenOptions) -> Self {
        Self {
            options,
            symbol: None,
            others: BTreeSet::new(),
            price_decimals: 0,
            qty_decimals: 0,
            records: 0,
            noted: None,
            first_fault: None,
        }
    }

    /// Whether a record of a symbol counts; two symbols without a choice are an error.
    pub(super) fn admits(
        &mut self,
        symbol: &str,
        location: impl FnOnce() -> Location,
    ) -> Result<bool, Error> {
        self.admits_either(symbol, symbol, location)
    }

    /// Like [`Survey::admits`] for a symbol that may be asked for by a shorter name.
    pub(super) fn admits_either(
        &mut self,
        symbol: &str,
        short: &str,
        location: impl FnOnce() -> Location,
    ) -> Result<bool, Error> {
        if !is_wanted(self.options, symbol, short) {
            if self.others.len() < MAX_LISTED_SYMBOLS {
                self.others.insert(excerpt(symbol.as_bytes()));
            }
            return Ok(false);
        }
        match &self.symbol {
            None => self.symbol = Some(symbol.to_owned()),
            Some(first) if first != symbol => {
                let [first, second] = [first.as_str(), symbol].map(|s| excerpt(s.as_bytes()));
                return Err(Error::SeveralSymbols { location: location(), first, second });
            }
            Some(_) => {}
        }
        self.records += 1;
        Ok(true)
    }

    /// Begins to count anew, for the next kind of records.
    pub(super) const fn restart(&mut self) {
        self.records = 0;
    }

    /// Whether enough has been seen.
    pub(super) const fn is_done(&self) -> bool {
        self.records >= SURVEY_RECORDS
    }

    /// Whether anything of the symbol has been seen.
    pub(super) const fn has_symbol(&self) -> bool {
        self.symbol.is_some()
    }

    /// The next line to look at; `None` when enough has been seen, at the end, and before what cannot
    /// be read once there is a symbol: what is readable is handed out, and the error comes again where
    /// it belongs.
    ///
    /// # Errors
    ///
    /// [`Error`] when nothing of the symbol can be read.
    pub(super) fn next_line(&self, lines: &mut Lines) -> Result<Option<Range<usize>>, Error> {
        while !self.is_done() {
            match lines.next_line() {
                Ok(Some(Line::Text(range)))
                    if !lines.text(range.clone()).trim_ascii().is_empty() =>
                {
                    return Ok(Some(range));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) if self.has_symbol() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    pub(super) fn price(&mut self, text: &[u8]) {
        self.price_decimals = self.price_decimals.max(clean_decimals(text));
    }

    pub(super) fn qty(&mut self, text: &[u8]) {
        self.qty_decimals = self.qty_decimals.max(clean_decimals(text));
    }

    /// Like [`Survey::price`] for `mantissa * 10^-decimals`.
    pub(super) fn price_of(&mut self, mantissa: i64, decimals: u8) {
        self.price_decimals = self.price_decimals.max(clean_decimals_of(mantissa, decimals));
    }

    /// Like [`Survey::qty`] for `mantissa * 10^-decimals`.
    pub(super) fn qty_of(&mut self, mantissa: i64, decimals: u8) {
        self.qty_decimals = self.qty_decimals.max(clean_decimals_of(mantissa, decimals));
    }

    /// Multiples of this, as prices in units of `10^-decimals`, have no more decimals than were seen.
    pub(super) fn price_step(&self, decimals: u8) -> i64 {
        POW10[usize::from(decimals).saturating_sub(self.price_decimals)]
    }

    /// Takes the sizes of a note of our recorder; `true` when the message is one.
    pub(super) fn note(&mut self, json: &[u8]) -> bool {
        let note = note::read(json);
        if let Ok(Some(Note::Recording { tick_size, lot_size })) = &note {
            self.noted.get_or_insert_with(|| (tick_size.clone(), lot_size.clone()));
        }
        !matches!(note, Ok(None))
    }

    pub(super) fn fault(&mut self, fault: impl FnOnce() -> Fault) {
        self.first_fault.get_or_insert_with(fault);
    }

    /// The instrument; sizes that were not given are `10^-k` with the decimals that were seen.
    pub(super) fn finish(self, path: &Path, expected: &'static str) -> Result<Instrument, Error> {
        let Some(symbol) = self.symbol else {
            return Err(match (self.first_fault, &self.options.symbol) {
                (Some(fault), _) if self.others.is_empty() => fault.into(),
                (_, Some(symbol)) => Error::UnknownSymbol {
                    path: path.into(),
                    symbol: excerpt(symbol.as_bytes()),
                    seen: self.others.into_iter().collect(),
                },
                _ => Error::UnknownFormat { path: path.into(), expected, found: "none".into() },
            });
        };
        let options = self.options;
        let (noted_tick, noted_lot) = self.noted.unzip();
        let tick = options.tick_size.clone().or(noted_tick);
        let tick = tick.unwrap_or_else(|| decimal_step(self.price_decimals));
        let lot = options.lot_size.clone().or(noted_lot);
        let lot = lot.unwrap_or_else(|| decimal_step(self.qty_decimals));
        Ok(Instrument::new(options.symbol_id, &symbol, &tick, &lot)?)
    }
}

fn clean_decimals(text: &[u8]) -> usize {
    if let Some(decimals) = short_decimals(text) {
        return decimals;
    }
    match Decimal::parse(text) {
        Ok(decimal) if !is_noisy(decimal) => decimals(text),
        _ => 0,
    }
}

/// Decimals of plain digits with a point, too few of them to be noise; `None` for any other text.
fn short_decimals(text: &[u8]) -> Option<usize> {
    if text.len() >= NOISY_DIGITS as usize {
        return None;
    }
    let (mut digits, mut point, mut end) = (0, text.len(), 0);
    for (at, c) in text.iter().enumerate() {
        match c {
            b'0' => digits += 1,
            b'1'..=b'9' => (digits, end) = (digits + 1, at),
            b'.' if point == text.len() => point = at,
            _ => return None,
        }
    }
    (digits > 0).then_some(end.saturating_sub(point))
}

fn clean_decimals_of(mantissa: i64, decimals: u8) -> usize {
    let (mut mantissa, mut decimals) = (mantissa.unsigned_abs(), usize::from(decimals));
    while mantissa != 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        decimals = decimals.saturating_sub(1);
    }
    let is_clean = mantissa != 0 && !is_noisy(Decimal { mantissa: mantissa.into(), scale: 0 });
    if is_clean { decimals } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_with_decimals_count_as_their_text_does() {
        for mantissa in [0, 1, -25, 100, 1_230, i64::MAX, i64::MIN, 100_000_000_000_000_000] {
            for decimals in 0..=18 {
                let text = clean_decimals(format!("{mantissa}e-{decimals}").as_bytes());
                assert_eq!(clean_decimals_of(mantissa, decimals), text, "{mantissa}e-{decimals}");
            }
        }
    }

    #[test]
    fn short_texts_have_the_decimals_of_their_numbers() {
        let general = |text: &[u8]| match Decimal::parse(text) {
            Ok(decimal) if !is_noisy(decimal) => decimals(text),
            _ => 0,
        };
        for text in
            ["0", "1", "10", "1.50", "0.001", ".5", "5.", "00.10", "100.0", "999999.9999999"]
        {
            let short = short_decimals(text.as_bytes());
            assert_eq!(short, Some(general(text.as_bytes())), "{text}");
        }
        for text in ["", ".", "1.2.3", "-1.5", "1e3", "NaN", "1.234567890123456", "1 "] {
            assert_eq!(short_decimals(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn float_noise_has_no_say_in_the_sizes() {
        let options = OpenOptions::default();
        let mut survey = Survey::new(&options);
        assert!(survey.admits("X", || Location::file(Path::new("f"))).unwrap());
        for text in ["1.50", "0.30000000000000004", "0.7999999999999999", "NaN"] {
            survey.price(text.as_bytes());
            survey.qty(text.as_bytes());
        }
        survey.qty(b"1e-3");
        let instrument = survey.finish(Path::new("f"), "").unwrap();
        assert_eq!((instrument.price_scale, instrument.qty_scale), (1, 3));
    }

    #[test]
    fn a_second_symbol_needs_a_choice() {
        let place = || Location::file(Path::new("f"));
        let mut options = OpenOptions::default();
        let mut survey = Survey::new(&options);
        assert!(survey.admits("X", place).unwrap());
        let error = survey.admits("Y", place).unwrap_err().to_string();
        assert!(error.contains("found X and Y"), "{error}");
        options.symbol = Some("Z".into());
        let mut survey = Survey::new(&options);
        assert!(!survey.admits("X", place).unwrap());
        let error = survey.finish(Path::new("f"), "").unwrap_err().to_string();
        assert!(error.contains("expected symbol Z, found X"), "{error}");
    }
}
