//! The thread that takes packets from a ring until their sender is gone.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::counters::Counters;
use crate::error::Error;
use crate::packet_ring::{PacketReceiver, PacketSender, RingOptions, packet_ring};
use crate::plane::{Latencies, Plane};

const NAME: &str = "featureplane";

/// Empty looks at the ring before a worker that may rest does so.
const SPINS: u32 = 2_048;

/// Looks at which the thread is given up to the system before it sleeps.
const YIELDS: u32 = 64;

const SLEEP: Duration = Duration::from_micros(50);

/// What the worker does while there is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Idle {
    /// Looks again at once: the shortest latency, for a core that belongs to the worker.
    Spin,
    /// Looks for some microseconds, then rests between looks, for at most 50 us each.
    #[default]
    Rest,
}

/// How a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerOptions {
    /// The ring before it.
    pub ring: RingOptions,
    /// Core that its thread is pinned to, counted from 0 among those of this process; `None` leaves the
    /// choice to the system.
    pub core: Option<usize>,
    /// What it does while there is no packet.
    pub idle: Idle,
}

/// What a worker did, after its last packet.
#[derive(Debug)]
pub struct Report {
    /// Latencies of all packets.
    pub latencies: Latencies,
    /// Counters, which nobody writes any more.
    pub counters: Arc<Counters>,
    /// Whether the thread was pinned as asked; `false` also when nothing was asked.
    pub is_pinned: bool,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<Result<Report, Error>>,
    counters: Arc<Counters>,
}

/// Starts a worker. It ends when its sender is dropped and every packet was taken.
///
/// # Errors
///
/// [`Error::RingSize`], [`Error::Thread`].
pub fn start(plane: Plane, options: &WorkerOptions) -> Result<(PacketSender, Worker), Error> {
    let counters = Arc::clone(plane.counters());
    let (sender, receiver) = packet_ring(&options.ring, &counters)?;
    let (core, idle) = (options.core, options.idle);
    let body = move || {
        let is_pinned = core.is_some_and(pin);
        let mut report = run(plane, receiver, idle)?;
        report.is_pinned = is_pinned;
        Ok(report)
    };
    let thread = std::thread::Builder::new()
        .name(NAME.into())
        .spawn(body)
        .map_err(|source| Error::Thread { name: NAME, source })?;
    Ok((sender, Worker { thread, counters }))
}

impl Worker {
    /// Counters that the worker writes.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Waits for the end; drop the sender first.
    ///
    /// # Errors
    ///
    /// [`Error::WorkerPanicked`], and what [`Plane::process`] gave.
    pub fn join(self) -> Result<Report, Error> {
        self.thread.join().unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = text.or_else(|| cause.downcast_ref::<String>().cloned());
            Err(Error::WorkerPanicked { message: message.unwrap_or_else(|| "no message".into()) })
        })
    }
}

/// The body of a worker, on the thread of the caller.
///
/// # Errors
///
/// What [`Plane::process`] gives.
pub fn run(mut plane: Plane, mut receiver: PacketReceiver, idle: Idle) -> Result<Report, Error> {
    let counters = Arc::clone(plane.counters());
    let mut looks = 0_u32;
    loop {
        if receiver.step(&mut plane)? {
            looks = 0;
        } else if receiver.is_closed() {
            break;
        } else {
            looks = looks.saturating_add(1);
            rest(idle, looks);
        }
    }
    Ok(Report { latencies: plane.end(), counters, is_pinned: false })
}

#[inline]
fn rest(idle: Idle, looks: u32) {
    if idle == Idle::Spin || looks < SPINS {
        std::hint::spin_loop();
    } else if looks < SPINS + YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(SLEEP);
    }
}

/// Pins the calling thread; `false` when there is no such core.
fn pin(core: usize) -> bool {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    ids.get(core).is_some_and(|id| core_affinity::set_for_current(*id))
}
