//! Waits that grow, with jitter from a seed.

use std::time::Duration;

use market_io::synthetic::Rng;

/// How long waits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffOptions {
    /// The first wait; each is twice the one before.
    pub first: Duration,
    /// The longest one.
    pub most: Duration,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(60) }
    }
}

/// A sequence of waits: each lies between the half and the whole of its step, so that clients that were
/// cut off together do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    options: BackoffOptions,
    step: Duration,
    rng: Rng,
}

impl Backoff {
    pub(super) fn new(options: BackoffOptions, seed: u64) -> Self {
        Self { options, step: options.first, rng: Rng::new(seed) }
    }

    /// The next wait.
    pub(super) fn next_wait(&mut self) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(self.options.most);
        let half = u64::try_from(step.as_nanos() / 2).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(half + self.rng.below(half + 1))
    }

    /// Begins anew after a success.
    pub(super) fn reset(&mut self) {
        self.step = self.options.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_those_of_the_seed() {
        let options =
            BackoffOptions { first: Duration::from_secs(1), most: Duration::from_secs(10) };
        let waits = |seed| {
            let mut backoff = Backoff::new(options, seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        for (wait, step) in waits(1).into_iter().zip([1, 2, 4, 8, 10, 10, 10, 10]) {
            let step = Duration::from_secs(step);
            assert!(step / 2 <= wait && wait <= step, "{wait:?} of {step:?}");
        }
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let mut backoff = Backoff::new(options, 1);
        (0..5).for_each(|_| _ = backoff.next_wait());
        backoff.reset();
        assert!(backoff.next_wait() <= options.first);
    }
}
