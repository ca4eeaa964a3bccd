//! What happens to one packet: book, features, score, then what goes out.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use feature_infer::{AnyModel, Scorer};
use feature_kernel::FrameRef;
use feature_runtime::{FeatureEngine, FrameSender, LatestReader, LatestWriter};
use hdrhistogram::Histogram;
use market_model::{Packet, QualityFlags};

use crate::counters::{Counters, SymbolCounters};
use crate::error::Error;

/// Longest latency that is told from longer ones.
const MAX_LATENCY_NS: u64 = 60_000_000_000;

/// One packet after the engine has taken it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The packet.
    pub packet: &'a Packet,
    /// Its frame, if one was due.
    pub frame: Option<FrameRef<'a>>,
    /// Scores of the frame; `None` without a model, and when an input is not valid or not ready.
    pub scores: Option<&'a [f64]>,
    /// The engine, for the pull interface.
    pub engine: &'a FeatureEngine,
}

/// Something that follows every packet, on the worker's thread: a strategy, a shadow.
pub trait Stage: Send {
    /// Sees one packet.
    fn on_packet(&mut self, step: &Step<'_>);

    /// The last packet was seen.
    fn on_end(&mut self, _engine: &FeatureEngine) {}
}

/// Latencies from a packet being sent, ns.
#[derive(Debug, Clone)]
pub struct Latencies {
    /// To the engine taking it: how long it waited.
    pub to_engine: Histogram<u64>,
    /// To its frame being published; packets without a frame are not counted.
    pub to_frame: Histogram<u64>,
    /// To every stage being done with it.
    pub to_end: Histogram<u64>,
}

/// The engine with its scorers and everything that gets its frames.
pub struct Plane {
    engine: FeatureEngine,
    scorers: Vec<Scorer>,
    latest: Option<LatestWriter>,
    rings: Vec<FrameSender>,
    stages: Vec<Box<dyn Stage>>,
    counters: Arc<Counters>,
    latencies: Latencies,
}

impl Plane {
    /// A plane over an engine to which every symbol was added.
    ///
    /// # Panics
    ///
    /// Never: the bounds of the histograms are constants.
    #[must_use]
    pub fn new(engine: FeatureEngine) -> Self {
        let names = engine.symbols().map(|symbol| symbol.instrument().symbol.as_str());
        let counters = Arc::new(Counters::new(names));
        let empty = || Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3);
        let histogram = empty().expect("Invariant: 3 digits from 1 ns to a minute");
        let latencies = Latencies {
            to_engine: histogram.clone(),
            to_frame: histogram.clone(),
            to_end: histogram,
        };
        let (scorers, rings, stages) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, scorers, latest: None, rings, stages, counters, latencies }
    }

    /// Scores every frame with a model.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when the model was trained on other columns than those of the engine's set.
    pub fn with_model(mut self, model: &Arc<AnyModel>) -> Result<Self, Error> {
        let set = self.engine.feature_set();
        let bound = self
            .engine
            .symbols()
            .map(|symbol| Scorer::new(Arc::clone(model), set, symbol.instrument()));
        self.scorers = bound.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Publishes every frame in a table, which must have the engine's symbols in the same order.
    #[must_use]
    pub fn with_latest(mut self, latest: LatestWriter) -> Self {
        self.latest = Some(latest);
        self
    }

    /// Sends every frame over a ring.
    #[must_use]
    pub fn with_ring(mut self, ring: FrameSender) -> Self {
        self.rings.push(ring);
        self
    }

    /// Adds a stage behind those that are there.
    #[must_use]
    pub fn with_stage(mut self, stage: Box<dyn Stage>) -> Self {
        self.stages.push(stage);
        self
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &FeatureEngine {
        &self.engine
    }

    /// A reader of the table in which frames are published, if there is one.
    #[must_use]
    pub fn latest(&self) -> Option<LatestReader> {
        self.latest.as_ref().map(LatestWriter::reader)
    }

    /// Counters that other threads may read.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Latencies so far.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Takes one packet that was sent at `sent`.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] when its symbol was never added; [`Error::Model`] never, since scorers were
    /// bound to the engine's set.
    #[inline]
    pub fn process(&mut self, packet: &Packet, sent: Instant) -> Result<(), Error> {
        let ns = elapsed_ns(sent);
        self.latencies.to_engine.saturating_record(ns);
        self.counters.to_engine.record(ns);
        let made = self.engine.process(packet)?.is_some();
        let symbol = self.engine.symbol(packet.symbol_id)?;
        let frame = if made { symbol.frame() } else { None };
        let counts = &self.counters.symbols[packet.symbol_id as usize];
        let mut scores = None;
        if let Some(frame) = frame {
            if let Some(scorer) = self.scorers.get_mut(packet.symbol_id as usize) {
                scores = scorer.score_frame(frame)?;
            }
            let now_ns = wall_ns();
            if let Some(latest) = &mut self.latest {
                latest.publish(frame, scores, now_ns);
            }
            self.rings.iter_mut().for_each(|ring| _ = ring.send(frame));
            let ns = elapsed_ns(sent);
            self.latencies.to_frame.saturating_record(ns);
            self.counters.to_frame.record(ns);
            count_frame(counts, frame, scores.is_some(), now_ns);
        }
        let fates = counts.fates.iter().zip(symbol.counters().named());
        fates.for_each(|(count, (_, value))| count.set(value));
        counts.awaits_snapshot.set(symbol.is_awaiting_snapshot().into());
        self.counters.events.add(packet.event_count());
        let step = Step { packet, frame, scores, engine: &self.engine };
        self.stages.iter_mut().for_each(|stage| stage.on_packet(&step));
        let ns = elapsed_ns(sent);
        self.latencies.to_end.saturating_record(ns);
        self.counters.to_end.record(ns);
        // Last: whoever reads it may rely on everything before.
        self.counters.packets.add(1);
        Ok(())
    }

    /// Tells every stage that no packet follows, and hands the latencies out.
    pub fn end(mut self) -> Latencies {
        self.stages.iter_mut().for_each(|stage| stage.on_end(&self.engine));
        self.latencies
    }
}

impl core::fmt::Debug for Plane {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Plane")
            .field("engine", &self.engine)
            .field("stages", &self.stages.len())
            .finish_non_exhaustive()
    }
}

#[inline]
fn count_frame(counts: &SymbolCounters, frame: FrameRef<'_>, is_scored: bool, now_ns: i64) {
    let header = frame.header();
    counts.frames.add(1);
    counts.scores.add(is_scored.into());
    counts.last_source_ns.set(header.source_ts_ns.cast_unsigned());
    counts.last_frame_ns.set(now_ns.cast_unsigned());
    counts.last_quality.set(header.quality.bits().into());
    counts.epoch.set(header.epoch.into());
    if header.quality != QualityFlags::empty() {
        let bits = header.quality.bits();
        let set = counts.quality.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        set.for_each(|(_, count)| count.add(1));
    }
}

/// Wall time, UTC ns; a clock before 1970 counts as 1970. Read without a system call where the
/// platform maps its clock.
pub(crate) fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[inline]
fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
