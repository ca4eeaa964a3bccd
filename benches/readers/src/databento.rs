//! Databento's samples, each repeated with later times and other order ids until it is of the size of a recording.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dbn::decode::{DbnDecoder, DbnMetadata, DecodeRecordRef};
use dbn::{MboMsg, Mbp1Msg};
use market_io::OpenOptions;
use market_model::OrderOp;

use crate::{Case, Contents, drain, each, size, unpacked};

/// About as many bytes are written.
const BYTES: usize = 64 << 20;
const SPAN_NS: u64 = 600_000_000_000;
/// Prices of the files are in units of 10^-9.
const DECIMALS: u8 = 9;

/// Both times of a record, and the order id of the schema `mbo`, as offsets.
struct Layout {
    times: [usize; 2],
    order_id: Option<usize>,
}

fn moved(record: &mut [u8], layout: &Layout, copy: u64) {
    let mut add = |at: usize, amount: u64| {
        let word: [u8; 8] = record[at..at + 8].try_into().expect("eight bytes");
        record[at..at + 8].copy_from_slice(&(u64::from_le_bytes(word) + amount).to_le_bytes());
    };
    layout.times.iter().for_each(|at| add(*at, copy * SPAN_NS));
    layout.order_id.iter().for_each(|at| add(*at, copy << 44));
}

/// A file of many copies of the records of another.
fn repeated(path: &Path, layout: &Layout) -> Result<PathBuf> {
    let bytes = std::fs::read(path)?;
    let metadata = 8 + u32::from_le_bytes(bytes[4..8].try_into()?) as usize;
    let (head, records) = bytes.split_at(metadata);
    let to = path.with_extension("long.dbn");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&to)?);
    out.write_all(head)?;
    for copy in 0..(BYTES / records.len()) as u64 {
        let mut records = records.to_vec();
        let mut rest = &mut records[..];
        while let Some(length) = rest.first() {
            let (record, behind) = rest.split_at_mut(usize::from(*length) * 4);
            moved(record, layout, copy);
            rest = behind;
        }
        out.write_all(&records)?;
    }
    out.into_inner()?.sync_all()?;
    Ok(to)
}

fn theirs(path: &Path) -> Result<Contents> {
    let mut found = Contents::default();
    let mut decoder = DbnDecoder::from_file(path)?;
    ensure!(decoder.metadata().schema.is_some());
    while let Some(record) = decoder.decode_record_ref()? {
        found.records += 1;
        let (action, price, size, order_id) = if let Some(order) = record.get::<MboMsg>() {
            (order.action as u8, order.price, order.size, order.order_id)
        } else {
            let quote = record.get::<Mbp1Msg>().context("a record of another schema")?;
            (quote.action as u8, quote.price, quote.size, 0)
        };
        let value = i128::from(price) * i128::from(size);
        if action == b'T' && size > 0 {
            found.trades += 1;
            found.turnover += value;
        }
        if order_id != 0 && matches!(action, b'A' | b'M') {
            found.orders += 1;
            found.order_value += value;
            found.last_order_id = order_id;
        }
    }
    Ok(found)
}

/// Decodes every record and looks at its price; how many there were.
fn read(path: &Path) -> Result<u64> {
    let mut decoder = DbnDecoder::from_file(path)?;
    let (mut records, mut prices) = (0, 0_i64);
    while let Some(record) = decoder.decode_record_ref()? {
        records += 1;
        prices ^= match record.get::<MboMsg>() {
            Some(order) => order.price,
            None => record.get::<Mbp1Msg>().map_or(0, |quote| quote.price),
        };
    }
    std::hint::black_box(prices);
    Ok(records)
}

fn ours(options: &OpenOptions) -> Result<Contents> {
    let mut found = Contents::default();
    let source = each(options, |packet| {
        for trade in &packet.trades {
            found.trades += 1;
            found.turnover += i128::from(trade.price_ticks) * i128::from(trade.qty_lots);
        }
        for order in &packet.orders {
            if matches!(order.op, OrderOp::Add | OrderOp::Modify) {
                found.orders += 1;
                found.order_value += i128::from(order.price_ticks) * i128::from(order.qty_lots);
                found.last_order_id = order.order_id;
            }
        }
    })?;
    ensure!(source.stats().rejected == 0, "{:?}", source.stats().faults);
    let instrument = source.instrument();
    let tick = instrument.tick_scaled * 10_i64.pow(u32::from(DECIMALS - instrument.price_scale));
    found.turnover *= i128::from(tick);
    found.order_value *= i128::from(tick);
    found.records = source.stats().records;
    Ok(found)
}

pub(crate) fn cases(shared: &Path, folder: &Path) -> Result<Vec<Case>> {
    let orders = Layout { times: [8, 40], order_id: Some(16) };
    let quotes = Layout { times: [8, 32], order_id: None };
    let mut cases = Vec::new();
    for (name, schema, layout) in [
        ("glbx_ESM4_mbo_20240508_2s.dbn.zst", "mbo", orders),
        ("glbx_ESU4_mbp-1_20240701T2358_4min.dbn.zst", "mbp-1", quotes),
    ] {
        let plain = repeated(&unpacked(&shared.join("dbn").join(name), folder)?, &layout)?;
        let options = OpenOptions { inputs: vec![plain.clone()], ..OpenOptions::default() };
        let (found, wanted) = (ours(&options)?, theirs(&plain)?);
        ensure!(found == wanted, "{schema}: ours {found:?}, dbn {wanted:?}");
        ensure!(found.trades > 0 && found.records > 100_000, "{found:?}");
        cases.push(Case {
            what: format!("DBN {schema}: packets / dbn: records"),
            bytes: size(&plain)?,
            ours: Box::new(move || drain(&options)),
            peer: Box::new(move || read(&plain)),
        });
    }
    Ok(cases)
}
