//! A recording as the messages of a venue, each when it is due.

use std::path::PathBuf;
use std::time::Duration;

use market_io::venue::{RecordedLines, VenueLines};
use tokio::time::Instant;

use crate::error::Error;
use crate::replay::Pace;

/// The rest of a recording.
pub(super) struct Tape {
    form: VenueLines,
    lines: RecordedLines,
    pace: Pace,
    /// Wall time and recorded time of one message; forgotten whenever the recording stands still.
    anchor: Option<(Instant, i64)>,
}

impl Tape {
    pub(super) fn open(form: VenueLines, inputs: &[PathBuf], pace: Pace) -> Result<Self, Error> {
        Ok(Self { form, lines: RecordedLines::open(inputs)?, pace, anchor: None })
    }

    /// The next message and when it is due; `None` at the end, and before what cannot be read.
    pub(super) fn next_message(&mut self) -> Option<(Instant, String)> {
        loop {
            let line = self.lines.next_line().ok()??;
            let Some((local_ns, message)) = self.form.message(line) else { continue };
            let message = message.into_owned();
            return Some((self.due(local_ns), message));
        }
    }

    /// Nobody listens: the next message is due at once, whenever it comes.
    pub(super) fn stand_still(&mut self) {
        self.anchor = None;
    }

    fn due(&mut self, local_ns: i64) -> Instant {
        let now = Instant::now();
        let Pace::Times(factor) = self.pace else { return now };
        let (wall, recorded_ns) = *self.anchor.get_or_insert((now, local_ns));
        let since_ns = local_ns.saturating_sub(recorded_ns).max(0);
        wall + Duration::from_nanos((since_ns as f64 / factor) as u64)
    }
}
