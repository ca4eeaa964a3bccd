//! The gate's result as a page that needs nothing but a browser.

use core::fmt::Write;

use crate::gate::{Case, Gate};

/// The page.
#[must_use]
pub fn html(gate: &Gate) -> String {
    let bits = gate.differing_bits();
    let (class, verdict) = if bits == 0 { ("ok", "equal") } else { ("bad", "different") };
    let frames: u64 = gate.cases.iter().map(|case| case.frames).sum();
    let events: u64 = gate.cases.iter().map(|case| case.events).sum();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>featureplane parity</title><style>{STYLE}</style></head><body>\n\
         <h1>Parity <span class=\"{class}\">{verdict}</span></h1>\n\
         <p>{} tape(s), {} events, {} frames through {} path(s) beside the runtime: \
         <b>{bits} differing bits</b>. Version {}.</p>\n",
        gate.cases.len(),
        count(events),
        count(frames),
        gate.paths.len(),
        escape(&gate.version),
    );
    for case in &gate.cases {
        section(&mut page, case);
    }
    page.push_str("</body></html>\n");
    page
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;\
padding:0 1rem;color:#1c2330}h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.25rem .8rem;\
border-bottom:1px solid #dde2ea;vertical-align:top}td.n,th.n{text-align:right;\
font-variant-numeric:tabular-nums}.ok{color:#0a7d38}.bad{color:#b3261e}code{font-size:.9em}\
.muted{color:#5b6575}";

fn section(page: &mut String, case: &Case) {
    let quality: Vec<String> =
        case.quality.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let quality = if quality.is_empty() { "none".to_owned() } else { quality.join(", ") };
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<h2>{}</h2>\n<p class=\"muted\">{} &middot; set {} ({} features, schema {}) &middot; \
         {} packets, {} events, {} frames &middot; quality bits: {}</p>\n\
         <table><tr><th>path</th><th class=\"n\">frames</th><th class=\"n\">differing bits</th>\
         <th class=\"n\">differing frames</th><th class=\"n\">seconds</th><th>first difference</th></tr>\n\
         <tr><td>runtime</td><td class=\"n\">{}</td><td></td><td></td><td class=\"n\">{:.2}</td><td></td></tr>\n",
        escape(&case.tape),
        escape(&case.symbol),
        escape(&case.feature_set_id),
        case.features,
        case.schema_hash,
        count(case.packets),
        count(case.events),
        count(case.frames),
        escape(&quality),
        count(case.frames),
        case.seconds.first().copied().unwrap_or_default(),
    );
    for (index, comparison) in case.comparisons.iter().enumerate() {
        let class = if comparison.is_equal() { "ok" } else { "bad" };
        let first = comparison.first.as_ref().map_or_else(String::new, |d| {
            format!(
                "frame {} (seq {}, ts {}): <code>{}</code> runtime <code>{}</code>, here <code>{}</code>",
                d.frame,
                d.seq,
                d.ts_event_ns,
                escape(&d.feature),
                escape(&d.runtime),
                escape(&d.other)
            )
        });
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n {class}\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{:.2}</td><td>{first}</td></tr>",
            escape(&comparison.path),
            count(comparison.other_frames),
            count(comparison.differing_bits),
            count(comparison.differing_frames),
            case.seconds.get(index + 1).copied().unwrap_or_default(),
        );
    }
    page.push_str("</table>\n");
}

/// A count with separators of thousands.
fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| core::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
