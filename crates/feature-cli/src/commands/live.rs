//! `featureplane live`: a feed, the engine on a thread of its own, frames for other processes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use anyhow::Context;
use feature_infer::{AnyModel, Model};
use feature_live::canary::{Policy, Rollout};
use feature_live::{
    Canary, Dashboard, EngineTwin, FeedCounters, Full, Idle, Latencies, Metrics, PaperResult,
    PaperThreshold, Plane, Report, RingOptions, Server, Shadow, ShadowCounters, ShadowOptions,
    StrategyRunner, Twin, Watched, Worker, WorkerOptions, start,
};
use feature_parity::naive::Naive;
use feature_runtime::{FeatureEngine, FeatureSet, LatestWriter};
use market_model::Packet;
use serde_json::{Value, json};

use super::feed::{self, LiveFeed};
use crate::args::{FullRing, Live, Twin as TwinArg};
use crate::exit::{CHECK_FAILED, DONE, Usage};
use crate::print;
use crate::progress;

/// Runs until the feed ends or Ctrl-C comes; exit 1 when a shadow differed.
pub(crate) fn run(args: &Live) -> anyhow::Result<u8> {
    let mut feed = LiveFeed::open(args)?;
    let limit = feed::time("--duration", args.connection.duration.as_deref())?;
    let set = feature_runtime::load_set(&args.set)?;
    let model = args.model.as_deref().map(load_model).transpose()?;
    let mut engine = FeatureEngine::new(set);
    for instrument in feed.instruments() {
        engine.add_symbol(instrument)?;
    }
    let mut running = Running { paper: None, shadow: None, feed: feed.counters() };
    let plane = plane(args, engine, model.as_ref(), &mut running)?;
    let server = server(args, &plane, &running)?;
    let (mut sender, worker) = start(plane, &worker_options(args)).map_err(usage)?;
    let sent = feed.send_all(&mut sender, progress::interruption_after(limit));
    drop(sender);
    // A worker that failed says more than the sender that noticed.
    let report = join(worker)?;
    drop(server);
    sent?;
    let summary = summary(args, &report, &running);
    if args.json {
        print::json(&summary)?;
    } else {
        show(&summary);
    }
    let differs = running.shadow.as_ref().is_some_and(|s| s.mismatched_frames.get() > 0);
    Ok(if differs { CHECK_FAILED } else { DONE })
}

/// What the worker's stages hand out beside the report.
struct Running {
    paper: Option<Receiver<Vec<PaperResult>>>,
    shadow: Option<Arc<ShadowCounters>>,
    feed: Vec<Arc<FeedCounters>>,
}

fn load_model(path: &Path) -> anyhow::Result<Arc<AnyModel>> {
    Ok(Arc::new(AnyModel::load(path).map_err(feature_extract::Error::from)?))
}

fn plane(
    args: &Live,
    engine: FeatureEngine,
    model: Option<&Arc<AnyModel>>,
    running: &mut Running,
) -> anyhow::Result<Plane> {
    let set = Arc::clone(engine.feature_set());
    let names: Vec<String> = engine.symbols().map(|s| s.instrument().symbol.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shadow = args.shadow.map(|twin| shadow(args, twin, &engine)).transpose()?;
    let mut plane = Plane::new(engine);
    if let Some(model) = model {
        plane = plane.with_model(model).map_err(usage)?;
    }
    let outputs = model.map(|model| model.outputs().iter().map(String::as_str).collect());
    let outputs: Vec<&str> = outputs.unwrap_or_default();
    if let Some(path) = &args.latest {
        plane = plane.with_latest(LatestWriter::create(path, &set, &names, &outputs)?);
    } else if args.metrics.is_some() {
        // The dashboard reads values from a table; nobody else needs this one.
        plane = plane.with_latest(LatestWriter::in_memory(&set, &names, &outputs));
    }
    if let Some(text) = &args.paper {
        plane = plane.with_stage(Box::new(paper(text, &set, running)?));
    }
    if let Some(shadow) = shadow {
        running.shadow = Some(Arc::clone(shadow.counters()));
        plane = plane.with_stage(Box::new(shadow));
    }
    Ok(plane)
}

/// A paper strategy from `FEATURE:THRESHOLD`.
fn paper(
    text: &str,
    set: &FeatureSet,
    running: &mut Running,
) -> anyhow::Result<StrategyRunner<PaperThreshold>> {
    let parts = text.split_once(':').and_then(|(feature, threshold)| {
        let threshold = threshold.parse::<f64>().ok()?;
        (threshold.is_finite() && threshold > 0.0).then_some((feature, threshold))
    });
    let Some((feature, threshold)) = parts else {
        let message = format!("--paper: `{text}` is not FEATURE:THRESHOLD with a positive number");
        return Err(Usage(message).into());
    };
    let (results, result) = channel();
    running.paper = Some(result);
    StrategyRunner::new(PaperThreshold::new(feature, threshold, results), set).map_err(usage)
}

fn shadow(args: &Live, twin: TwinArg, engine: &FeatureEngine) -> anyhow::Result<Shadow> {
    let options = ShadowOptions { check_every: args.check_every, ..ShadowOptions::default() };
    let twin: Box<dyn Twin> = match twin {
        TwinArg::Runtime => {
            let mut twin = FeatureEngine::new(FeatureSet::clone(engine.feature_set()));
            for symbol in engine.symbols() {
                twin.add_symbol(symbol.instrument().clone())?;
            }
            Box::new(EngineTwin(twin))
        }
        TwinArg::Naive => {
            let set = engine.feature_set();
            let twins = engine.symbols().map(|symbol| Naive::new(set, symbol.instrument()));
            Box::new(NaiveTwin { twins: twins.collect(), bytes: Vec::new() })
        }
    };
    Shadow::new(twin, engine, options).map_err(usage)
}

/// The independent second implementation of book and features.
struct NaiveTwin {
    twins: Vec<Naive>,
    bytes: Vec<u8>,
}

impl Twin for NaiveTwin {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
        self.bytes.clear();
        self.twins[packet.symbol_id as usize].push(packet, &mut self.bytes);
        words.clear();
        let chunks = self.bytes.as_chunks::<8>().0;
        words.extend(chunks.iter().map(|bytes| u64::from_le_bytes(*bytes)));
        !words.is_empty()
    }
}

/// Serves metrics and the dashboard from a thread of their own while the result lives.
fn server(args: &Live, plane: &Plane, running: &Running) -> anyhow::Result<Option<Server>> {
    let Some(address) = args.metrics else { return Ok(None) };
    let watched = Watched {
        counters: Arc::clone(plane.counters()),
        shadow: running.shadow.clone(),
        feed: running.feed.clone(),
        set: Arc::clone(plane.engine().feature_set()),
    };
    let mut dashboard = Dashboard::new(plane, watched.clone(), &args.feed, args.ring);
    if let Some(path) = &args.policy {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let policy = Policy::parse(&text).map_err(|e| Usage(format!("--policy: {e}")))?;
        let rollout = args.state.as_deref().map(Rollout::new);
        dashboard = dashboard.with_canary(Canary { policy, rollout });
    }
    let server = Server::start(address, Metrics::new(watched), Some(dashboard)).map_err(usage)?;
    print::note(format_args!("metrics at http://{}/metrics", server.address()));
    print::note(format_args!("page at http://{}/", server.address()));
    Ok(Some(server))
}

fn worker_options(args: &Live) -> WorkerOptions {
    let full = match args.full {
        FullRing::Block => Full::Block,
        FullRing::Drop => Full::Drop,
    };
    WorkerOptions {
        ring: RingOptions { packets: args.ring, full, ..RingOptions::default() },
        core: args.core,
        idle: if args.spin { Idle::Spin } else { Idle::Rest },
    }
}

fn join(worker: Worker) -> anyhow::Result<Report> {
    Ok(worker.join()?)
}

/// What was asked for wrongly is the user's to repair, whichever crate noticed it.
fn usage(error: feature_live::Error) -> anyhow::Error {
    match error {
        feature_live::Error::Engine(error) => error.into(),
        other => Usage(other.to_string()).into(),
    }
}

fn summary(args: &Live, report: &Report, running: &Running) -> Value {
    let counters = &report.counters;
    let symbols = counters.symbols.iter().map(|symbol| {
        let quality =
            symbol.quality_frames().map(|(name, frames)| (name.to_owned(), frames.into()));
        let quality: serde_json::Map<String, Value> = quality.collect();
        json!({
            "symbol": symbol.symbol,
            "frames": symbol.frames.get(),
            "scores": symbol.scores.get(),
            "dropped": symbol.dropped.get(),
            "epoch": symbol.epoch.get(),
            "quality": quality,
        })
    });
    let paper = running.paper.as_ref().and_then(|results| results.try_recv().ok());
    let paper = paper.map(|results| results.iter().map(paper_line).collect::<Vec<_>>());
    let shadow = running.shadow.as_ref().map(|shadow| {
        let found = shadow.mismatches();
        json!({
            "checks": shadow.checks.get(),
            "frames": shadow.frames.get(),
            "mismatched_frames": shadow.mismatched_frames.get(),
            "first": found.first().map(ToString::to_string),
        })
    });
    let [to_engine, to_frame, to_end] = quantiles(&report.latencies);
    json!({
        "feed": args.feed,
        "packets": counters.packets.get(),
        "events": counters.events.get(),
        "full_waits": counters.full_waits.get(),
        "pinned": report.is_pinned,
        "to_engine_ns": to_engine,
        "to_frame_ns": to_frame,
        "to_end_ns": to_end,
        "symbols": symbols.collect::<Vec<_>>(),
        "connections": feed::connections(&running.feed),
        "paper": paper,
        "shadow": shadow,
    })
}

fn quantiles(latencies: &Latencies) -> [Value; 3] {
    [&latencies.to_engine, &latencies.to_frame, &latencies.to_end].map(|histogram| {
        let at = |quantile| histogram.value_at_quantile(quantile);
        json!({ "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": histogram.max() })
    })
}

fn paper_line(result: &PaperResult) -> Value {
    let account = result.account;
    json!({
        "symbol": result.symbol,
        "trades": account.trades,
        "position": account.position,
        // Text, since the number may be wider than a reader of JSON keeps.
        "profit_scaled": result.profit_scaled.map(|profit| profit.to_string()),
        "price_scale": result.price_scale,
    })
}

/// The summary for people.
fn show(summary: &Value) {
    let latency = |key: &str| {
        let of = |quantile: &str| summary[key][quantile].as_u64().unwrap_or_default();
        format!("p50 {} ns, p99 {} ns, max {} ns", of("p50"), of("p99"), of("max"))
    };
    print::line(format_args!(
        "{} packets, {} events; packet to frame: {}",
        print::count(summary["packets"].as_u64().unwrap_or_default()),
        print::count(summary["events"].as_u64().unwrap_or_default()),
        latency("to_frame_ns"),
    ));
    for symbol in summary["symbols"].as_array().into_iter().flatten() {
        print::line(format_args!(
            "{}: {} frames, {} dropped packets, quality {}",
            symbol["symbol"].as_str().unwrap_or_default(),
            symbol["frames"],
            symbol["dropped"],
            symbol["quality"],
        ));
    }
    for result in summary["paper"].as_array().into_iter().flatten() {
        print::line(format_args!("paper: {result}"));
    }
    for connection in summary["connections"].as_array().into_iter().flatten() {
        print::line(format_args!("connection: {connection}"));
    }
    if summary["shadow"].is_object() {
        let shadow = &summary["shadow"];
        print::line(format_args!(
            "shadow: {} frames in {} comparisons, {} differ",
            shadow["frames"], shadow["checks"], shadow["mismatched_frames"]
        ));
        if let Some(first) = shadow["first"].as_str() {
            print::note(format_args!("first difference: {first}"));
        }
    }
}
