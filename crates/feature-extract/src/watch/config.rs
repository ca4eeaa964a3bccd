//! The configuration of a watch: the keys of the CCXT job, and what it left to chance.

use std::collections::BTreeMap;
use std::sync::Arc;

use feature_runtime::FeatureSet;
use market_io::ccxt::Nonces;
use market_io::sink::Compression;
use market_model::Instrument;
use serde::Deserialize;

use super::set::feature_set;
use crate::bars::{BarOptions, EmptyBars};
use crate::emission::Emission;
use crate::error::Error;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_SECONDS: u32 = 86_400;
/// Longest name, in bytes; a folder is named after it, three bytes for one at worst.
const LONGEST_NAME: usize = 80;
const PARTITIONS: [&str; 3] = ["exchange", "symbol", "date"];

/// What to watch and what to make of it. An unknown key is an error.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    #[serde(default)]
    etl: Etl,
    /// By `exchange:symbol`; other symbols are counted and left out.
    pub instruments: BTreeMap<String, InstrumentConfig>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Etl {
    channels: Channels,
    compression: String,
    delete_after_processing: bool,
    /// Length of a part in event time; divides a day.
    part_seconds: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Channels {
    orderbook: Channel,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Channel {
    enabled: bool,
    partition_cols: Vec<String>,
    processor_options: ProcessorOptions,
}

/// The options of the job's processor, with its defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProcessorOptions {
    /// Seconds.
    pub(super) horizons: Vec<u32>,
    /// Seconds.
    bar_durations: Vec<u32>,
    /// Seconds.
    #[serde(alias = "hf_sample_interval")]
    hf_emit_interval: f64,
    pub(super) max_levels: u32,
    pub(super) ofi_levels: u32,
    pub(super) bands_bps: Vec<u32>,
    keep_raw_arrays: bool,
    /// Spread over mid.
    tight_spread_threshold: f64,
}

/// The grid of one symbol, which a stream that grows cannot be asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentConfig {
    /// Tick size as decimal text.
    pub tick_size: String,
    /// Lot size as decimal text.
    pub lot_size: String,
    /// `none`, `sparse` or `dense`.
    #[serde(default)]
    nonces: NonceText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NonceText {
    None,
    #[default]
    Sparse,
    Dense,
}

impl Default for Etl {
    fn default() -> Self {
        Self {
            channels: Channels::default(),
            compression: "zstd".into(),
            delete_after_processing: false,
            part_seconds: 600,
        }
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            enabled: true,
            partition_cols: PARTITIONS.map(Into::into).into(),
            processor_options: ProcessorOptions::default(),
        }
    }
}

impl Default for ProcessorOptions {
    fn default() -> Self {
        Self {
            horizons: vec![1, 5, 30, 60],
            bar_durations: vec![1, 5, 30, 60],
            hf_emit_interval: 1.0,
            max_levels: 10,
            ofi_levels: 5,
            bands_bps: vec![5, 10, 25, 50],
            keep_raw_arrays: false,
            tight_spread_threshold: 1e-4,
        }
    }
}

impl ProcessorOptions {
    /// Threshold of a tight spread in millionths; `None` when it is no positive whole number of them.
    pub(super) fn tight_ppm(&self) -> Option<i64> {
        whole(self.tight_spread_threshold, 1e6)
    }
}

/// A configuration that was checked.
pub(super) struct Plan {
    pub(super) set: Arc<FeatureSet>,
    pub(super) emission: Emission,
    pub(super) bars: BarOptions,
    pub(super) part_ns: i64,
    pub(super) compression: Compression,
    pub(super) instruments: Vec<(Instrument, Nonces)>,
    /// Equal for configurations that write the same.
    pub(super) canonical: String,
}

impl WatchConfig {
    /// Reads TOML or YAML, as the ending of the file's name says.
    pub(super) fn parse(text: &str, ending: &str) -> Result<Self, String> {
        match ending {
            "toml" => toml::from_str(text).map_err(|error| error.to_string()),
            "yaml" | "yml" => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
            _ => Err("expected a name that ends in .toml, .yaml or .yml".into()),
        }
    }

    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(Error::Config { field: "watch", message: faults.join("; ") });
        }
        let options = &self.etl.channels.orderbook.processor_options;
        let set = feature_set(options)?;
        let step_ns = whole(options.hf_emit_interval, 1e3).unwrap_or_default() * 1_000_000;
        let emission = Emission::Step { step_ns };
        let durations = options.bar_durations.iter();
        let bars = BarOptions {
            durations_ns: durations.map(|seconds| i64::from(*seconds) * SECOND_NS).collect(),
            empty: EmptyBars::Skip,
            path: None,
        };
        let compression = compression(&self.etl.compression).unwrap_or_default();
        let mut instruments = Vec::new();
        for (index, (name, config)) in self.instruments.iter().enumerate() {
            let (exchange, symbol) = name.split_once(':').unwrap_or_default();
            let id = u32::try_from(index).unwrap_or(u32::MAX);
            let mut instrument = Instrument::new(id, symbol, &config.tick_size, &config.lot_size)
                .map_err(market_io::Error::from)?;
            instrument.venue = exchange.into();
            let nonces = match config.nonces {
                NonceText::None => Nonces::None,
                NonceText::Sparse => Nonces::Sparse,
                NonceText::Dense => Nonces::Dense,
            };
            instruments.push((instrument, nonces));
        }
        let part_ns = i64::from(self.etl.part_seconds) * SECOND_NS;
        let canonical = format!(
            "{} {:016x} {emission} bars {:?} part {part_ns} {compression:?} {:?}",
            env!("CARGO_PKG_VERSION"),
            set.schema_hash(),
            bars.durations_ns,
            self.instruments,
        );
        let set = Arc::new(set);
        Ok(Plan { set, emission, bars, part_ns, compression, instruments, canonical })
    }

    /// Everything that is wrong, each with its path.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        let channel = &self.etl.channels.orderbook;
        let options = &channel.processor_options;
        check(!self.instruments.is_empty(), "instruments: none is named");
        let mut folded = std::collections::BTreeSet::new();
        for name in self.instruments.keys() {
            // A file system may not tell them apart.
            let fault =
                format!("instruments.`{name}`: another differs in upper and lower case only");
            check(folded.insert(name.to_lowercase()), &fault);
            let fault = format!("instruments.`{name}`: expected at most {LONGEST_NAME} bytes");
            check(name.len() <= LONGEST_NAME, &fault);
            let parts = name.split_once(':');
            let fault = format!("instruments.`{name}`: expected exchange:symbol");
            check(parts.is_some_and(|(e, s)| !e.is_empty() && !s.is_empty()), &fault);
        }
        let divides = DAY_SECONDS.is_multiple_of(self.etl.part_seconds);
        check(divides, "etl.part_seconds: expected a divisor of 86400");
        check(
            compression(&self.etl.compression).is_some(),
            "etl.compression: expected zstd, snappy or none",
        );
        let keep = "etl.delete_after_processing: expected false, segments are never deleted";
        check(!self.etl.delete_after_processing, keep);
        let path = "etl.channels.orderbook";
        check(
            channel.enabled,
            &format!("{path}.enabled: expected true, there is no other channel"),
        );
        let same = channel.partition_cols == PARTITIONS;
        check(
            same,
            &format!("{path}.partition_cols: expected [\"exchange\", \"symbol\", \"date\"]"),
        );
        let path = format!("{path}.processor_options");
        let mut list = |key: &str, values: &[u32]| {
            let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
            let holds = !values.is_empty() && values[0] > 0 && rises;
            check(holds, &format!("{path}.{key}: expected positive numbers that rise"));
        };
        list("horizons", &options.horizons);
        list("bar_durations", &options.bar_durations);
        list("bands_bps", &options.bands_bps);
        let interval = whole(options.hf_emit_interval, 1e3).is_some();
        check(interval, &format!("{path}.hf_emit_interval: expected seconds, at least 0.001"));
        let tight = options.tight_ppm().is_some();
        check(tight, &format!("{path}.tight_spread_threshold: expected a multiple of 1e-6"));
        let raw = "keep_raw_arrays: expected false, every level has its columns";
        check(!options.keep_raw_arrays, &format!("{path}.{raw}"));
        for (key, levels) in
            [("max_levels", options.max_levels), ("ofi_levels", options.ofi_levels)]
        {
            check((1..=50).contains(&levels), &format!("{path}.{key}: expected 1 to 50"));
        }
        faults
    }
}

fn compression(name: &str) -> Option<Compression> {
    match name {
        "zstd" => Some(Compression::Zstd),
        "snappy" => Some(Compression::Snappy),
        "none" => Some(Compression::None),
        _ => None,
    }
}

/// `x * unit` when that is a positive whole number, up to the rounding of decimal text.
fn whole(x: f64, unit: f64) -> Option<i64> {
    let units = x * unit;
    let nearest = feature_kernel::numeric::round_to_i64(units)?;
    let is_near = (units - nearest as f64).abs() <= 1e-6 * units.abs();
    (is_near && nearest > 0).then_some(nearest)
}
