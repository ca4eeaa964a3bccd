//! The gate: tapes through paths, compared with the runtime.

use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use serde::Serialize;

use crate::compare::{Comparison, compare};
use crate::error::Error;
use crate::external::External;
use crate::sut::{Batch, NaiveTwin, Runtime, Sut};
use crate::tape::Tape;

/// A path beside the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathName {
    /// The naive Rust twin.
    Kernel,
    /// The batch job.
    Batch,
    /// The Python package.
    Python,
    /// The independent Python reference.
    Reference,
}

impl PathName {
    /// Every path.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Batch, Self::Python, Self::Reference];

    fn sut(self, python: &Path) -> Box<dyn Sut> {
        match self {
            Self::Kernel => Box::new(NaiveTwin::default()),
            Self::Batch => Box::new(Batch),
            Self::Python => Box::new(External::binding(python)),
            Self::Reference => Box::new(External::reference(python)),
        }
    }
}

impl FromStr for PathName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "kernel" => Self::Kernel,
            "batch" => Self::Batch,
            "python" => Self::Python,
            "reference" => Self::Reference,
            other => {
                let other = other.escape_default();
                return Err(format!("`{other}` is none of kernel, batch, python, reference"));
            }
        })
    }
}

/// One tape through every path.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// Name of the tape.
    pub tape: String,
    /// Symbol.
    pub symbol: String,
    /// Feature set.
    pub feature_set_id: String,
    /// Schema hash, 16 hex digits.
    pub schema_hash: String,
    /// Features in the set.
    pub features: usize,
    /// Packets of the tape.
    pub packets: u64,
    /// Level changes and trades of the tape.
    pub events: u64,
    /// Frames of the runtime.
    pub frames: u64,
    /// Frames of the runtime with each quality bit.
    pub quality: std::collections::BTreeMap<String, u64>,
    /// One comparison per path.
    pub comparisons: Vec<Comparison>,
    /// Seconds per path, the runtime first.
    pub seconds: Vec<f64>,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// Version of the package.
    pub version: String,
    /// Paths compared with the runtime.
    pub paths: Vec<String>,
    /// One entry per tape.
    pub cases: Vec<Case>,
}

impl Gate {
    /// Level changes, order events and trades of all tapes, each of which every path has seen.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.cases.iter().map(|case| case.events).sum()
    }

    /// Bits that differ, over all tapes and paths.
    #[must_use]
    pub fn differing_bits(&self) -> u64 {
        self.cases.iter().flat_map(|case| &case.comparisons).map(|c| c.differing_bits).sum()
    }

    /// The first difference, if there is one.
    #[must_use]
    pub fn first_difference(&self) -> Option<&crate::Difference> {
        self.cases.iter().flat_map(|case| &case.comparisons).find_map(|c| c.first.as_ref())
    }
}

/// Runs tapes through paths.
///
/// # Errors
///
/// [`Error`] when a path cannot be run, or when a tape gives no frame: a gate that compared nothing
/// must not pass.
pub fn run_gate(
    tapes: impl IntoIterator<Item = Result<Tape, Error>>,
    paths: &[PathName],
    python: &Path,
) -> Result<Gate, Error> {
    let mut suts: Vec<_> = paths.iter().map(|path| path.sut(python)).collect();
    let mut cases = Vec::new();
    for tape in tapes {
        let tape = tape?;
        let started = Instant::now();
        let want = Runtime.run(&tape)?;
        let mut seconds = vec![started.elapsed().as_secs_f64()];
        if want.is_empty() {
            let message = format!("the tape `{}` gives no frame to compare", tape.name);
            return Err(Error::Process { path: "runtime", command: "gate".into(), message });
        }
        let mut comparisons = Vec::new();
        for sut in &mut suts {
            let started = Instant::now();
            let got = sut.run(&tape)?;
            seconds.push(started.elapsed().as_secs_f64());
            comparisons.push(compare(&tape, sut.name(), sut.coverage(), &want, &got));
        }
        cases.push(Case {
            symbol: tape.instrument.symbol.clone(),
            feature_set_id: tape.set.id().into(),
            schema_hash: format!("{:016x}", tape.set.schema_hash()),
            features: tape.set.len(),
            packets: tape.packets.len() as u64,
            events: tape.events(),
            frames: (want.len() / feature_kernel::frame::frame_bytes(tape.set.len())) as u64,
            quality: quality(&tape, &want),
            tape: tape.name,
            comparisons,
            seconds,
        });
    }
    let paths = suts.iter().map(|sut| sut.name().to_owned()).collect();
    Ok(Gate { version: env!("CARGO_PKG_VERSION").into(), paths, cases })
}

fn quality(tape: &Tape, frames: &[u8]) -> std::collections::BTreeMap<String, u64> {
    let mut counts = [0_u64; 32];
    for frame in frames.chunks(feature_kernel::frame::frame_bytes(tape.set.len())) {
        let mut bits = u32::from_le_bytes(frame[60..64].try_into().unwrap_or_default());
        while bits != 0 {
            counts[bits.trailing_zeros() as usize] += 1;
            bits &= bits - 1;
        }
    }
    feature_extract::quality_names(&counts)
}
