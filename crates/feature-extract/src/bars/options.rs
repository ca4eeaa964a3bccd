//! Which bars, and their durations as text.

use std::path::{Path, PathBuf};

use crate::emission::parse_duration_ns;
use crate::error::Error;

/// What to do with a bar in which nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyBars {
    /// It is left out.
    #[default]
    Skip,
    /// It is written with counts of 0, from the first bar on.
    Write,
}

/// Bars beside the rows of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BarOptions {
    /// Durations, positive and distinct, ns.
    pub durations_ns: Vec<i64>,
    /// What to do with empty bars.
    pub empty: EmptyBars,
    /// File of the bars, with `{bar}` where the duration goes; beside the rows when absent.
    pub path: Option<PathBuf>,
}

impl BarOptions {
    /// Where the bars of a duration go when the rows go to `rows`: `day.parquet` gives
    /// `day.bars-60s.parquet`.
    #[must_use]
    pub fn path_of(&self, rows: &Path, duration_ns: i64) -> PathBuf {
        let label = duration_label(duration_ns);
        if let Some(path) = &self.path {
            return path.to_string_lossy().replace("{bar}", &label).into();
        }
        let ending = rows.extension().unwrap_or_default().to_string_lossy();
        rows.with_extension(format!("bars-{label}.{ending}"))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::Config { field: "bars", message });
        let mut sorted = self.durations_ns.clone();
        sorted.sort_unstable();
        if sorted.is_empty() || sorted[0] <= 0 {
            return wrong("expected at least one duration, all of them positive".into());
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("{} is there twice", duration_label(pair[0])));
        }
        match &self.path {
            Some(path) if sorted.len() > 1 && !path.to_string_lossy().contains("{bar}") => {
                wrong(format!("`{}` needs {{bar}} in it for several durations", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// A duration in the largest of s, ms, us, ns that divides it; `60s`, never `1m`, so that a name has one form.
///
/// ```
/// assert_eq!(feature_extract::duration_label(60_000_000_000), "60s");
/// assert_eq!(feature_extract::duration_label(1_500_000_000), "1500ms");
/// ```
#[must_use]
pub fn duration_label(duration_ns: i64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let fits = units.into_iter().find(|(unit, _)| duration_ns % unit == 0);
    let (unit, name) = fits.unwrap_or((1, "ns"));
    format!("{}{name}", duration_ns / unit)
}

/// Durations separated by commas, such as `1s,5s,1m`, in ns.
///
/// # Errors
///
/// [`Error::Config`] naming the units there are.
pub fn parse_durations_ns(text: &str) -> Result<Vec<i64>, Error> {
    text.split(',').map(parse_duration_ns).collect()
}
