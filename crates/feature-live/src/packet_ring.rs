//! Packets from the thread of a feed to the thread of the worker.
//!
//! Buffers travel in a circle: the worker gives every packet back, so that nothing is allocated once
//! the largest burst and the largest message were seen.

use std::sync::Arc;
use std::time::Instant;

use market_model::{BookOp, Level, Packet, PacketKind};
use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::counters::Counters;
use crate::error::Error;
use crate::plane::Plane;

/// Packets that a ring holds when nothing else is said.
pub const DEFAULT_RING_PACKETS: usize = 131_072;

const MAX_RING_PACKETS: usize = 1 << 24;

/// Attempts to find room before the thread is given up to the system each time.
const SPINS: u32 = 256;

/// What a sender does when the ring is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Full {
    /// Waits: nothing is lost, and the feed falls behind.
    #[default]
    Block,
    /// Drops the packet and counts it. The symbol's next packet is preceded by one of kind `Rejected`,
    /// so that the loss is flagged on a frame, and ends the book of a delta feed (rules D11 and D3).
    Drop,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The worker will see it.
    Queued,
    /// There was no room.
    Dropped,
}

/// Sizes of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Packets that may wait; a power of two.
    pub packets: usize,
    /// What happens to one more.
    pub full: Full,
    /// Packets whose buffers exist from the start; further ones are made when they are needed.
    pub prepared: usize,
    /// Level changes of a side for which a new packet has room.
    pub prepared_levels: usize,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            packets: DEFAULT_RING_PACKETS,
            full: Full::Block,
            prepared: 1_024,
            prepared_levels: 64,
        }
    }
}

#[derive(Debug)]
struct Queued {
    packet: Packet,
    at: Instant,
}

/// The feed's end of a ring.
#[derive(Debug)]
pub struct PacketSender {
    ring: Producer<Queued>,
    returned: Consumer<Packet>,
    packet: Packet,
    prepared_levels: usize,
    full: Full,
    /// Symbols whose loss is not flagged yet.
    missed: Vec<bool>,
    counters: Arc<Counters>,
}

/// The worker's end of a ring.
#[derive(Debug)]
pub struct PacketReceiver {
    ring: Consumer<Queued>,
    returning: Producer<Packet>,
}

/// A ring for the symbols of `counters`.
///
/// # Errors
///
/// [`Error::RingSize`] when the size is no power of two from 2 to 2^24.
pub fn packet_ring(
    options: &RingOptions,
    counters: &Arc<Counters>,
) -> Result<(PacketSender, PacketReceiver), Error> {
    let found = options.packets;
    if !found.is_power_of_two() || !(2..=MAX_RING_PACKETS).contains(&found) {
        return Err(Error::RingSize { found, most: MAX_RING_PACKETS });
    }
    let (ring, taken) = RingBuffer::new(found);
    // In circulation are those that wait, one at each end, and none is ever refused on its way back.
    let (mut returning, returned) = RingBuffer::new(found + 2);
    for _ in 0..options.prepared.min(found) {
        // There is room: fewer than slots.
        let _ = returning.push(prepared(options.prepared_levels));
    }
    let (missed, counters) = (vec![false; counters.symbols.len()], Arc::clone(counters));
    let packet = prepared(options.prepared_levels);
    let (full, prepared_levels) = (options.full, options.prepared_levels);
    let sender = PacketSender { ring, returned, packet, prepared_levels, full, missed, counters };
    Ok((sender, PacketReceiver { ring: taken, returning }))
}

/// An empty packet with room.
fn prepared(levels: usize) -> Packet {
    let mut packet = Packet::default();
    for _ in 0..levels {
        packet.push_level(BookOp::SetBid, Level::new(0, 0));
        packet.push_level(BookOp::SetAsk, Level::new(0, 0));
    }
    packet.trades.reserve(levels.min(8));
    packet.clear();
    packet
}

impl PacketSender {
    /// The packet to fill; it is empty after every [`PacketSender::send`].
    #[inline]
    pub fn packet(&mut self) -> &mut Packet {
        &mut self.packet
    }

    /// What the ring and its worker count.
    #[cfg(feature = "feeds")]
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Sends the packet that was filled.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`]; [`Error::WorkerEnded`] when nobody will take it.
    #[inline]
    pub fn send(&mut self) -> Result<Sent, Error> {
        let symbol = self.packet.symbol_id as usize;
        if symbol >= self.missed.len() {
            let last = u32::try_from(self.missed.len()).unwrap_or(u32::MAX).saturating_sub(1);
            return Err(Error::UnknownSymbol { symbol_id: self.packet.symbol_id, last });
        }
        if self.full == Full::Drop && self.ring.slots() < 1 + usize::from(self.missed[symbol]) {
            self.packet.clear();
            self.missed[symbol] = true;
            self.counters.symbols[symbol].dropped.add(1);
            return if self.ring.is_abandoned() {
                Err(Error::WorkerEnded)
            } else {
                Ok(Sent::Dropped)
            };
        }
        if self.missed[symbol] {
            self.tell_loss(symbol, self.packet.ts_event_ns, self.packet.ts_recv_ns)?;
        }
        let next = self.spare();
        let packet = std::mem::replace(&mut self.packet, next);
        self.push(packet)?;
        Ok(Sent::Queued)
    }

    /// Tells of packets that were dropped, when no further packet has done so yet and there is room: a
    /// feed that falls silent after a loss would hide it.
    #[cfg(feature = "feeds")]
    pub(crate) fn tell_losses(&mut self, now_ns: i64) -> Result<(), Error> {
        for symbol in 0..self.missed.len() {
            if self.missed[symbol] && self.ring.slots() > 0 {
                self.tell_loss(symbol, 0, now_ns)?;
            }
        }
        Ok(())
    }

    fn tell_loss(&mut self, symbol: usize, ts_event_ns: i64, ts_recv_ns: i64) -> Result<(), Error> {
        self.missed[symbol] = false;
        let mut loss = self.spare();
        loss.symbol_id = u32::try_from(symbol).unwrap_or(u32::MAX);
        loss.kind = PacketKind::Rejected;
        (loss.ts_event_ns, loss.ts_recv_ns) = (ts_event_ns, ts_recv_ns);
        self.push(loss)
    }

    /// A packet that came back; a new one when more wait than ever before.
    #[inline]
    fn spare(&mut self) -> Packet {
        self.returned.pop().unwrap_or_else(|_| prepared(self.prepared_levels))
    }

    #[inline]
    fn push(&mut self, packet: Packet) -> Result<(), Error> {
        let mut queued = Queued { packet, at: Instant::now() };
        let mut tries = 0_u32;
        while let Err(PushError::Full(back)) = self.ring.push(queued) {
            if self.ring.is_abandoned() {
                return Err(Error::WorkerEnded);
            }
            queued = back;
            tries = tries.saturating_add(1);
            if tries == 1 {
                self.counters.full_waits.add(1);
            }
            if tries > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        self.counters.sent.add(1);
        if self.ring.is_abandoned() { Err(Error::WorkerEnded) } else { Ok(()) }
    }
}

impl PacketReceiver {
    /// Hands the next packet to a plane, and its buffer back to the sender; `false` when there is no
    /// packet now.
    ///
    /// # Errors
    ///
    /// What [`Plane::process`] gives.
    #[inline]
    pub fn step(&mut self, plane: &mut Plane) -> Result<bool, Error> {
        let Ok(Queued { mut packet, at }) = self.ring.pop() else { return Ok(false) };
        plane.process(&packet, at)?;
        packet.clear();
        // There is room for all of them; without a sender the buffer is simply dropped.
        let _ = self.returning.push(packet);
        Ok(true)
    }

    /// Whether the sender is gone and every packet was taken.
    pub(crate) fn is_closed(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}
