//! Tick and lot size of a symbol, as the venue states them.

use serde_json::Value;

use super::connect;
use super::venue::Venue;
use crate::error::Error;

/// Lists of all symbols of a venue are long.
const MAX_BYTES: usize = 64 << 20;

/// How a venue is asked.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Address.
    pub(super) server: &'static str,
    /// Path and query for a symbol.
    pub(super) path: fn(&str) -> String,
    /// Tick and lot size of a symbol in the answer.
    pub(super) read: fn(&Value, &str) -> Option<[String; 2]>,
}

/// Asks a venue, or whoever stands at an endpoint, for tick and lot size of a symbol as decimal text.
///
/// # Errors
///
/// [`Error::Sizes`] when it does not answer within ten seconds, or does not know the symbol;
/// [`Error::Connect`].
pub fn sizes(venue: &Venue, endpoint: Option<&str>, symbol: &str) -> Result<[String; 2], Error> {
    super::venue::check_endpoint(endpoint)?;
    let url = Venue::request_url(venue.sizes.server, endpoint, &(venue.sizes.path)(symbol));
    let failed = |message: String| Error::Sizes { symbol: symbol.into(), message };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Connect { message: error.to_string() })?;
    let tls = connect::tls()?;
    let answer = runtime
        .block_on(connect::page(&url, &tls, MAX_BYTES))
        .map_err(|message| failed(format!("{url}: {message}")))?;
    if !answer.status.is_success() {
        return Err(failed(format!("{url}: status {}", answer.status)));
    }
    let list: Value = serde_json::from_str(&answer.text)
        .map_err(|error| failed(format!("{url}: not JSON: {error}")))?;
    (venue.sizes.read)(&list, symbol)
        .ok_or_else(|| failed(format!("{url}: the answer has no sizes of it")))
}

/// The entry of a list with a text in a field.
pub(super) fn entry<'a>(list: &'a Value, field: &str, text: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry[field] == text)
}

/// Two fields as texts.
pub(super) fn texts(fields: [&Value; 2]) -> Option<[String; 2]> {
    let [tick, lot] = fields.map(Value::as_str);
    Some([tick?.to_owned(), lot?.to_owned()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(venue: &str, list: &Value, symbol: &str) -> Option<[String; 2]> {
        (Venue::named(venue).unwrap().sizes.read)(list, symbol)
    }

    #[test]
    fn sizes_are_found_in_the_answers_of_the_venues() {
        let both = |tick: &str, lot: &str| Some([tick.to_owned(), lot.to_owned()]);
        let binance = json!({ "symbols": [{ "symbol": "A" }, { "symbol": "B", "filters": [
            { "filterType": "PRICE_FILTER", "tickSize": "0.01000000" },
            { "stepSize": "0.00001000", "filterType": "LOT_SIZE" },
        ]}]});
        assert_eq!(read("binance-spot", &binance, "B"), both("0.01000000", "0.00001000"));
        assert_eq!(read("binance-usdm", &binance, "A"), None);
        let linear = json!({ "result": { "list": [{ "symbol": "B",
            "priceFilter": { "tickSize": "0.10" }, "lotSizeFilter": { "qtyStep": "0.001" } }]}});
        assert_eq!(read("bybit-linear", &linear, "B"), both("0.10", "0.001"));
        let spot = json!({ "result": { "list": [{ "symbol": "B",
            "priceFilter": { "tickSize": "0.1" }, "lotSizeFilter": { "basePrecision": "1e-6" } }]}});
        assert_eq!(read("bybit-spot", &spot, "B"), both("0.1", "1e-6"));
        let okx = json!({ "data": [{ "instId": "B", "tickSz": "0.1", "lotSz": "0.00000001" }] });
        assert_eq!(read("okx", &okx, "B"), both("0.1", "0.00000001"));
        let kraken = json!({ "result": {
            "XB": { "wsname": "B", "pair_decimals": 2, "lot_decimals": 8 },
            "XC": { "wsname": "C", "pair_decimals": 2, "lot_decimals": 0, "tick_size": "0.5" },
        }});
        assert_eq!(read("kraken", &kraken, "B"), both("1e-2", "1e-8"));
        assert_eq!(read("kraken", &kraken, "C"), both("0.5", "1"));
        assert_eq!(read("kraken", &kraken, "XB"), None);
    }

    #[test]
    fn instruments_of_okx_are_asked_for_by_their_kind() {
        let path = Venue::named("okx").unwrap().sizes.path;
        for (symbol, kind) in [
            ("BTC-USDT", "SPOT"),
            ("BTC-USDT-SWAP", "SWAP"),
            ("BTC-USD-220527", "FUTURES"),
            ("BTC-USD-220527-30000-C", "OPTION"),
        ] {
            assert!(path(symbol).contains(&format!("instType={kind}&")), "{symbol}");
        }
    }
}
