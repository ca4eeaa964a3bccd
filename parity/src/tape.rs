//! A tape: an instrument, a feature set, and packets in order.

use std::sync::Arc;

use feature_kernel::ParamValue;
use feature_runtime::FeatureSet;
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_io::{OpenOptions, Source};
use market_model::{Instrument, Packet};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// One input for every path.
#[derive(Debug, Clone)]
pub struct Tape {
    /// Name for reports.
    pub name: String,
    /// The features to compute.
    pub set: Arc<FeatureSet>,
    /// The instrument.
    pub instrument: Instrument,
    /// The packets.
    pub packets: Vec<Packet>,
}

impl Tape {
    /// Reads a whole input; `limit` packets at most.
    ///
    /// # Errors
    ///
    /// [`Error::Input`].
    pub fn read(options: &OpenOptions, set: Arc<FeatureSet>, limit: u64) -> Result<Self, Error> {
        let mut source = market_io::open(options)?;
        let packets = packets(source.as_mut(), limit)?;
        let name = options
            .inputs
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let name = name.collect::<Vec<_>>().join(" + ");
        Ok(Self { name, set, instrument: source.instrument().clone(), packets })
    }

    /// A quarter of an hour of a synthetic market with every kind of fault, about a million events.
    ///
    /// # Errors
    ///
    /// [`Error::Input`].
    pub fn synthetic(seed: u64, set: Arc<FeatureSet>) -> Result<Self, Error> {
        let config = SyntheticConfig {
            seed,
            duration_ns: 900_000_000_000,
            gaps: 5,
            crossed: 5,
            duplicates: 20,
            reorders: 5,
            ..SyntheticConfig::default()
        };
        let mut source = SyntheticSource::new(&config)?;
        let packets = packets(&mut source, u64::MAX)?;
        let name = format!("synthetic seed {seed}");
        Ok(Self { name, set, instrument: source.instrument().clone(), packets })
    }

    /// Level changes and trades of all packets.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.packets.iter().map(Packet::event_count).sum()
    }

    /// Header keys of the packet log beyond the instrument: what a path in another process must compute.
    ///
    /// # Panics
    ///
    /// Never: canonical JSON is JSON.
    #[must_use]
    pub fn header(&self) -> Map<String, Value> {
        let canonical = serde_json::from_str(&self.set.canonical_json());
        let mut map = Map::new();
        map.insert("schema_hash".into(), format!("{:016x}", self.set.schema_hash()).into());
        map.insert("feature_set".into(), canonical.expect("Invariant: canonical JSON is JSON"));
        map.insert("feature_set_json".into(), self.set_file());
        map
    }

    /// The feature set in the form of a set file.
    #[must_use]
    pub fn set_file(&self) -> Value {
        let features = self.set.features().iter().map(|feature| {
            let params = feature.params.iter().map(|(key, value)| {
                let value = match value {
                    ParamValue::Int(value) => Value::from(*value),
                    ParamValue::Text(word) => Value::from(word.as_str()),
                };
                ((*key).to_owned(), value)
            });
            json!({
                "family": feature.family.slug,
                "column": feature.column.id,
                "params": params.collect::<Map<_, _>>(),
                "alias": feature.name,
            })
        });
        json!({"id": self.set.id(), "features": features.collect::<Vec<_>>()})
    }
}

fn packets(source: &mut dyn Source, limit: u64) -> Result<Vec<Packet>, Error> {
    let mut packets = Vec::new();
    let mut packet = Packet::default();
    while (packets.len() as u64) < limit && source.next_packet(&mut packet)? {
        packets.push(packet.clone());
    }
    Ok(packets)
}
