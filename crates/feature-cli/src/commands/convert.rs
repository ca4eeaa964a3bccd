//! `featureplane convert`: one format to another.

use feature_extract::{Conversion, Converted, Target};
use market_io::sink::Existing;
use market_io::write::{ArrayOptions, ExchangeOrder, LocalClock, NpzCompression};

use super::extract::open_options;
use crate::args::{Convert, Target as To};
use crate::exit::{DONE, REJECTED, Usage};
use crate::print;
use crate::progress::Bars;

/// Writes one new file, and what belongs beside it.
pub(crate) fn run(args: &Convert) -> anyhow::Result<u8> {
    let symbol = match args.input.symbol.as_slice() {
        [] => None,
        [symbol] => Some(symbol),
        _ => return Err(Usage("--symbol: a converted file holds one".into()).into()),
    };
    let existing = if args.overwrite { Existing::Replace } else { Existing::Refuse };
    let target = match args.to {
        To::Hftbacktest => array(args, existing)?,
        To::Events => {
            refuse_array_options(args)?;
            Target::Events { existing }
        }
    };
    let open = open_options(&args.input, symbol)?;
    let bars = Bars::new(args.json);
    let result =
        feature_extract::convert(&Conversion { open, target, path: args.out.clone() }, &bars);
    bars.clear();
    let done = result?;
    if args.json {
        print::json(&done)?;
    } else {
        show(&done);
    }
    Ok(if done.rejected_count == 0 { DONE } else { REJECTED })
}

fn array(args: &Convert, existing: Existing) -> anyhow::Result<Target> {
    if args.out.extension().is_none_or(|ending| ending != "npz") {
        return Err(Usage(format!("--out `{}` must end in .npz", args.out.display())).into());
    }
    let local_clock = match (args.local_offset.as_str(), args.local_offset.parse()) {
        ("auto", _) => LocalClock::Aligned,
        (_, Ok(offset_ns)) => LocalClock::Shifted(offset_ns),
        (text, Err(_)) => {
            let message = format!("--local-offset `{text}` is neither whole ns nor `auto`");
            return Err(Usage(message).into());
        }
    };
    let options = ArrayOptions {
        local_clock,
        feed_latency_ns: args.feed_latency.map(i64::from),
        exchange_order: if args.trades_first {
            ExchangeOrder::TradesFirst
        } else {
            ExchangeOrder::Arrival
        },
        compression: if args.stored { NpzCompression::Stored } else { NpzCompression::Deflate },
        existing,
    };
    let (book, latencies) = (args.book_out.clone(), args.latency_out.clone());
    Ok(Target::Array { options, book, latencies })
}

fn refuse_array_options(args: &Convert) -> anyhow::Result<()> {
    for (name, is_given) in [
        ("--local-offset", args.local_offset != "0"),
        ("--feed-latency", args.feed_latency.is_some()),
        ("--trades-first", args.trades_first),
        ("--book-out", args.book_out.is_some()),
        ("--latency-out", args.latency_out.is_some()),
        ("--stored", args.stored),
    ] {
        if is_given {
            return Err(Usage(format!("{name} belongs to --to hftbacktest")).into());
        }
    }
    Ok(())
}

fn show(done: &Converted) {
    let rows = done.rows as f64 / done.elapsed_s.max(1e-9);
    print::line(format_args!(
        "{}: {} packets -> {} rows in {:.2} s ({:.2} M rows/s)",
        done.symbol,
        print::count(done.packets),
        print::count(done.rows),
        done.elapsed_s,
        rows / 1e6,
    ));
    for (path, bytes) in &done.outputs {
        print::line(format_args!("  {path} ({} bytes)", print::count(*bytes)));
    }
    if done.local_offset_ns != 0 {
        print::line(format_args!("  local times moved by {} ns", done.local_offset_ns));
    }
    for (what, count) in [
        ("packets of one local time, or earlier, moved forward", done.moved_packets),
        ("whole books older than the one before left out", done.late_books),
        ("gaps in the update ids", done.gaps),
        ("updates that a snapshot contains, or without one, left out", done.dropped_updates),
        ("quantities rounded", done.rounded),
    ] {
        if count > 0 {
            print::line(format_args!("  {what}: {}", print::count(count)));
        }
    }
    for reason in &done.rejected {
        print::note(format_args!("rejected: {reason}"));
    }
    if done.rejected_count > done.rejected.len() as u64 {
        print::note(format_args!("rejected in all: {}", done.rejected_count));
    }
}
