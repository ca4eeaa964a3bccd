//! What is counted of the connections to venues.

use crate::counters::Count;

/// Why a connection was lost, in the order of [`FeedCounters::lost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It could not be made.
    Refused,
    /// The venue closed it.
    Closed,
    /// It broke, or what came was no message.
    Broken,
    /// No message came for too long.
    Silent,
}

impl Loss {
    /// Every cause, in order.
    pub const ALL: [Self; 4] = [Self::Refused, Self::Closed, Self::Broken, Self::Silent];

    /// The label of the metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
        }
    }
}

/// Counters of one symbol's connection; the feed's thread writes them.
#[derive(Debug, Default)]
pub struct FeedCounters {
    /// Name of the symbol.
    pub symbol: String,
    /// 1 while a connection stands.
    pub is_connected: Count,
    /// Connections that were made.
    pub connections: Count,
    /// Connections that were lost or could not be made, by cause.
    pub lost: [Count; Loss::ALL.len()],
    /// Messages received.
    pub messages: Count,
    /// Snapshots asked for: with the first connection, and whenever the book was lost.
    pub snapshots_asked: Count,
    /// Requests for a snapshot that failed.
    pub snapshots_failed: Count,
    /// Lines that gave a packet of kind `Rejected` or `RejectedTrade`, lost connections among them.
    pub rejected: Count,
}

impl FeedCounters {
    /// Counters of a symbol.
    #[must_use]
    pub fn new(symbol: &str) -> Self {
        Self { symbol: symbol.into(), ..Self::default() }
    }
}
