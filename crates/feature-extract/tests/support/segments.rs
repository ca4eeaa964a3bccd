//! Segments of a CCXT recorder, and what a watch makes of them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use feature_extract::{Until, WatchConfig, Watcher, load_watch_config};
use testkit::ccxt::CcxtLines;

/// Half a minute before a midnight, so that there are two dates.
pub const START_MS: i64 = 1_710_028_770_000;

pub const SYMBOLS: [&str; 2] = ["binance:BTC/USDT", "kraken:ETH/USD"];

pub const CONFIG: &str = r#"
[etl]
part_seconds = 20

[etl.channels.orderbook.processor_options]
bar_durations = [1, 5]

[instruments."binance:BTC/USDT"]
tick_size = "0.1"
lot_size = "0.001"
nonces = "none"

[instruments."kraken:ETH/USD"]
tick_size = "0.1"
lot_size = "0.001"
nonces = "none"
"#;

/// Lines with their ends; now and then one of a symbol nobody asked for, and one that is broken.
pub fn lines(count: usize) -> Vec<String> {
    let wanted = CcxtLines::new(&SYMBOLS, 12, START_MS, 7).take(count);
    let other = CcxtLines::new(&["okx:SOL/USDT"], 3, START_MS, 8);
    let mut lines = Vec::new();
    for (index, (line, other)) in wanted.zip(other).enumerate() {
        if index % 50 == 49 {
            lines.push(line[..line.len() / 2].to_owned() + "\n");
        }
        if index % 40 == 39 {
            lines.push(other + "\n");
        }
        lines.push(line + "\n");
    }
    lines
}

pub fn config(folder: &Path) -> WatchConfig {
    let path = folder.join("watch.toml");
    std::fs::write(&path, CONFIG).unwrap();
    load_watch_config(&path).unwrap()
}

pub fn append(path: &Path, text: &str) {
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Every part below a folder, by its path in it; the state is left aside.
pub fn parts(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![out.join("hf"), out.join("bars")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(out).unwrap().into(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The parts that one run over all lines in one segment gives.
pub fn at_once(lines: &[String]) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir(&input).unwrap();
    append(&input.join("segment_1.ndjson"), &lines.concat());
    let mut watcher = Watcher::open(&input, &out, &config(folder.path())).unwrap();
    watcher.catch_up(Until::Finished, &|| false).unwrap();
    parts(&out)
}

/// Names of the parts that differ.
pub fn difference(
    ours: &BTreeMap<PathBuf, Vec<u8>>,
    theirs: &BTreeMap<PathBuf, Vec<u8>>,
) -> Vec<String> {
    let differs = |path: &&PathBuf| ours.get(*path) != theirs.get(*path);
    let names = ours.keys().chain(theirs.keys()).filter(differs);
    names.map(|path| path.display().to_string()).collect()
}
