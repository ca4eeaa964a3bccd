//! Continuing from the newest usable snapshot of another run (`specs/warm-start.md`).

use std::path::{Path, PathBuf};

use market_io::Source;
use market_model::Packet;
use serde::Serialize;

use crate::checkpoint::{ENDING, Start, file_prefix};
use crate::error::Error;
use crate::job::{Job, Observer};
use crate::pass::OBSERVE_EVERY;
use crate::place::Prover;

/// Digits of the window clock in a file name.
const CLOCK_DIGITS: usize = 19;

/// What a job continued from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarmStart {
    /// The snapshot.
    pub snapshot: String,
    /// Packets of the input before it, which were not computed.
    pub packets: u64,
    /// Bytes of the input files, as stored, that were not decoded, since the snapshot and the seek index
    /// of the input say where it goes on; 0 when it was read from its front.
    pub skipped_bytes: u64,
    /// Why the input was read from its front although the snapshot says where it goes on; absent when
    /// it was not.
    pub read_whole: Option<String>,
    /// Newer snapshots, and why each was refused.
    pub refused: Vec<String>,
}

/// Puts a source and a state where the newest usable snapshot before the range stands.
pub(crate) struct WarmStarter<'a> {
    pub(crate) job: &'a Job,
    pub(crate) folder: &'a Path,
    pub(crate) range_ns: [i64; 2],
    pub(crate) prover: Prover,
    pub(crate) observer: &'a dyn Observer,
}

impl WarmStarter<'_> {
    /// # Errors
    ///
    /// [`Error::NoSnapshot`] with the reason for each that was refused; else what the input reports.
    pub(crate) fn begin(
        mut self,
        source: &mut Box<dyn Source>,
        start: &mut Start,
    ) -> Result<WarmStart, Error> {
        let instrument = source.instrument().clone();
        let mut refused = Vec::new();
        let mut is_fresh = true;
        for path in snapshots(self.folder, &instrument.symbol, self.range_ns[0])? {
            let snapshot = path.display().to_string();
            *start = Start::cold(self.job, &instrument, self.range_ns)?;
            let bytes = std::fs::read(&path);
            let bytes = bytes.map_err(|source| Error::File { path, source });
            if let Err(reason) = bytes.and_then(|bytes| start.load(&bytes, self.job)) {
                refused.push(format!("{snapshot}: {reason}"));
                continue;
            }
            if !std::mem::take(&mut is_fresh) {
                *source = market_io::open(&self.job.open)?;
            }
            let packets = start.counts.packets;
            let mut read_whole = None;
            match self.seek(source.as_mut(), start) {
                Some(Ok(skipped_bytes)) => {
                    return Ok(WarmStart { snapshot, packets, skipped_bytes, read_whole, refused });
                }
                Some(Err(reason)) => {
                    *source = market_io::open(&self.job.open)?;
                    read_whole = Some(reason);
                }
                None => {}
            }
            match skip(source.as_mut(), start, self.observer)? {
                None => {
                    let skipped_bytes = 0;
                    return Ok(WarmStart { snapshot, packets, skipped_bytes, read_whole, refused });
                }
                Some(reason) => refused.push(format!("{snapshot}: {reason}")),
            }
        }
        let (symbol, folder) = (instrument.symbol, self.folder.into());
        Err(Error::NoSnapshot { symbol, before_ns: self.range_ns[0], folder, refused })
    }

    /// Goes to the place of the snapshot, if it knows one; the bytes left out, or why it must not be.
    fn seek(&mut self, source: &mut dyn Source, start: &Start) -> Option<Result<u64, String>> {
        let known = start.place.as_ref()?;
        Some(match self.prover.differs(known) {
            Ok(None) => source.resume(&known.place).map_err(|error| described(&error)),
            Ok(Some(reason)) => Err(reason),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// An error with its causes.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Snapshots of a symbol that stand before a time, newest first.
fn snapshots(folder: &Path, symbol: &str, before_ns: i64) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.into(), source };
    let prefix = file_prefix(symbol);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let clock = name.strip_prefix(&prefix).and_then(|rest| rest.get(..CLOCK_DIGITS));
        let clock = clock.and_then(|clock| clock.parse::<i64>().ok());
        let is_state = path.extension().is_some_and(|ending| ending == ENDING);
        if let Some(clock_ns) = clock.filter(|clock_ns| is_state && *clock_ns < before_ns) {
            found.push((clock_ns, path));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads the packets that the snapshot holds; the reason when they are others.
fn skip(
    source: &mut dyn Source,
    start: &Start,
    observer: &dyn Observer,
) -> Result<Option<String>, Error> {
    let symbol = source.instrument().symbol.clone();
    let wanted = &start.counts;
    let mut read = crate::checkpoint::Counts::default();
    let mut packet = Packet::default();
    while read.packets < wanted.packets {
        if !source.next_packet(&mut packet)? {
            let (ends, stands) = (read.packets, wanted.packets);
            return Ok(Some(format!(
                "the input ends after {ends} packets, the snapshot stands after {stands}"
            )));
        }
        read.add(&packet);
        read.chain(&packet);
        if read.packets.is_multiple_of(OBSERVE_EVERY) {
            let (done, total) = source.progress();
            if observer.progress(&symbol, done, total, 0).is_break() {
                return Err(Error::Interrupted);
            }
        }
    }
    let same = read.digest == wanted.digest;
    Ok((!same).then(|| {
        format!("the first {} packets of the input are not those it was made from", read.packets)
    }))
}
