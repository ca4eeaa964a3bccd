//! A small book and file helpers for the tests of the sources.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use market_io::{Error, Format, OpenOptions, Source};
use market_model::{BookOp, Packet, PacketKind};

/// Prices and quantities by ticks and lots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    pub bids: BTreeMap<i64, i64>,
    pub asks: BTreeMap<i64, i64>,
}

impl Book {
    pub fn apply(&mut self, packet: &Packet) {
        if matches!(packet.kind, PacketKind::Snapshot | PacketKind::Reset) {
            *self = Self::default();
        }
        for (op, levels) in packet.runs() {
            let bound = levels.first().map(|level| level.price_ticks);
            match op {
                BookOp::SetBid | BookOp::SetAsk => {
                    let side = if op == BookOp::SetBid { &mut self.bids } else { &mut self.asks };
                    for level in levels {
                        if level.qty_lots == 0 {
                            side.remove(&level.price_ticks);
                        } else {
                            side.insert(level.price_ticks, level.qty_lots);
                        }
                    }
                }
                BookOp::ClearBid => self.bids.retain(|price, _| bound.is_some_and(|b| *price < b)),
                BookOp::ClearAsk => self.asks.retain(|price, _| bound.is_some_and(|b| *price > b)),
            }
        }
    }

    pub fn best(&self) -> [Option<(i64, i64)>; 2] {
        let bid = self.bids.last_key_value().map(|(p, q)| (*p, *q));
        let ask = self.asks.first_key_value().map(|(p, q)| (*p, *q));
        [bid, ask]
    }
}

/// A file of the shared data, or `None` with a visible note.
pub fn shared(names: &[&str]) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.is_dir() {
        eprintln!("skipped: ../shared/data is absent");
        return None;
    }
    Some(names.iter().map(|name| root.join(name)).collect())
}

pub fn options(inputs: Vec<PathBuf>) -> OpenOptions {
    OpenOptions { inputs, ..OpenOptions::default() }
}

/// Every packet of a source, and the error that ended it.
pub fn drain(source: &mut dyn Source) -> (Vec<Packet>, Option<Error>) {
    let (mut packets, mut packet) = (Vec::new(), Packet::default());
    loop {
        match source.next_packet(&mut packet) {
            Ok(true) => packets.push(packet.clone()),
            Ok(false) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
}

pub fn read(options: &OpenOptions) -> (Vec<Packet>, Option<Error>) {
    match market_io::open(options) {
        Ok(mut source) => drain(source.as_mut()),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// The lines of a gzip file.
pub fn gzip_lines(path: &Path) -> impl Iterator<Item = String> {
    let file = File::open(path).unwrap();
    BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().map(Result::unwrap)
}

pub fn write_file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One hftbacktest row: `ev`, `exch_ts`, `local_ts`, `px`, `qty`.
pub type TestRow = (u64, i64, i64, f64, f64);

pub const DTYPE: &str = "[('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '<f8'), \
     ('qty', '<f8'), ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')]";

pub fn npy_header(dtype: &str, order: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text.as_bytes());
    out
}

pub fn npy(rows: &[TestRow]) -> Vec<u8> {
    let mut out = npy_header(DTYPE, "False", &format!("({},)", rows.len()));
    for (ev, exch, local, px, qty) in rows {
        out.extend(ev.to_le_bytes());
        out.extend(exch.to_le_bytes());
        out.extend(local.to_le_bytes());
        out.extend(px.to_le_bytes());
        out.extend(qty.to_le_bytes());
        out.extend([0; 24]);
    }
    out
}

pub fn npz(member: &str, npy: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    zip.start_file(member, options).unwrap();
    zip.write_all(npy).unwrap();
    zip.finish().unwrap().into_inner()
}

pub fn forced(format: Format, inputs: Vec<PathBuf>) -> OpenOptions {
    OpenOptions { format, ..options(inputs) }
}
