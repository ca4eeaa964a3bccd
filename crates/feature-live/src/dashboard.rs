//! What the dashboard shows: the state of the plane as JSON, and the page that draws it.
//!
//! Everything is read by the thread of the server, from counters and from the table of latest frames;
//! the worker knows nothing of it (`specs/live.md`).

mod shown;

use feature_kernel::frame::bit;
use feature_runtime::{FeatureValue, Latest, LatestReader};
use market_model::Instrument;
use serde_json::{Map, Value, json};

use crate::canary::{Policy, Rollout, Series, State, Streak, evaluate};
use crate::counters::{LATENCY_BOUNDS_NS, LatencyCounters, SymbolCounters};
use crate::metrics::{Metrics, Watched};
use crate::plane::{Plane, wall_ns};
use crate::shadow::ShadowCounters;
use shown::shown;

/// The page. It asks for `/state.json` and for nothing else.
pub(crate) const PAGE: &str = include_str!("dashboard/page.html");

const NS_PER_MS: i64 = 1_000_000;

/// The verdict that the page shows: what a policy says of the metrics since the process began, and how
/// far the rollout is.
#[derive(Debug)]
pub struct Canary {
    /// Policy that is applied.
    pub policy: Policy,
    /// State of the rollout. It is read, never written; its streak counts.
    pub rollout: Option<Rollout>,
}

/// What the page is about.
#[derive(Debug)]
pub struct Dashboard {
    feed: String,
    watched: Watched,
    latest: Option<LatestReader>,
    instruments: Vec<Instrument>,
    ring_packets: usize,
    canary: Option<Canary>,
    started_ns: i64,
}

impl Dashboard {
    /// A page about a plane. Without a table of latest frames it shows counters and no values.
    #[must_use]
    pub fn new(plane: &Plane, watched: Watched, feed: &str, ring_packets: usize) -> Self {
        Self {
            feed: feed.into(),
            watched,
            latest: plane.latest(),
            instruments: plane.engine().symbols().map(|s| s.instrument().clone()).collect(),
            ring_packets,
            canary: None,
            started_ns: wall_ns(),
        }
    }

    /// Shows a verdict.
    #[must_use]
    pub fn with_canary(mut self, canary: Canary) -> Self {
        self.canary = Some(canary);
        self
    }

    /// Everything that the page shows; `metrics` is what a policy is applied to.
    #[must_use]
    pub fn state(&self, metrics: &Metrics) -> Value {
        let Watched { counters, shadow, set, .. } = &self.watched;
        let now_ns = wall_ns();
        let features = set.features().iter().map(|feature| {
            json!({
                "name": feature.name,
                "family": feature.family.slug,
                "unit": feature.unit,
                "dtype": feature.column.dtype.name(),
            })
        });
        let mut latest = Latest::default();
        let symbols = counters.symbols.iter().zip(&self.instruments).map(|(symbol, instrument)| {
            let mut state = self.symbol(symbol, now_ns);
            state["venue"] = instrument.venue.as_str().into();
            state["frame"] = self.frame(instrument, &mut latest);
            state
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "feature_set": set.id(),
            "schema_hash": format!("{:016x}", set.schema_hash()),
            "feed": self.feed,
            "now_ms": now_ns / NS_PER_MS,
            "started_ms": self.started_ns / NS_PER_MS,
            "has_ended": self.latest.as_ref().is_some_and(LatestReader::is_closed),
            "packets": counters.packets.get(),
            "events": counters.events.get(),
            "ring": {
                "waiting": counters.queued(),
                "room": self.ring_packets,
                "waits": counters.full_waits.get(),
            },
            "latency": [
                latency("taken by the engine", &counters.to_engine),
                latency("frame published", &counters.to_frame),
                latency("every stage done", &counters.to_end),
            ],
            "latency_end_ns": LATENCY_BOUNDS_NS.last(),
            "features": features.collect::<Vec<_>>(),
            "symbols": symbols.collect::<Vec<_>>(),
            "shadow": shadow.as_deref().map(|shadow| self.shadow(shadow)),
            "canary": self.canary.as_ref().map(|canary| canary.state(metrics)),
        })
    }

    fn symbol(&self, symbol: &SymbolCounters, now_ns: i64) -> Value {
        let quality =
            symbol.quality_frames().map(|(name, frames)| (name.to_owned(), frames.into()));
        let quality: Map<String, Value> = quality.collect();
        let names = lob_engine::Counters::default().named();
        let fates: Map<String, Value> = names
            .iter()
            .zip(&symbol.fates)
            .map(|((fate, _), count)| ((*fate).to_owned(), count.get().into()))
            .collect();
        let age_ms = |since_ns: u64| {
            let since_ns = since_ns.cast_signed();
            (symbol.frames.get() > 0).then(|| now_ns.saturating_sub(since_ns) / NS_PER_MS)
        };
        json!({
            "symbol": symbol.symbol,
            "frames": symbol.frames.get(),
            "scored": symbol.scores.get(),
            "dropped": symbol.dropped.get(),
            "epoch": symbol.epoch.get(),
            "frame_age_ms": age_ms(symbol.last_frame_ns.get()),
            "source_age_ms": age_ms(symbol.last_source_ns.get()),
            "quality": quality,
            "fates": fates,
        })
    }

    /// The latest frame; null before the first one and without a table.
    fn frame(&self, instrument: &Instrument, latest: &mut Latest) -> Value {
        let Some(table) = &self.latest else { return Value::Null };
        match table.read(instrument.symbol_id, latest) {
            Ok(true) => {}
            Ok(false) => return Value::Null,
            Err(error) => return json!({ "error": error.to_string() }),
        }
        let (frame, set) = (latest.frame(), &self.watched.set);
        let header = frame.header();
        let ready = frame.warmup_ready_mask();
        let values = set.features().iter().enumerate().map(|(index, feature)| {
            let word = frame.value(index)?;
            Some(shown(FeatureValue::from_word(word, feature.column.dtype), feature, instrument))
        });
        let quality: Vec<&str> = header.quality.iter_names().map(|(name, _)| name).collect();
        let scores = (0..).map_while(|index| latest.score(index));
        json!({
            "seq": header.seq,
            "epoch": header.epoch,
            "event_ms": header.source_ts_ns / NS_PER_MS,
            "published": latest.published(),
            "quality": quality,
            "values": values.collect::<Vec<_>>(),
            "ready": (0..set.len()).map(|index| bit(ready, index)).collect::<Vec<_>>(),
            "scores": scores.collect::<Vec<f64>>(),
        })
    }

    fn shadow(&self, shadow: &ShadowCounters) -> Value {
        let named = self.watched.set.features().iter().zip(&shadow.features);
        let differing = named.filter(|(_, count)| count.get() > 0);
        let features: Map<String, Value> =
            differing.map(|(feature, count)| (feature.name.clone(), count.get().into())).collect();
        let first = shadow.mismatches().into_iter().map(|found| {
            json!({
                "symbol": found.symbol,
                "seq": found.seq,
                "source_seq": found.source_seq.to_string(),
                "event_ns": found.ts_event_ns.to_string(),
                "field": found.field,
                "primary": found.primary,
                "other": found.other,
                "features": found.features,
            })
        });
        json!({
            "twin": shadow.twin,
            "checks": shadow.checks.get(),
            "deep_checks": shadow.deep_checks.get(),
            "frames": shadow.frames.get(),
            "mismatched_frames": shadow.mismatched_frames.get(),
            "features": features,
            "first": first.collect::<Vec<_>>(),
        })
    }
}

impl Canary {
    fn state(&self, metrics: &Metrics) -> Value {
        let loaded = self.rollout.as_ref().map(Rollout::load).transpose();
        let (rollout, problem) = match loaded {
            Ok(rollout) => (rollout, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let streak = rollout.as_ref().map_or_else(Streak::default, |state: &State| state.streak);
        match Series::parse(&metrics.text()) {
            Ok(series) => json!({
                "evaluation": evaluate(&self.policy, &series, streak),
                "rollout": rollout,
                "problem": problem,
            }),
            Err(error) => {
                json!({ "evaluation": null, "rollout": rollout, "problem": error.to_string() })
            }
        }
    }
}

fn latency(stage: &str, latency: &LatencyCounters) -> Value {
    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| latency.quantile_ns(q));
    let count = latency.count();
    let mean_ns = latency.sum_ns.get().checked_div(count);
    json!({
        "stage": stage, "count": count, "mean_ns": mean_ns,
        "p50_ns": p50, "p90_ns": p90, "p99_ns": p99, "p999_ns": p999,
    })
}
