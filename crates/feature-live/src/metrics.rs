//! Counters as OpenMetrics text, under the names of `specs/metrics.toml`.
//!
//! The hot path knows nothing of this: a scrape reads its counters, and whatever happens here stays in
//! the thread of the exporter.

use std::fmt;
use std::sync::Arc;

use feature_kernel::FeatureSet;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serde::Deserialize;

use crate::counters::{Count, Counters, LATENCY_BOUNDS_NS, LatencyCounters, SymbolCounters};
use crate::feed_counters::{FeedCounters, Loss};
use crate::plane::wall_ns;
use crate::shadow::ShadowCounters;

const LIST: &str = include_str!("../../../specs/metrics.toml");

const NS_PER_S: f64 = 1e9;

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Only grows; exported with the ending `_total`.
    Counter,
    /// A state.
    Gauge,
    /// Latencies in buckets.
    Histogram,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSpec {
    /// Name without the ending of counters.
    pub name: String,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// Names of the labels, in order.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

/// Every metric that is exported, in the order of `specs/metrics.toml`.
///
/// # Panics
///
/// Never: the list is a part of the program, and a test reads it.
#[must_use]
pub fn metric_specs() -> Vec<MetricSpec> {
    #[derive(Deserialize)]
    struct List {
        metric: Vec<MetricSpec>,
    }
    let list: List = toml::from_str(LIST).expect("Invariant: the list was checked by a test");
    list.metric
}

/// What the exporter reads.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Counters of the worker.
    pub counters: Arc<Counters>,
    /// Counters of the shadow, if there is one.
    pub shadow: Option<Arc<ShadowCounters>>,
    /// Counters of the connections to venues; none for a recording.
    pub feed: Vec<Arc<FeedCounters>>,
    /// The set of the engine.
    pub set: Arc<FeatureSet>,
}

type Labels = Vec<(&'static str, String)>;

/// One sample of a family.
enum Sample<'a> {
    Count(u64),
    State(f64),
    Latency(&'a LatencyCounters),
}

impl Watched {
    /// The samples of one metric; none when there is nothing to say.
    fn samples(&self, name: &str) -> Vec<(Labels, Sample<'_>)> {
        let counters = &*self.counters;
        let one = |sample| vec![(Labels::new(), sample)];
        let count = |value: u64| one(Sample::Count(value));
        let by_symbol = |value: &dyn Fn(&SymbolCounters) -> Option<Sample<'_>>| {
            let rows = counters.symbols.iter().filter_map(|symbol| {
                Some((vec![("symbol", symbol.symbol.clone())], value(symbol)?))
            });
            rows.collect::<Vec<_>>()
        };
        let shadow = |value: &dyn Fn(&ShadowCounters) -> u64| {
            self.shadow.iter().flat_map(|shadow| count(value(shadow))).collect::<Vec<_>>()
        };
        let feed = |count: &dyn Fn(&FeedCounters) -> &Count| {
            self.by_feed(&|feed| Sample::Count(count(feed).get()))
        };
        match name {
            "featureplane_running" => vec![(self.identity(), Sample::State(1.0))],
            "featureplane_packets" => count(counters.packets.get()),
            "featureplane_events" => count(counters.events.get()),
            "featureplane_ring_packets" => one(Sample::State(counters.queued() as f64)),
            "featureplane_ring_waits" => count(counters.full_waits.get()),
            "featureplane_packets_dropped" => {
                by_symbol(&|symbol| Some(Sample::Count(symbol.dropped.get())))
            }
            "featureplane_packets_by_fate" => self.fates(),
            "featureplane_frames" => by_symbol(&|symbol| Some(Sample::Count(symbol.frames.get()))),
            "featureplane_scores" => by_symbol(&|symbol| Some(Sample::Count(symbol.scores.get()))),
            "featureplane_quality_frames" => self.flags(),
            "featureplane_epoch" => {
                by_symbol(&|symbol| Some(Sample::State(symbol.epoch.get() as f64)))
            }
            "featureplane_frame_age_seconds" => {
                by_symbol(&|symbol| age(symbol, symbol.last_frame_ns.get()))
            }
            "featureplane_source_age_seconds" => {
                by_symbol(&|symbol| age(symbol, symbol.last_source_ns.get()))
            }
            "featureplane_book_awaits_snapshot" => {
                by_symbol(&|symbol| Some(Sample::State(symbol.awaits_snapshot.get() as f64)))
            }
            "featureplane_feed_connected" => {
                self.by_feed(&|feed| Sample::State(feed.is_connected.get() as f64))
            }
            "featureplane_feed_connections" => feed(&|feed| &feed.connections),
            "featureplane_feed_lost" => self.losses(),
            "featureplane_feed_messages" => feed(&|feed| &feed.messages),
            "featureplane_feed_snapshots_asked" => feed(&|feed| &feed.snapshots_asked),
            "featureplane_feed_snapshots_failed" => feed(&|feed| &feed.snapshots_failed),
            "featureplane_feed_rejected" => feed(&|feed| &feed.rejected),
            "featureplane_packet_to_engine_seconds" => one(Sample::Latency(&counters.to_engine)),
            "featureplane_packet_to_frame_seconds" => one(Sample::Latency(&counters.to_frame)),
            "featureplane_packet_to_end_seconds" => one(Sample::Latency(&counters.to_end)),
            "featureplane_shadow_checks" => shadow(&|shadow| shadow.checks.get()),
            "featureplane_shadow_frames" => shadow(&|shadow| shadow.frames.get()),
            "featureplane_shadow_mismatched_frames" => {
                shadow(&|shadow| shadow.mismatched_frames.get())
            }
            "featureplane_shadow_feature_mismatches" => self.mismatched_features(),
            _ => Vec::new(),
        }
    }

    fn by_feed(
        &self,
        value: &dyn Fn(&FeedCounters) -> Sample<'static>,
    ) -> Vec<(Labels, Sample<'_>)> {
        let rows =
            self.feed.iter().map(|feed| (vec![("symbol", feed.symbol.clone())], value(feed)));
        rows.collect()
    }

    fn losses(&self) -> Vec<(Labels, Sample<'_>)> {
        let rows = self.feed.iter().flat_map(|feed| {
            Loss::ALL.iter().zip(&feed.lost).map(|(loss, count)| {
                let labels = vec![("symbol", feed.symbol.clone()), ("cause", loss.label().into())];
                (labels, Sample::Count(count.get()))
            })
        });
        rows.collect()
    }

    fn identity(&self) -> Labels {
        vec![
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("feature_set", self.set.id().into()),
            ("schema_hash", format!("{:016x}", self.set.schema_hash())),
        ]
    }

    fn fates(&self) -> Vec<(Labels, Sample<'_>)> {
        let rows = self.counters.symbols.iter().flat_map(|symbol| {
            let names = lob_engine::Counters::default().named();
            names.into_iter().zip(&symbol.fates).map(|((fate, _), count)| {
                let labels = vec![("symbol", symbol.symbol.clone()), ("fate", fate.into())];
                (labels, Sample::Count(count.get()))
            })
        });
        rows.collect()
    }

    fn flags(&self) -> Vec<(Labels, Sample<'_>)> {
        let rows = self.counters.symbols.iter().flat_map(|symbol| {
            symbol.quality_frames().map(|(flag, frames)| {
                let labels = vec![("symbol", symbol.symbol.clone()), ("flag", flag.into())];
                (labels, Sample::Count(frames))
            })
        });
        rows.collect()
    }

    fn mismatched_features(&self) -> Vec<(Labels, Sample<'_>)> {
        let rows = self.shadow.iter().flat_map(|shadow| {
            let named = self.set.features().iter().zip(&shadow.features);
            let differing = named.filter(|(_, count)| count.get() > 0);
            differing.map(|(feature, count)| {
                (vec![("feature", feature.name.clone())], Sample::Count(count.get()))
            })
        });
        rows.collect()
    }
}

/// Wall time since a time of the last frame; `None` before the first one.
fn age(symbol: &SymbolCounters, since_ns: u64) -> Option<Sample<'static>> {
    let age_ns = wall_ns().saturating_sub(since_ns.cast_signed());
    (symbol.frames.get() > 0).then(|| Sample::State(age_ns as f64 / NS_PER_S))
}

impl Sample<'_> {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => encoder.encode_counter::<NoLabelSet, u64, f64>(value, None),
            Self::State(value) => encoder.encode_gauge(value),
            Self::Latency(latency) => {
                let counts: Vec<u64> = latency.buckets.iter().map(crate::Count::get).collect();
                let bounds = LATENCY_BOUNDS_NS.iter().map(|ns| *ns as f64 / NS_PER_S);
                let bounds = bounds.chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
                let sum = latency.sum_ns.get() as f64 / NS_PER_S;
                encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
            }
        }
    }
}

/// The list with what it is read from.
#[derive(Debug)]
struct Exported {
    specs: Vec<MetricSpec>,
    watched: Watched,
}

impl Collector for Exported {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for spec in &self.specs {
            let samples = self.watched.samples(&spec.name);
            if samples.is_empty() {
                continue;
            }
            let kind = match spec.kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(&spec.name, &spec.help, None, kind)?;
            for (labels, sample) in &samples {
                // An empty set of labels would be written as `{}`.
                if labels.is_empty() {
                    sample.encode(&mut metric)?;
                } else {
                    sample.encode(&mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// The exporter.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// An exporter of what is watched.
    #[must_use]
    pub fn new(watched: Watched) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Exported { specs: metric_specs(), watched }));
        Self { registry }
    }

    /// Everything as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            // Writing to a string fails only when a value cannot be written as text.
            Err(fmt::Error) => "# a metric could not be written\n# EOF\n".into(),
        }
    }
}
