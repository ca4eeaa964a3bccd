//! Paired timing: all arms in turn, round after round, in one process.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

type Run<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Arms that are timed against each other.
#[derive(Default)]
pub struct Arms<'a> {
    runs: Vec<(&'static str, Run<'a>)>,
}

/// Seconds of each arm, round by round.
pub struct Times(BTreeMap<&'static str, Vec<f64>>);

impl<'a> Arms<'a> {
    /// Adds an arm: a state, how it is put back without being timed, and what is timed.
    pub fn add<S: 'a, T>(
        &mut self,
        name: &'static str,
        mut state: S,
        mut reset: impl FnMut(&mut S) + 'a,
        mut run: impl FnMut(&mut S) -> T + 'a,
    ) {
        let timed = move || {
            reset(&mut state);
            let start = Instant::now();
            black_box(run(black_box(&mut state)));
            start.elapsed().as_secs_f64()
        };
        self.runs.push((name, Box::new(timed)));
    }

    /// One warm-up round, then the timed ones.
    #[must_use]
    pub fn time(mut self, rounds: usize) -> Times {
        let mut times = BTreeMap::new();
        for round in 0..=rounds {
            for (name, run) in &mut self.runs {
                let seconds = run();
                if round > 0 {
                    times.entry(*name).or_insert_with(Vec::new).push(seconds);
                }
            }
        }
        Times(times)
    }
}

impl Times {
    /// Median seconds of an arm.
    #[must_use]
    pub fn seconds(&self, arm: &str) -> f64 {
        median(self.0[arm].clone())
    }

    /// Median over the rounds of one arm's time over another's.
    #[must_use]
    pub fn ratio(&self, arm: &str, over: &str) -> f64 {
        median(self.0[arm].iter().zip(&self.0[over]).map(|(a, b)| a / b).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
