//! Rule 6: the event time of a packet and the window clock.

use market_model::{Packet, QualityFlags};

use super::Defect;

const MAX_AHEAD_NS: i128 = 5_000_000_000;
const MAX_JUMP_NS: i128 = 24 * 3_600 * 1_000_000_000;

fn is_later_by(a_ns: i64, b_ns: i64, bound_ns: i128) -> bool {
    i128::from(a_ns) - i128::from(b_ns) > bound_ns
}

/// The window clock and the last event time of each channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    /// `t_eff`, ns; 0 before the first packet.
    pub(super) now_ns: i64,
    last_book_ns: Option<i64>,
    last_other_ns: Option<i64>,
}

impl Clock {
    /// Event time by D17 and D18, and whether it is not the stamp of the packet.
    pub(super) fn event_time(&self, packet: &Packet) -> (i64, bool) {
        let (event, recv) = (packet.ts_event_ns, packet.ts_recv_ns);
        let instead = if recv != 0 { recv } else { self.now_ns };
        let too_far = if recv != 0 {
            is_later_by(event, recv, MAX_AHEAD_NS)
        } else {
            self.now_ns != 0 && is_later_by(event, self.now_ns, MAX_JUMP_NS)
        };
        if event == 0 || too_far { (instead, true) } else { (event, false) }
    }

    /// Moves the clock; gives the event time and the bits of the packet.
    pub(super) fn advance(
        &mut self,
        packet: &Packet,
        max_age_ns: Option<i64>,
        defect: Option<Defect>,
    ) -> (i64, QualityFlags) {
        let (event_ns, replaced) = self.event_time(packet);
        let one_channel = defect == Some(Defect::OneChannel);
        let channel = if packet.touches_book() || one_channel {
            &mut self.last_book_ns
        } else {
            &mut self.last_other_ns
        };
        let backward = channel.is_some_and(|last_ns| event_ns < last_ns);
        *channel = Some(event_ns);
        if event_ns > self.now_ns || defect == Some(Defect::ClockBackward) {
            self.now_ns = event_ns;
        }
        let mut flags = QualityFlags::empty();
        flags.set(QualityFlags::TS_ANOMALY, replaced || backward);
        let (sent, recv) = (packet.ts_event_ns, packet.ts_recv_ns);
        let stale = max_age_ns
            .is_some_and(|age| sent != 0 && recv != 0 && is_later_by(recv, sent, age.into()));
        flags.set(QualityFlags::STALE_INPUT, stale);
        (event_ns, flags)
    }
}
