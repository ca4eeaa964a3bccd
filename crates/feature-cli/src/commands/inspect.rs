//! `featureplane inspect`: what is this file.

use feature_extract::{Inspection, inspect};
use market_io::OpenOptions;

use crate::args::Inspect;
use crate::exit::{DONE, Usage};
use crate::print;

/// Reads an input once and says what it holds.
pub(crate) fn run(args: &Inspect) -> anyhow::Result<u8> {
    let options = OpenOptions {
        inputs: args.input.clone(),
        format: args.format.parse().map_err(|e| Usage(format!("--format: {e}")))?,
        symbol: args.symbol.clone(),
        ..OpenOptions::default()
    };
    let found = inspect(&options)?;
    if args.json {
        print::json(&found)?;
        return Ok(DONE);
    }
    let seconds = (found.span_ns[1] - found.span_ns[0]) as f64 / 1e9;
    let mut rows = vec![
        ("symbol", found.symbol.clone()),
        ("venue", found.venue.clone()),
        ("tick size", found.tick_size.clone()),
        ("lot size", found.lot_size.clone()),
        ("records", print::count(found.records)),
        (
            "packets",
            format!(
                "{} ({} of the book)",
                print::count(found.packets),
                print::count(found.book_packets)
            ),
        ),
        (
            "level changes",
            format!(
                "{}, at most {} in a packet",
                print::count(found.level_changes),
                found.largest_packet
            ),
        ),
        ("trades", print::count(found.trades)),
        ("span", format!("{} .. {} ({seconds:.1} s)", found.span_ns[0], found.span_ns[1])),
        ("gaps", print::count(found.gaps)),
        ("crossed", format!("{:.3} s", found.crossed_ns as f64 / 1e9)),
        (
            "levels at the end",
            format!("{} bids, {} asks", found.final_levels[0], found.final_levels[1]),
        ),
    ];
    if let [min, median, max] = found.latency_ns[..] {
        let ms = |ns: i64| format!("{:.3}", ns as f64 / 1e6);
        rows.push((
            "latency ms",
            format!("min {}, median {}, max {}", ms(min), ms(median), ms(max)),
        ));
    }
    if let [Some(bid), Some(ask)] = &found.final_quotes {
        rows.push(("quotes at the end", format!("{bid} / {ask}")));
    }
    rows.extend(book_checks(&found));
    for (name, count) in &found.quality {
        rows.push(("quality", format!("{name} on {} frames", print::count(*count))));
    }
    for (kind, count) in &found.ignored {
        rows.push(("not used", format!("{} {kind}", print::count(*count))));
    }
    for fault in &found.faults {
        rows.push(("rejected", fault.clone()));
    }
    for (name, value) in rows {
        print::line(format_args!("{name:<18} {value}"));
    }
    Ok(DONE)
}

/// What the input itself says of its book.
fn book_checks(found: &Inspection) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if found.order_events > 0 {
        let events = print::count(found.order_events);
        let [unknown, known, overdrawn] = found.order_faults.map(print::count);
        let faults =
            format!("{unknown} of unknown orders, {known} added twice, {overdrawn} overdrawn");
        rows.push(("order events", format!("{events}; {faults}")));
    }
    if found.revealed_levels > 0 {
        let revealed = print::count(found.revealed_levels);
        rows.push(("from below", format!("{revealed} levels came into view")));
    }
    let [compared, different] = found.checksums;
    if compared > 0 {
        let (compared, different) = (print::count(compared), print::count(different));
        rows.push(("checksums", format!("{compared} compared, {different} different")));
    }
    rows
}
