//! The command as a user runs it, and inputs to run it on.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use market_io::sink::Existing;
use market_io::synthetic::SyntheticConfig;
use market_io::write::write_binance;
use serde_json::Value;

/// What a run of the command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the command ends by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The command in a folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_featureplane"));
    command.current_dir(folder).args(args);
    command
}

/// Runs the command in a folder.
pub fn featureplane(folder: &Path, args: &[&str]) -> Said {
    command(folder, args).output().unwrap().into()
}

/// Names in a folder in order, temporary files included.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A short market with every fault.
pub fn market() -> SyntheticConfig {
    SyntheticConfig {
        seed: 11,
        duration_ns: 20_000_000_000,
        packets_per_second: 10,
        events_per_packet: 20,
        levels: 50,
        gaps: 1,
        crossed: 1,
        duplicates: 2,
        ..SyntheticConfig::default()
    }
}

pub fn recording(folder: &Path, name: &str, config: &SyntheticConfig) -> PathBuf {
    let path = folder.join(name);
    write_binance(&path, config, Existing::Refuse).unwrap();
    path
}

/// Rows in the footer of a Parquet file, read without a library: field 3 of the Thrift structure that
/// stands before the last eight bytes.
pub fn footer_rows(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let (rest, tail) = bytes.split_at(bytes.len() - 8);
    assert_eq!((&tail[4..], &bytes[..4]), (&b"PAR1"[..], &b"PAR1"[..]));
    let length = u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize;
    let mut footer = Thrift(&rest[rest.len() - length..]);
    let mut id = 0;
    loop {
        let kind = footer.field(&mut id).expect("the footer has a number of rows");
        if id == 3 {
            assert_eq!(kind, 6, "a 64-bit integer");
            let zigzag = footer.varint();
            assert_eq!(zigzag % 2, 0, "not negative");
            return zigzag / 2;
        }
        footer.skip(kind);
    }
}

/// The compact protocol, as far as skipping needs it.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.0[0];
        self.0 = &self.0[1..];
        byte
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    /// Type of the next field, and its id; `None` at the end of a structure.
    fn field(&mut self, id: &mut u64) -> Option<u8> {
        let byte = self.byte();
        match byte >> 4 {
            _ if byte == 0 => return None,
            0 => *id = self.varint() / 2,
            step => *id += u64::from(step),
        }
        Some(byte & 0x0F)
    }

    fn skip(&mut self, kind: u8) {
        match kind {
            1 | 2 => {}
            3 => _ = self.byte(),
            4..=6 => _ = self.varint(),
            7 => self.0 = &self.0[8..],
            8 => {
                let length = usize::try_from(self.varint()).unwrap();
                self.0 = &self.0[length..];
            }
            9 => {
                let head = self.byte();
                let count = if head >> 4 == 15 { self.varint() } else { u64::from(head >> 4) };
                (0..count).for_each(|_| self.skip(head & 0x0F));
            }
            12 => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id) {
                    self.skip(kind);
                }
            }
            other => panic!("type {other} does not occur in a footer"),
        }
    }
}
