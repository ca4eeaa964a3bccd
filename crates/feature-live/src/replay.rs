//! Recordings as a feed: packets in the order of their arrival, as fast as they go or at their pace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use market_io::Source;
use market_model::{Instrument, Packet};

use crate::error::Error;
use crate::packet_ring::PacketSender;

/// Longest sleep between two looks at the stop flag.
const NAP: Duration = Duration::from_millis(50);

/// How fast a recording is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pace {
    /// As fast as the worker takes packets.
    #[default]
    Fastest,
    /// At the recorded distances divided by this factor, which is positive and finite.
    Times(f64),
}

impl std::str::FromStr for Pace {
    type Err = String;

    /// Reads `max`, `1x` or `2.5x`.
    fn from_str(text: &str) -> Result<Self, String> {
        let factor = text.strip_suffix('x').and_then(|digits| digits.parse::<f64>().ok());
        match factor.filter(|factor| factor.is_finite() && *factor > 0.0) {
            _ if text == "max" => Ok(Self::Fastest),
            Some(factor) => Ok(Self::Times(factor)),
            None => {
                Err(format!("`{}` is neither max nor a factor such as 1x", text.escape_default()))
            }
        }
    }
}

/// One recording and its next packet.
struct Track {
    source: Box<dyn Source>,
    next: Packet,
    is_open: bool,
}

/// Recordings of one or several symbols, merged by time of arrival.
pub struct Replay {
    tracks: Vec<Track>,
}

impl Replay {
    /// A feed of opened sources; source `i` must have been opened with symbol id `i`.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when a source fails at its first packet.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Result<Self, Error> {
        let mut tracks = Vec::with_capacity(sources.len());
        for source in sources {
            let mut track = Track { source, next: Packet::default(), is_open: true };
            track.is_open = track.source.next_packet(&mut track.next)?;
            tracks.push(track);
        }
        Ok(Self { tracks })
    }

    /// Instruments in the order of their ids.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.tracks.iter().map(|track| track.source.instrument())
    }

    /// The sources, for their statistics.
    pub fn sources(&self) -> impl Iterator<Item = &dyn Source> {
        self.tracks.iter().map(|track| track.source.as_ref())
    }

    /// Fills a packet with the next one of all symbols; `false` at the end of all recordings.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the rest of a recording cannot be read.
    pub fn next_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let open = self.tracks.iter_mut().filter(|track| track.is_open);
        // Of equal times the first symbol goes first, so that the order is the same in every run.
        let Some(track) = open.min_by_key(|track| arrival_ns(&track.next)) else {
            return Ok(false);
        };
        std::mem::swap(packet, &mut track.next);
        track.is_open = track.source.next_packet(&mut track.next)?;
        Ok(true)
    }

    /// Sends everything; how many packets. Ends early when `stop` becomes true.
    ///
    /// # Errors
    ///
    /// [`Error::Input`], and what [`PacketSender::send`] gives.
    pub fn send_all(
        &mut self,
        sender: &mut PacketSender,
        pace: Pace,
        stop: &AtomicBool,
    ) -> Result<u64, Error> {
        let (started, mut first_ns, mut count) = (Instant::now(), None, 0);
        while !stop.load(Ordering::Relaxed) && self.next_packet(sender.packet())? {
            if let Pace::Times(factor) = pace {
                let at_ns = arrival_ns(sender.packet());
                let since = at_ns.saturating_sub(*first_ns.get_or_insert(at_ns)).max(0);
                let due = Duration::from_nanos((since as f64 / factor) as u64);
                wait_until(started, due, stop);
            }
            sender.send()?;
            count += 1;
        }
        Ok(count)
    }
}

/// When a packet arrived; its event time where the recording does not say.
fn arrival_ns(packet: &Packet) -> i64 {
    if packet.ts_recv_ns == 0 { packet.ts_event_ns } else { packet.ts_recv_ns }
}

fn wait_until(started: Instant, due: Duration, stop: &AtomicBool) {
    while let Some(left) = due.checked_sub(started.elapsed()) {
        if left.is_zero() || stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}

impl core::fmt::Debug for Replay {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Replay").field("tracks", &self.tracks.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_max_or_a_positive_factor() {
        assert_eq!("max".parse(), Ok(Pace::Fastest));
        assert_eq!("2.5x".parse(), Ok(Pace::Times(2.5)));
        for wrong in ["", "x", "0x", "-1x", "infx", "NaNx", "10"] {
            assert!(wrong.parse::<Pace>().unwrap_err().contains("1x"), "{wrong}");
        }
    }
}
