//! What is fuzzed: everything that reads bytes from outside. A target takes any bytes; it may refuse
//! them, it may not panic, hang or contradict itself.
//!
//! The corpus is what the other tests read. `tests/fuzz.rs` runs it, whole and with seeded damage.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_infer::{AnyModel, PlainWeights};
use feature_kernel::frame;
use feature_live::canary::{Policy, Series, parse_prometheus_json};
use feature_runtime::{
    FeatureSet, Latest, LatestReader, LatestWriter, SymbolEngine, built_in_set, parse_set,
};
use market_io::{Format, OpenOptions};
use market_model::{BookOp, Decimal, Instrument, Level, Packet, PacketKind, parse_scaled};

/// Packets of one input that are looked at.
const MAX_PACKETS: usize = 2_000;

/// One thing that reads bytes.
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    /// Takes any bytes.
    pub(crate) run: fn(&[u8]),
    /// Good inputs.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident: $seeds:expr),+ $(,)?) => {
        /// Every target.
        pub(crate) const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), run: $name, seeds: || $seeds }),+];
    };
}

targets! {
    decimal: texts(&["0", "-1.50", "61800.10000000", "1e-8", "9007199254740991", "+.5", "1e400"]),
    binance: vec![recorded(16)],
    lobster: files("market-io/tests/lobster"),
    ccxt: files("market-io/tests/ccxt"),
    tardis: files("market-io/tests/tardis"),
    parquet: files("market-io/tests/parquet"),
    chronicle: files("market-io/tests/chronicle"),
    dbn: files("market-io/tests/dbn"),
    cryptofeed: files("market-io/tests/cryptofeed"),
    bybit: files("market-io/tests/bybit"),
    bitstamp_l3: files("market-io/tests/bitstamp-l3"),
    bitfinex_l3: files("market-io/tests/bitfinex-l3"),
    events: expected("market-io/tests/ccxt"),
    hftbacktest: vec![array()],
    any_format: [files("market-io/tests/tardis"), expected("market-io/tests/bybit"), vec![array()]].concat(),
    frame_bytes: vec![frame_seed()],
    state: vec![state_seed()],
    feature_set: [files_at("../specs/sets"), files_at("../parity/tests")].concat(),
    model: files("feature-infer/tests/models"),
    plain_weights: texts(&["-1.5\n2\n0.5\n1e-3\n", "0\n1\n-0.0\n"]),
    latest_frames: vec![latest_seed()],
    watch_config: texts(&["", "[hf]\nlevels = 10\n", "symbols = [\"BTC/USDT\"]\n"]),
    canary_policy: vec![std::fs::read(root().join("../docs/ops/canary.toml")).unwrap()],
    scraped_metrics: texts(&[
        "# TYPE a counter\na_total{symbol=\"X\"} 3\na_total{symbol=\"Y\"} 4 1700000000.5\n# EOF\n",
        "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\n",
    ]),
    prometheus_answer: texts(&[
        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":\
         {\"__name__\":\"a\"},\"values\":[[1700000000,\"1\"],[1700000015.5,\"2\"]]}]}}",
    ]),
    times: texts(&["10m", "1s", "2024-08-08T23:54:15", "1723161255000000000", "1.5h", "99999999d"]),
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The samples of a folder below `crates`, without what is expected of them.
fn files(folder: &str) -> Vec<Vec<u8>> {
    read(&root().join(folder), |name| !name.starts_with("expected"))
}

fn expected(folder: &str) -> Vec<Vec<u8>> {
    read(&root().join(folder), |name| name.starts_with("expected"))
}

fn files_at(folder: &str) -> Vec<Vec<u8>> {
    read(&root().join(folder), |name| name.ends_with(".json"))
}

fn read(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && wanted(&path.file_name().unwrap().to_string_lossy()))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Some lines of a synthetic recording of Binance.
fn recorded(lines: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.txt");
    let config =
        market_io::synthetic::SyntheticConfig { duration_ns: 3_000_000_000, ..Default::default() };
    market_io::write::write_binance(&path, &config, market_io::sink::Existing::Refuse).unwrap();
    let text = std::fs::read(path).unwrap();
    text.split_inclusive(|byte| *byte == b'\n').take(lines).flatten().copied().collect()
}

fn array() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let config =
        market_io::synthetic::SyntheticConfig { duration_ns: 500_000_000, ..Default::default() };
    let (stored, refuse) =
        (market_io::write::NpzCompression::Stored, market_io::sink::Existing::Refuse);
    market_io::write::write_hftbacktest(&path, &config, stored, refuse).unwrap();
    std::fs::read(path).unwrap()
}

fn set() -> Arc<FeatureSet> {
    Arc::new(built_in_set("lob_shared_v1").unwrap())
}

/// An engine after one snapshot.
fn engine() -> SymbolEngine {
    let mut engine = SymbolEngine::new(set(), Instrument::new(0, "X", "0.1", "0.001").unwrap());
    let mut packet = Packet { kind: PacketKind::Snapshot, seq: 1, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(618_001, 696));
    packet.push_level(BookOp::SetAsk, Level::new(618_003, 12));
    engine.process(&packet).unwrap();
    engine
}

fn frame_seed() -> Vec<u8> {
    engine().frame().unwrap().as_bytes().to_vec()
}

fn state_seed() -> Vec<u8> {
    engine().snapshot()
}

fn latest_seed() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latest");
    let mut writer = LatestWriter::create(&path, &set(), &["X"], &["p_up"]).unwrap();
    writer.publish(engine().frame().unwrap(), Some(&[0.5]), 7);
    drop(writer);
    std::fs::read(path).unwrap()
}

fn options(path: &Path, format: Format) -> OpenOptions {
    OpenOptions { inputs: vec![path.into()], format, ..OpenOptions::default() }
}

fn in_file(bytes: &[u8], use_it: impl FnOnce(&Path)) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    use_it(file.path());
}

/// Opens an input and runs it through book and features; where it gives packets, the frames decode.
fn input(bytes: &[u8], format: Format) {
    in_file(bytes, |path| {
        let Ok(mut source) = market_io::open(&options(path, format)) else { return };
        let set = set();
        let mut engine = SymbolEngine::new(Arc::clone(&set), source.instrument().clone());
        let mut packet = Packet::default();
        for _ in 0..MAX_PACKETS {
            let Ok(true) = source.next_packet(&mut packet) else { return };
            if let Some(frame) = engine.process(&packet) {
                frame::decode(frame.as_bytes(), set.schema_hash(), set.len()).unwrap();
            }
        }
    });
}

macro_rules! inputs {
    ($($name:ident: $format:ident),+) => { $(fn $name(bytes: &[u8]) { input(bytes, Format::$format); })+ };
}

inputs!(
    binance: Binance, lobster: Lobster, ccxt: Ccxt, tardis: Tardis, parquet: Parquet,
    chronicle: Chronicle, dbn: Dbn, cryptofeed: Cryptofeed, bybit: Bybit, bitstamp_l3: BitstampL3,
    bitfinex_l3: BitfinexL3, events: Events, hftbacktest: Hftbacktest, any_format: Auto
);

/// The two ways in which decimals are read agree.
fn decimal(bytes: &[u8]) {
    for scale in [0, 2, 9] {
        let general = Decimal::parse(bytes).and_then(|decimal| decimal.to_scaled(scale));
        assert_eq!(general, parse_scaled(bytes, scale), "scale {scale}");
    }
}

fn frame_bytes(bytes: &[u8]) {
    let set = set();
    if let Ok(words) = frame::decode(bytes, set.schema_hash(), set.len()) {
        assert_eq!(frame::FrameRef::from_words(&words).as_bytes(), bytes);
    }
}

fn state(bytes: &[u8]) {
    let mut engine = engine();
    if engine.restore(bytes).is_ok() {
        assert_eq!(engine.snapshot(), bytes);
    }
}

fn feature_set(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(set) = parse_set(text, "fuzzed") {
        assert_eq!(parse_set(text, "again").unwrap().schema_hash(), set.schema_hash());
    }
}

fn model(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = AnyModel::parse(text);
}

fn plain_weights(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(weights) = PlainWeights::parse(text) {
        assert_eq!(PlainWeights::parse(&weights.to_text()).unwrap(), weights);
    }
}

fn latest_frames(bytes: &[u8]) {
    let set = set();
    in_file(bytes, |path| {
        let Ok(reader) = LatestReader::open(path, set.schema_hash()) else { return };
        let mut latest = Latest::default();
        for id in 0..reader.symbols().len().min(4) as u32 {
            _ = reader.read(id, &mut latest);
        }
    });
}

fn watch_config(bytes: &[u8]) {
    in_file(bytes, |path| _ = feature_extract::load_watch_config(path));
}

fn canary_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = Policy::parse(text).map(|policy| policy.metrics());
}

fn scraped_metrics(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = Series::parse(text);
}

fn prometheus_answer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = parse_prometheus_json(text);
}

fn times(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = feature_extract::parse_time_ns(text);
    _ = text.parse::<feature_extract::Emission>();
    _ = feature_extract::parse_durations_ns(text);
}
