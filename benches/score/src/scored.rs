//! P11: book, 18 features and a score after every packet of one level change, beside a plain C++ program that
//! is given the five levels.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use feature_infer::{LinearModel, PlainWeights, Scorer};
use feature_runtime::{FeatureSet, SymbolEngine, built_in_set};
use lob_engine::Book;
use market_model::{
    BookNeeds, BookOp, BookView, Instrument, Level, Packet, PacketKind, Sequencing, Side,
};

/// Inputs of the model.
pub const FEATURES: usize = 18;
const LEVELS: usize = 5;
/// Ticks of each side that may hold a level.
const REACH: i64 = 12;
const CENTRE: i64 = 618_000;
const START_NS: i64 = 1_700_000_000_000_000_000;
/// How far the means of the C++ program, sums of doubles, may be from exact ones.
const TOLERANCE: f64 = 1e-9;

/// Packets of one level change after a snapshot, the levels after each, and a model.
pub struct Scored {
    /// The set of the model.
    pub set: Arc<FeatureSet>,
    /// BTCUSDT perpetual.
    pub instrument: Instrument,
    /// A snapshot, then one change each.
    pub packets: Vec<Packet>,
    /// The model that both sides read.
    pub weights: PlainWeights,
}

/// Seeded by splitmix64 (Vigna, public domain).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

impl Scored {
    /// A tape of so many changes within the reach of the best prices; every fifth removes a level, while
    /// more than seven are left.
    ///
    /// # Errors
    ///
    /// When the built-in set is not there.
    ///
    /// # Panics
    ///
    /// Never: the set and the packets fit.
    pub fn new(changes: usize) -> Result<Self> {
        let set = built_in_set("l2_linear_v1")?;
        ensure!(set.len() == FEATURES, "{} columns", set.len());
        let mut instrument = Instrument::new(0, "BTCUSDT", "0.1", "0.001")?;
        instrument.sequencing = Sequencing::Arrival;
        let mut random = Random(11);
        let weights = (0..FEATURES).map(|_| random.below(2_001) as f64 / 1_000.0 - 1.0);
        let mut weights: Vec<f64> = weights.collect();
        // Prices and flows are large beside ratios; the sum stays where the score is not flat.
        (weights[0], weights[3]) = (1e-3, -1e-3);
        for flow in [2, 9, 10, 11] {
            weights[flow] *= 1e-2;
        }
        let packets = tape(&mut random, changes);
        Ok(Self {
            set: set.into(),
            instrument,
            packets,
            weights: PlainWeights { bias: 0.1, weights },
        })
    }

    /// An engine and a scorer before the first packet.
    ///
    /// # Errors
    ///
    /// When the model does not fit the set.
    pub fn fresh(&self) -> Result<(SymbolEngine, Scorer<LinearModel>)> {
        let engine = SymbolEngine::new(Arc::clone(&self.set), self.instrument.clone());
        let model = Arc::new(LinearModel::from_plain(&self.weights, &self.set)?);
        Ok((engine, Scorer::new(model, &self.set, &self.instrument)?))
    }

    /// Writes what the C++ program reads, for every packet but the snapshot.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or a book has fewer than five levels.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut book = Book::new(BookNeeds::top(LEVELS));
        let mut bytes = Vec::new();
        for (index, packet) in self.packets.iter().enumerate() {
            apply(&mut book, packet);
            if index == 0 {
                continue;
            }
            bytes.extend_from_slice(&packet.ts_event_ns.to_ne_bytes());
            let sides = [book.top(Side::Bid), book.top(Side::Ask)];
            ensure!(sides.iter().all(|side| side.len() >= LEVELS), "too few levels at {index}");
            let prices = sides.iter().flat_map(|side| side[..LEVELS].iter().map(|l| l.price_ticks));
            let sizes = sides.iter().flat_map(|side| side[..LEVELS].iter().map(|l| l.qty_lots));
            prices.chain(sizes).for_each(|x| bytes.extend_from_slice(&x.to_ne_bytes()));
        }
        std::fs::write(folder.join("ticks"), bytes)?;
        std::fs::write(folder.join("weights.txt"), self.weights.to_text())?;
        Ok(())
    }

    /// Compares every row of the C++ program with ours, where ours has a score; the number of rows.
    ///
    /// Columns without a running sum are the same in every bit, means and scores within 1e-9.
    ///
    /// # Errors
    ///
    /// Names the first row and column that differ.
    pub fn compare(&self, theirs: &[f64]) -> Result<usize> {
        let (mut engine, mut scorer) = self.fresh()?;
        let rows = theirs.chunks_exact(FEATURES + 1);
        ensure!(rows.len() == self.packets.len() - 1, "{} rows of C++", rows.len());
        engine.process(&self.packets[0]);
        let mut compared = 0;
        for (index, (packet, row)) in self.packets[1..].iter().zip(rows).enumerate() {
            let frame = engine.process(packet).context("a frame per packet")?;
            let words = frame.values();
            let Some(score) = scorer.score_frame(frame)? else { continue };
            for (column, want) in row[..FEATURES].iter().enumerate() {
                let flow = words[column].cast_signed() as f64 / 1e3;
                let have = if column == 2 { flow } else { f64::from_bits(words[column]) };
                let near = (have - want).abs() <= TOLERANCE * want.abs().max(1.0);
                let same = if column < 9 { have.to_bits() == want.to_bits() } else { near };
                ensure!(same, "row {index}, column {column}: {have:?}, C++ has {want:?}");
            }
            let want = row[FEATURES];
            ensure!((score[0] - want).abs() <= TOLERANCE, "row {index}: {score:?}, C++ {want:?}");
            compared += 1;
        }
        Ok(compared)
    }
}

/// What is timed: every packet but the snapshot; the sum of the scores.
///
/// # Panics
///
/// Panics when the model is one of another set.
#[inline(never)]
pub fn score_packets(engine: &mut SymbolEngine, scorer: &mut Scorer<LinearModel>, packets: &[Packet]) -> f64 {
    let mut sum = 0.0;
    for packet in packets {
        let Some(frame) = engine.process(packet) else { continue };
        let scores = scorer.score_frame(frame).expect("the set of the engine");
        sum += scores.map_or(0.0, |scores| scores[0]);
    }
    sum
}

/// The C++ program, built with `-O3 -march=native -ffp-contract=off`; `None` without a compiler.
///
/// # Errors
///
/// When it does not compile.
pub fn build(folder: &Path) -> Result<Option<PathBuf>> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
    if Command::new(&compiler).arg("--version").output().is_err() {
        return Ok(None);
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cpp/linear_score.cpp");
    let program = folder.join("linear_score");
    let flags = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=off"];
    let made = Command::new(&compiler).args(flags).arg(source).arg("-o").arg(&program).status()?;
    ensure!(made.success(), "{compiler} failed");
    Ok(Some(program))
}

/// Runs the C++ program so many rounds: ns per tick of each.
///
/// # Errors
///
/// When it fails or prints something else.
pub fn run(program: &Path, folder: &Path, rounds: usize) -> Result<Vec<f64>> {
    let path = |name: &str| folder.join(name);
    let done = Command::new(program)
        .args([path("ticks"), path("weights.txt"), rounds.to_string().into(), path("out")])
        .output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout)?;
    text.lines()
        .map(|line| line.split(' ').next().unwrap_or(line).parse().context("ns per tick"))
        .collect()
}

/// The rows that the C++ program wrote.
///
/// # Errors
///
/// When the file cannot be read.
pub fn rows(folder: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(folder.join("out"))?;
    let word = |bytes: &[u8]| f64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    Ok(bytes.chunks_exact(8).map(word).collect())
}

fn apply(book: &mut Book, packet: &Packet) {
    let done =
        if packet.kind == PacketKind::Snapshot { book.replace(packet) } else { book.apply(packet) };
    done.expect("the tape has no refused packets");
}

fn tape(random: &mut Random, changes: usize) -> Vec<Packet> {
    let mut sides = [[0_i64; REACH as usize]; 2];
    let mut snapshot = packet(PacketKind::Snapshot, 0);
    for (side, op) in [BookOp::SetBid, BookOp::SetAsk].into_iter().enumerate() {
        for place in 0..REACH {
            let qty_lots = 1 + random.below(5_000).cast_signed();
            sides[side][place as usize] = qty_lots;
            snapshot.push_level(op, Level { price_ticks: price(side, place), qty_lots });
        }
    }
    let mut packets = vec![snapshot];
    // About a thousand packets a second, as a busy stream of single changes has.
    let mut now_ns = 0;
    for _ in 0..changes {
        now_ns += 200_000 + random.below(1_600_000).cast_signed();
        let (side, place) = (random.below(2) as usize, random.below(REACH as u64) as usize);
        let resting = sides[side].iter().filter(|qty| **qty > 0).count();
        let removes = random.below(5) == 0 && resting > 7;
        let qty_lots = if removes { 0 } else { 1 + random.below(5_000).cast_signed() };
        sides[side][place] = qty_lots;
        let op = if side == 0 { BookOp::SetBid } else { BookOp::SetAsk };
        let mut change = packet(PacketKind::Delta, now_ns);
        change.push_level(op, Level { price_ticks: price(side, place as i64), qty_lots });
        packets.push(change);
    }
    packets
}

fn price(side: usize, place: i64) -> i64 {
    if side == 0 { CENTRE - place } else { CENTRE + 1 + place }
}

fn packet(kind: PacketKind, after_ns: i64) -> Packet {
    let at = START_NS + after_ns;
    Packet { kind, ts_event_ns: at, ts_recv_ns: at, ..Packet::default() }
}
