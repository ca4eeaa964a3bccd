//! State snapshots of a job (`specs/warm-start.md`): everything that a later row or bar depends on.

use std::path::PathBuf;

use feature_runtime::SymbolEngine;
use market_io::Source;
use market_io::sink::{AtomicFile, Existing, file_stem};
use market_model::{Instrument, Packet, StateReader, StateWriter};

use crate::bars::{BarMaker, EmptyBars, bar_set, duration_label};
use crate::error::Error;
use crate::job::Job;
use crate::place::{KnownPlace, Prover};
use crate::rows::RowMaker;

const MARKER: u64 = u64::from_le_bytes(*b"FPCHECK2");
const DIGEST_BYTES: usize = 32;

/// Ending of snapshot files.
pub(crate) const ENDING: &str = "fpstate";

/// State snapshots that a job writes on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// Distance in event time, positive, ns.
    pub every_ns: i64,
    /// Folder of the files; it is made when absent.
    pub folder: PathBuf,
}

impl CheckpointOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.every_ns > 0 {
            return Ok(());
        }
        let message = format!("expected a positive distance, found {} ns", self.every_ns);
        Err(Error::Config { field: "snapshot_every", message })
    }
}

/// What was read, and a digest of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) events: u64,
    pub(crate) span_ns: [i64; 2],
    pub(crate) refused: u64,
    /// Chained over all packets; zeros while nobody needs it.
    pub(crate) digest: [u8; DIGEST_BYTES],
    scratch: Vec<u8>,
}

impl Counts {
    #[inline]
    pub(crate) fn add(&mut self, packet: &Packet) {
        self.packets += 1;
        self.events += packet.event_count();
        if packet.ts_event_ns != 0 {
            if self.span_ns[0] == 0 {
                self.span_ns[0] = packet.ts_event_ns;
            }
            self.span_ns[1] = self.span_ns[1].max(packet.ts_event_ns);
        }
    }

    /// Adds a packet to the digest: BLAKE3 of the digest before and of all that the engine sees.
    pub(crate) fn chain(&mut self, packet: &Packet) {
        // Every field is named, so that one that is added cannot be forgotten here.
        let Packet {
            symbol_id: _,
            kind,
            ts_event_ns,
            ts_recv_ns,
            seq,
            first_seq,
            prev_seq,
            checksum_mismatch,
            levels,
            run_ends,
            orders,
            trades,
        } = packet;
        let bytes = &mut self.scratch;
        bytes.clear();
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&[*kind as u8, (*checksum_mismatch).into()]);
        let stamps = [*ts_event_ns, *ts_recv_ns].map(i64::cast_unsigned);
        let sizes = [levels.len(), run_ends.len(), orders.len(), trades.len()];
        let words = stamps.into_iter().chain([*seq, *first_seq, *prev_seq]);
        let words = words.chain(sizes.map(|size| size as u64));
        words.for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        for level in levels {
            bytes.extend_from_slice(&level.price_ticks.to_le_bytes());
            bytes.extend_from_slice(&level.qty_lots.to_le_bytes());
        }
        for run in run_ends {
            bytes.push(run.op as u8);
            bytes.extend_from_slice(&run.end.to_le_bytes());
        }
        for order in orders {
            bytes.extend_from_slice(&order.order_id.to_le_bytes());
            bytes.extend_from_slice(&order.price_ticks.to_le_bytes());
            bytes.extend_from_slice(&order.qty_lots.to_le_bytes());
            bytes.extend_from_slice(&[order.side as u8, order.op as u8]);
        }
        for trade in trades {
            bytes.extend_from_slice(&trade.price_ticks.to_le_bytes());
            bytes.extend_from_slice(&trade.qty_lots.to_le_bytes());
            bytes.push(trade.aggressor as u8);
        }
        self.digest = *blake3::hash(bytes).as_bytes();
    }
}

/// What a pass begins with.
pub(crate) struct Start {
    pub(crate) rows: RowMaker,
    pub(crate) bars: Option<BarMaker>,
    pub(crate) counts: Counts,
    /// Where the input goes on, if the snapshot knows.
    pub(crate) place: Option<KnownPlace>,
}

impl Start {
    /// The state before the first packet.
    pub(crate) fn cold(
        job: &Job,
        instrument: &Instrument,
        [from_ns, to_ns]: [i64; 2],
    ) -> Result<Self, Error> {
        let (set, own) = (job.set.clone(), instrument.clone());
        let engine = match &job.bars {
            None => SymbolEngine::new(set, own),
            Some(_) => SymbolEngine::with_companion(set, bar_set()?, own),
        };
        let bars = job.bars.as_ref();
        Ok(Self {
            rows: RowMaker::new(engine, job.emission, from_ns, to_ns),
            bars: bars.map(|bars| BarMaker::new(bars, instrument, from_ns, to_ns)),
            counts: Counts::default(),
            place: None,
        })
    }

    /// Continues from the bytes of a snapshot; after an error the start is of no use.
    pub(crate) fn load(&mut self, bytes: &[u8], job: &Job) -> Result<(), Error> {
        let differs =
            |field, expected: String, found: String| Err(Error::State { field, expected, found });
        let body = bytes.len().saturating_sub(DIGEST_BYTES);
        let digest = blake3::hash(&bytes[..body]);
        if bytes[body..] != *digest.as_bytes() {
            let found = format!("another ({} bytes)", bytes.len());
            return differs("checksum", digest.to_hex().to_string(), found);
        }
        let mut from = StateReader::new(&bytes[..body]);
        let marker = from.u64()?;
        if marker != MARKER {
            return differs("marker", format!("{MARKER:016x}"), format!("{marker:016x}"));
        }
        for (field, expected) in facts(job) {
            let found = String::from_utf8_lossy(from.blob(field)?).into_owned();
            if found != expected {
                return differs(field, expected, found);
            }
        }
        let counts = &mut self.counts;
        [counts.packets, counts.events, counts.refused] = [from.u64()?, from.u64()?, from.u64()?];
        counts.span_ns = [from.i64()?, from.i64()?];
        let digest = from.blob("digest of the input")?;
        let Ok(digest) = digest.try_into() else {
            return Err(from.invalid("digest of the input", &digest.len()).into());
        };
        counts.digest = digest;
        self.place = KnownPlace::load(&mut from)?;
        self.rows.load(&mut from)?;
        if let Some(bars) = &mut self.bars {
            bars.load(&mut from)?;
        }
        match from.remaining() {
            0 => Ok(()),
            left => differs("length", "0 bytes left".into(), left.to_string()),
        }
    }
}

/// What a job must share with the one that wrote a snapshot, beside what the engine checks.
fn facts(job: &Job) -> [(&'static str, String); 4] {
    let bars = job.bars.as_ref().map_or_else(
        || "none".into(),
        |bars| {
            let labels: Vec<_> = bars.durations_ns.iter().map(|ns| duration_label(*ns)).collect();
            let and_empty = if bars.empty == EmptyBars::Write { " and empty ones" } else { "" };
            format!("{}{and_empty}", labels.join(","))
        },
    );
    [
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("schema hash", format!("{:016x}", job.set.schema_hash())),
        ("emission", job.emission.to_string()),
        ("bars", bars),
    ]
}

/// Writes a snapshot whenever event time passes a multiple of the distance.
pub(crate) struct CheckpointWriter {
    every_ns: i64,
    folder: PathBuf,
    stem: String,
    facts: [(&'static str, String); 4],
    prover: Prover,
    /// Number of the last multiple that was passed; `None` before the first time.
    last: Option<i64>,
    pub(crate) written: u64,
}

impl CheckpointWriter {
    pub(crate) fn new(
        options: &CheckpointOptions,
        job: &Job,
        prover: Prover,
        instrument: &Instrument,
    ) -> Result<Self, Error> {
        let folder = options.folder.clone();
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        let stem = file_prefix(&instrument.symbol);
        let every_ns = options.every_ns;
        Ok(Self { every_ns, folder, stem, facts: facts(job), prover, last: None, written: 0 })
    }

    #[inline]
    pub(crate) fn write_if_due(
        &mut self,
        rows: &RowMaker,
        bars: Option<&BarMaker>,
        counts: &Counts,
        source: &dyn Source,
    ) -> Result<(), Error> {
        let now_ns = rows.engine().t_eff_ns();
        let passed = now_ns.div_euclid(self.every_ns);
        match self.last {
            _ if now_ns == 0 => return Ok(()),
            Some(last) if passed > last => self.write(now_ns, rows, bars, counts, source)?,
            _ => {}
        }
        self.last = Some(passed);
        Ok(())
    }

    fn write(
        &mut self,
        now_ns: i64,
        rows: &RowMaker,
        bars: Option<&BarMaker>,
        counts: &Counts,
        source: &dyn Source,
    ) -> Result<(), Error> {
        let mut out = StateWriter::default();
        out.u64(MARKER);
        self.facts.iter().for_each(|(_, fact)| out.blob(fact.as_bytes()));
        [counts.packets, counts.events, counts.refused].into_iter().for_each(|x| out.u64(x));
        counts.span_ns.into_iter().for_each(|x| out.i64(x));
        out.blob(&counts.digest);
        let place = source.place().map(|place| self.prover.prove(place)).transpose()?;
        KnownPlace::save(place.as_ref(), &mut out);
        rows.save(&mut out);
        if let Some(bars) = bars {
            bars.save(&mut out);
        }
        let mut bytes = out.into_bytes();
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        let name = format!("{}{now_ns:019}-{}.{ENDING}", self.stem, self.facts[1].1);
        let mut file = AtomicFile::create(&self.folder.join(name), Existing::Replace)?;
        file.put(&bytes)?;
        file.seal()?.publish(0)?;
        self.written += 1;
        Ok(())
    }
}

/// What the names of all snapshots of a symbol begin with; the window clock follows, 19 digits.
pub(crate) fn file_prefix(symbol: &str) -> String {
    format!("{}.", file_stem(symbol))
}
