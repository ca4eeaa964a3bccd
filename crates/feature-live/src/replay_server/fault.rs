//! What goes wrong on purpose, by message, from a seed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use market_io::synthetic::Rng;

use crate::counters::Count;

/// How long a delay is when nothing is said.
const DELAY: Duration = Duration::from_millis(500);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The message is not sent.
    Drop,
    /// It is sent twice.
    Duplicate,
    /// It is sent after the next one.
    Reorder,
    /// It, and all that follow, are sent later.
    Delay(Duration),
    /// The connection breaks instead; some messages pass before a new one is served.
    Disconnect,
    /// Its checksum is another. Messages without one are left as they are.
    Checksum,
}

impl FaultKind {
    const NAMES: [&'static str; 6] =
        ["drop", "duplicate", "reorder", "delay", "disconnect", "checksum"];

    const fn index(self) -> usize {
        match self {
            Self::Drop => 0,
            Self::Duplicate => 1,
            Self::Reorder => 2,
            Self::Delay(_) => 3,
            Self::Disconnect => 4,
            Self::Checksum => 5,
        }
    }
}

/// Which messages it happens to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// Each with this probability, in parts of a million.
    Each(u32),
    /// The one with this number, counted from 0 over all connections.
    At(u64),
}

/// A fault and its occasions: `drop:0.01`, `drop@250`, `delay:0.001:1500`, `delay@250:1500`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    kind: FaultKind,
    when: When,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text).ok_or_else(|| {
            format!(
                "`{}` is not KIND:PROBABILITY or KIND@MESSAGE, with :MILLISECONDS for a delay, \
                 where KIND is one of {}",
                text.escape_default(),
                FaultKind::NAMES.join(", ")
            )
        })
    }
}

fn read(text: &str) -> Option<Fault> {
    let end = text.find([':', '@'])?;
    let (name, rest) = text.split_at(end);
    let mut parts = rest[1..].split(':');
    let (occasion, more) = (parts.next()?, parts.next());
    let kind = match name {
        "drop" => FaultKind::Drop,
        "duplicate" => FaultKind::Duplicate,
        "reorder" => FaultKind::Reorder,
        "delay" => {
            let given = more.map(str::parse).transpose().ok()?;
            FaultKind::Delay(given.map_or(DELAY, Duration::from_millis))
        }
        "disconnect" => FaultKind::Disconnect,
        "checksum" => FaultKind::Checksum,
        _ => return None,
    };
    let is_delay = matches!(kind, FaultKind::Delay(_));
    if parts.next().is_some() || (more.is_some() && !is_delay) {
        return None;
    }
    let when = if rest.starts_with('@') {
        When::At(occasion.parse().ok()?)
    } else {
        let probability: f64 = occasion.parse().ok()?;
        (0.0..=1.0).contains(&probability).then_some(())?;
        When::Each((probability * 1e6) as u32)
    };
    Some(Fault { kind, when })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FaultKind::NAMES[self.kind.index()])
    }
}

/// How often each kind happened, in the order of [`FaultKind`].
#[derive(Debug, Default)]
pub struct FaultCounters([Count; FaultKind::NAMES.len()]);

impl FaultCounters {
    /// Every kind by name with its number.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        FaultKind::NAMES.into_iter().zip(self.0.iter().map(Count::get))
    }

    pub(super) fn add(&self, kind: FaultKind) {
        self.0[kind.index()].add(1);
    }
}

/// Decides for one message after the other.
#[derive(Debug)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    rng: Rng,
    message: u64,
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self { faults, rng: Rng::new(seed), message: 0 }
    }

    /// What happens to the next message: the first fault that applies.
    pub(super) fn next_fault(&mut self) -> Option<FaultKind> {
        let number = self.message;
        self.message += 1;
        let mut found = None;
        for fault in &self.faults {
            let applies = match fault.when {
                When::At(at) => at == number,
                // Drawn for every fault and message, so that one fault does not move another.
                When::Each(ppm) => self.rng.below(1_000_000) < u64::from(ppm),
            };
            if applies && found.is_none() {
                found = Some(fault.kind);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_everything_else_is_refused() {
        let fault = |text: &str| text.parse::<Fault>().unwrap();
        assert_eq!(fault("drop:0.01"), Fault { kind: FaultKind::Drop, when: When::Each(10_000) });
        assert_eq!(fault("checksum@7"), Fault { kind: FaultKind::Checksum, when: When::At(7) });
        let delay = FaultKind::Delay(Duration::from_millis(1500));
        assert_eq!(fault("delay@3:1500"), Fault { kind: delay, when: When::At(3) });
        assert_eq!(fault("delay:0.5").kind, FaultKind::Delay(DELAY));
        for wrong in
            ["", "drop", "drop:2", "drop:-1", "drop@x", "drop:0.1:5", "lose:1", "delay:1:x"]
        {
            assert!(wrong.parse::<Fault>().unwrap_err().contains("KIND"), "{wrong}");
        }
    }

    #[test]
    fn a_seed_decides_and_a_numbered_fault_happens_once() {
        let kinds = |seed| {
            let faults = ["drop:0.1", "duplicate@5"].map(|text| text.parse().unwrap());
            let mut faults = Faults::new(faults.to_vec(), seed);
            (0..1_000).map(|_| faults.next_fault()).collect::<Vec<_>>()
        };
        let drops = |kinds: &[Option<FaultKind>]| {
            kinds.iter().filter(|kind| **kind == Some(FaultKind::Drop)).count()
        };
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
        assert!((60..140).contains(&drops(&kinds(1))), "{}", drops(&kinds(1)));
        let doubles = kinds(1).iter().filter(|kind| **kind == Some(FaultKind::Duplicate)).count();
        assert!(doubles <= 1);
    }
}
