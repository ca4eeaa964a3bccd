//! Events to book: integer ladders, sequencing, gaps, snapshots.
//!
//! [`Book`] holds levels and orders, [`LobEngine`] decides for every packet whether it is new, repeated,
//! late or follows a gap (`specs/semantics.md`, section 2). Nothing here knows about features.

mod book;
mod changes;
mod engine;
mod error;
mod ladder;
mod limits;
mod orders;
mod sequencing;
mod table;

pub use book::{Book, BookShape};
pub use engine::{Applied, Counters, LobEngine, Outcome};
pub use error::Error;
pub use ladder::MAX_LEVELS;
pub use orders::{MAX_ORDERS, OrderFaults};
