//! Frames from one thread to another, every one or a number of lost ones (`specs/live.md`).

use feature_kernel::frame::frame_bytes;
use feature_kernel::{FeatureSet, FrameRef};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::error::Error;

/// Frames that a ring holds when nothing else is said.
pub const DEFAULT_RING_FRAMES: usize = 4_096;

const MAX_RING_FRAMES: usize = 1 << 24;

/// Sends frames and never waits.
#[derive(Debug)]
pub struct FrameSender {
    ring: Producer<u64>,
    record: Vec<u64>,
    /// Since the last frame that was sent.
    gap: u64,
    lost: u64,
}

/// Receives frames.
#[derive(Debug)]
pub struct FrameReceiver {
    ring: Consumer<u64>,
    record: Vec<u64>,
    schema_hash: u64,
}

/// One frame, and what stood before it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Frames lost between the one before and this one, because the receiver was slow.
    pub lost: u64,
    /// The frame.
    pub frame: FrameRef<'a>,
}

/// A ring for frames of one set, of any symbols.
///
/// # Errors
///
/// [`Error::RingSize`] when `frames` is no power of two from 2 to 2^24.
///
/// ```
/// let set = feature_runtime::built_in_set("lob_shared_v1")?;
/// let (sender, mut receiver) = feature_runtime::frame_ring(&set, 64)?;
/// assert!(receiver.receive().is_none());
/// drop(sender);
/// assert!(receiver.is_closed());
/// # Ok::<(), feature_runtime::Error>(())
/// ```
pub fn frame_ring(set: &FeatureSet, frames: usize) -> Result<(FrameSender, FrameReceiver), Error> {
    if !frames.is_power_of_two() || !(2..=MAX_RING_FRAMES).contains(&frames) {
        let expected = format!("a power of two from 2 to {MAX_RING_FRAMES}");
        return Err(Error::RingSize { what: "frames", found: frames, expected });
    }
    // The number of lost frames goes before each frame.
    let record = vec![0; 1 + frame_bytes(set.len()) / 8];
    let (ring, other) = RingBuffer::new(frames * record.len());
    let sender = FrameSender { ring, record: record.clone(), gap: 0, lost: 0 };
    Ok((sender, FrameReceiver { ring: other, record, schema_hash: set.schema_hash() }))
}

impl FrameSender {
    /// Sends a copy of a frame; `false` when there is no room, which the receiver is told.
    ///
    /// # Panics
    ///
    /// Panics when the frame has another number of features than the set of the ring.
    #[inline]
    pub fn send(&mut self, frame: FrameRef<'_>) -> bool {
        self.record[0] = self.gap;
        self.record[1..].copy_from_slice(frame.words());
        let sent = self.ring.push_entire_slice(&self.record).is_ok();
        self.gap = if sent { 0 } else { self.gap + 1 };
        self.lost += u64::from(!sent);
        sent
    }

    /// Frames lost since the start.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

impl FrameReceiver {
    /// Takes the next frame; `None` when there is none now.
    #[inline]
    pub fn receive(&mut self) -> Option<Received<'_>> {
        self.ring.pop_entire_slice(&mut self.record).ok()?;
        let frame = FrameRef::from_words(&self.record[1..]);
        Some(Received { lost: self.record[0], frame })
    }

    /// Schema hash of every frame.
    #[must_use]
    pub const fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// Whether the sender is gone and every frame was taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // The order matters: a sender that ends after the second test has sent nothing since.
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use feature_kernel::FrameBuf;
    use feature_kernel::frame::FrameHeader;

    use super::*;
    use crate::built_in_set;

    fn frame(set: &FeatureSet, seq: u64) -> FrameBuf {
        let mut frame = FrameBuf::new(set.schema_hash(), 0, set.len());
        frame.set_header(&FrameHeader { seq, ..FrameHeader::default() });
        frame
    }

    #[test]
    fn a_slow_receiver_is_told_how_many_frames_it_lost_and_where() {
        let set = built_in_set("lob_shared_v1").unwrap();
        let (mut sender, mut receiver) = frame_ring(&set, 4).unwrap();
        let sent: Vec<bool> = (1..=7).map(|seq| sender.send(frame(&set, seq).as_ref())).collect();
        assert_eq!(sent, [true, true, true, true, false, false, false]);
        let mut take = || receiver.receive().map(|r| (r.lost, r.frame.header().seq));
        assert_eq!([take(), take()], [Some((0, 1)), Some((0, 2))]);
        assert!(sender.send(frame(&set, 8).as_ref()));
        assert_eq!([take(), take(), take()], [Some((0, 3)), Some((0, 4)), Some((3, 8))]);
        assert_eq!((take(), sender.lost()), (None, 3));
        assert!(!receiver.is_closed());
        drop(sender);
        assert!(receiver.is_closed());
    }

    #[test]
    fn frames_cross_threads_in_order_and_nothing_is_counted_twice() {
        let set = built_in_set("lob_shared_v1").unwrap();
        let (mut sender, mut receiver) = frame_ring(&set, 8).unwrap();
        let count: u64 = if cfg!(miri) { 50 } else { 100_000 };
        let other = set.clone();
        let thread = std::thread::spawn(move || {
            (1..=count).for_each(|seq| _ = sender.send(frame(&other, seq).as_ref()));
            sender.lost()
        });
        let (mut taken, mut lost, mut last) = (0, 0, 0);
        while !receiver.is_closed() {
            let Some(received) = receiver.receive() else { continue };
            let seq = received.frame.header().seq;
            assert_eq!(seq, last + 1 + received.lost);
            (taken, lost, last) = (taken + 1, lost + received.lost, seq);
        }
        // Frames lost at the very end have no frame after them that could say so.
        assert_eq!(taken + thread.join().unwrap(), count);
        assert!(taken + lost <= count);
    }

    #[test]
    fn a_ring_has_a_power_of_two_of_frames() {
        let set = built_in_set("lob_shared_v1").unwrap();
        for frames in [0, 1, 3, 100, MAX_RING_FRAMES * 2] {
            let error = frame_ring(&set, frames).unwrap_err().to_string();
            assert!(error.contains("power of two") && error.contains(&frames.to_string()));
        }
    }
}
