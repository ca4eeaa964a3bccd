//! A replay server, a feed connected to it, and what the engine made of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use feature_kernel::FrameRef;
use feature_kernel::frame::{FrameHeader, bit};
use feature_live::feed::{Feed, FeedOptions, FeedSymbol, Venue};
use feature_live::replay_server::{ReplayServer, ReplayServerOptions, ServerCounters};
use feature_live::{Counters, FeedCounters, Plane, Stage, Step, WorkerOptions, start};
use feature_runtime::FeatureEngine;
use market_io::{OpenOptions, SourceStats};
use market_model::{Instrument, Level, Packet, QualityFlags, Side};

use crate::market::{engine, set};

const SET: &str = "core_v1";

/// Longest run of a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Levels of a side that are compared after every packet.
const TOP: usize = 10;

type Book = [Vec<Level>; 2];

/// What one pass over packets gave.
#[derive(Debug, Default)]
pub struct Kept {
    pub frames: Vec<Vec<u64>>,
    /// Update id and best levels of every frame of a book packet, while there is a book.
    pub tops: Vec<(u64, Book)>,
    pub last: Book,
}

impl Kept {
    /// Frames with a flag.
    pub fn flagged(&self, flag: QualityFlags) -> usize {
        let quality = |words: &[u64]| FrameRef::from_words(words).header().quality;
        self.frames.iter().filter(|words| quality(words).contains(flag)).count()
    }
}

struct Keeper {
    kept: Arc<Mutex<Kept>>,
    /// Packets until the engine is held up for a while; 0: never.
    stall: u32,
}

impl Stage for Keeper {
    fn on_packet(&mut self, step: &Step<'_>) {
        if self.stall > 0 {
            self.stall -= 1;
            if self.stall == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let Some(frame) = step.frame else { return };
        let mut kept = self.kept.lock().unwrap();
        kept.frames.push(frame.words().to_vec());
        let symbol = step.engine.symbol(0).unwrap();
        if !symbol.is_awaiting_snapshot() && step.packet.touches_book() {
            let mut book = levels(step.engine);
            book.iter_mut().for_each(|side| side.truncate(TOP));
            kept.tops.push((frame.header().source_seq, book));
        }
    }

    fn on_end(&mut self, engine: &FeatureEngine) {
        self.kept.lock().unwrap().last = levels(engine);
    }
}

fn levels(engine: &FeatureEngine) -> Book {
    let book = engine.symbol(0).unwrap().book();
    [Side::Bid, Side::Ask].map(|side| book.levels(side))
}

/// A run of a feed against a server.
pub struct Run {
    pub kept: Kept,
    pub feed: Arc<FeedCounters>,
    pub engine: Arc<Counters>,
    pub server: Arc<ServerCounters>,
    pub stats: SourceStats,
    pub recorded: PathBuf,
}

/// What a test changes of a run.
pub struct Plan {
    pub server: ReplayServerOptions,
    pub feed: FeedOptions,
    pub worker: WorkerOptions,
    pub instrument: Instrument,
    /// Packet at which the engine is held up for 50 ms; 0: never.
    pub stall: u32,
}

impl Plan {
    /// A run of a recording, with the sizes that extraction finds for it.
    pub fn new(venue: &str, recording: &Path, symbol: &str) -> Self {
        let venue = Venue::named(venue).unwrap();
        let source = market_io::open(&options(recording, Some(symbol))).unwrap();
        let mut feed = FeedOptions::new(venue);
        feed.backoff.first = Duration::from_millis(20);
        Self {
            server: ReplayServerOptions::new(venue, vec![recording.into()]),
            feed,
            worker: WorkerOptions::default(),
            instrument: ageless(source.instrument()),
            stall: 0,
        }
    }

    /// The same with faults, so slow that a lost book does not cost half the recording.
    pub fn faults(mut self, faults: &[&str]) -> Self {
        self.server.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        self.server.slow = Duration::from_millis(1);
        self
    }

    /// Runs until the client has taken the whole recording and has a book.
    pub fn run(mut self, folder: &Path) -> Run {
        let server = ReplayServer::start(self.server).unwrap();
        self.feed.endpoint = Some(server.endpoint());
        let recorded = folder.join("recorded.gz");
        self.feed.if_exists = feature_live::feed::IfExists::Replace;
        let symbol = FeedSymbol { instrument: self.instrument, record: Some(recorded.clone()) };
        let mut feed = Feed::new(self.feed, vec![symbol]).unwrap();
        let instruments: Vec<_> = feed.instruments().cloned().collect();
        let kept = Arc::default();
        let keeper = Box::new(Keeper { kept: Arc::clone(&kept), stall: self.stall });
        let plane = Plane::new(engine(&set(SET), &instruments)).with_stage(keeper);
        let (mut sender, worker) = start(plane, &self.worker).unwrap();
        let counters = Arc::clone(worker.counters());
        let stop = AtomicBool::new(false);
        let is_done = || {
            let has_book = || counters.symbols[0].awaits_snapshot.get() == 0;
            if !(server.counters().is_finished() && counters.queued() == 0 && has_book()) {
                return false;
            }
            // A loss that the feed has not told yet shows within its next looks.
            std::thread::sleep(Duration::from_millis(200));
            counters.queued() == 0 && has_book()
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let started = Instant::now();
                while !is_done() && started.elapsed() < PATIENCE {
                    std::thread::sleep(Duration::from_millis(10));
                }
                stop.store(true, Ordering::Relaxed);
            });
            feed.run(&mut sender, &stop).unwrap();
        });
        assert!(server.counters().is_finished(), "the recording was not taken");
        drop(sender);
        let engine = worker.join().unwrap().counters;
        let stats = feed.readers().next().unwrap().stats().clone();
        let kept = std::mem::take(&mut *kept.lock().unwrap());
        let server = Arc::clone(server.counters());
        Run { kept, feed: Arc::clone(&feed.counters()[0]), engine, server, stats, recorded }
    }
}

/// Runs several symbols of a recording over one feed; frames of each.
pub fn several(venue: &str, recording: &Path, names: &[&str], folder: &Path) -> Vec<u64> {
    let venue = Venue::named(venue).unwrap();
    let server = ReplayServerOptions::new(venue, vec![recording.into()]);
    let server = ReplayServer::start(server).unwrap();
    let endpoint = Some(server.endpoint());
    let symbol = |(name, id): (&&str, u32)| {
        let source = market_io::open(&options(recording, Some(name))).unwrap();
        let instrument = Instrument { symbol_id: id, ..source.instrument().clone() };
        FeedSymbol { instrument, record: Some(folder.join(name.replace('/', "-"))) }
    };
    let symbols = names.iter().zip(0..).map(symbol).collect();
    let mut feed = Feed::new(FeedOptions { endpoint, ..FeedOptions::new(venue) }, symbols).unwrap();
    let instruments: Vec<_> = feed.instruments().cloned().collect();
    let plane = Plane::new(engine(&set(SET), &instruments));
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let started = Instant::now();
            while !server.counters().is_finished() && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
            stop.store(true, Ordering::Relaxed);
        });
        feed.run(&mut sender, &stop).unwrap();
    });
    drop(sender);
    let counters = worker.join().unwrap().counters;
    counters.symbols.iter().map(|symbol| symbol.frames.get()).collect()
}

fn options(path: &Path, symbol: Option<&str>) -> OpenOptions {
    OpenOptions {
        inputs: vec![path.into()],
        symbol: symbol.map(Into::into),
        ..OpenOptions::default()
    }
}

/// Old recordings are stale by any clock of today: their age is not looked at.
fn ageless(instrument: &Instrument) -> Instrument {
    Instrument { max_age_ns: None, ..instrument.clone() }
}

/// What a plain pass over a recording gives.
pub fn extracted(path: &Path, symbol: Option<&str>) -> Kept {
    let mut source = market_io::open(&options(path, symbol)).unwrap();
    let kept = Arc::default();
    let keeper = Box::new(Keeper { kept: Arc::clone(&kept), stall: 0 });
    let engine = engine(&set(SET), &[ageless(source.instrument())]);
    let mut plane = Plane::new(engine).with_stage(keeper);
    let mut packet = Packet::default();
    while source.next_packet(&mut packet).unwrap() {
        plane.process(&packet, Instant::now()).unwrap();
    }
    plane.end();
    std::mem::take(&mut *kept.lock().unwrap())
}

/// The frames of a run are those of its own recording, bit for bit.
pub fn assert_recording_reads_back(run: &Run) {
    let again = extracted(&run.recorded, None);
    assert_eq!(again.frames.len(), run.kept.frames.len());
    for (index, (again, live)) in again.frames.iter().zip(&run.kept.frames).enumerate() {
        assert_eq!(again, live, "frame {index}");
    }
    assert!(again.last == run.kept.last, "the last book is another");
}

/// The frames of a run are those of the venue's recording, bit for bit but for the local time and the
/// one column that is made of it.
pub fn assert_same_frames(run: &Run, truth: &Kept) {
    let set = set(SET);
    let latency = set.index_of("feed_latency_ns").unwrap();
    assert_eq!(run.kept.frames.len(), truth.frames.len());
    for (index, (live, want)) in run.kept.frames.iter().zip(&truth.frames).enumerate() {
        let [live, want] = [live, want].map(|words| FrameRef::from_words(words));
        let headers = [live, want].map(|frame| FrameHeader { local_ts_ns: 0, ..frame.header() });
        assert_eq!(headers[0], headers[1], "frame {index}");
        for column in (0..set.len()).filter(|column| *column != latency) {
            let of = |frame: FrameRef<'_>| {
                let masks = [frame.valid_mask(), frame.warmup_ready_mask(), frame.changed_mask()];
                (frame.values()[column], masks.map(|mask| bit(mask, column)))
            };
            assert_eq!(of(live), of(want), "frame {index}, {}", set.features()[column].name);
        }
    }
    assert_last_book(run, truth);
}

/// The run ends with the venue's book, every level of it.
pub fn assert_last_book(run: &Run, truth: &Kept) {
    // Whole books are too long for a message.
    assert!(run.kept.last == truth.last, "the last book is another");
}

/// No book of the run is one that the venue did not have at that update, and the last one is the
/// venue's.
pub fn assert_no_wrong_book(run: &Run, truth: &Kept) {
    let by_seq: BTreeMap<u64, &Book> = truth.tops.iter().map(|(seq, book)| (*seq, book)).collect();
    let key = |book: &Book| {
        let pairs = book.iter().flatten().map(|level| (level.price_ticks, level.qty_lots));
        (book[0].len(), pairs.collect::<Vec<_>>())
    };
    let all: BTreeSet<_> = truth.tops.iter().map(|(_, book)| key(book)).collect();
    let mut compared = 0;
    for (seq, book) in &run.kept.tops {
        match by_seq.get(seq).filter(|_| *seq != 0) {
            Some(want) => assert_eq!(book, *want, "update {seq}"),
            None => assert!(all.contains(&key(book)), "a book that never was, update {seq}"),
        }
        compared += 1;
    }
    assert!(compared > truth.tops.len() / 2, "{compared} of {}", truth.tops.len());
    assert_last_book(run, truth);
}
