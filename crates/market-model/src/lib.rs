//! The vocabulary that every other crate speaks: scaled integers, instruments, packets, book views.
//!
//! Prices are integer numbers of ticks, quantities integer numbers of lots; decimal text becomes an
//! integer without ever being a float (`specs/semantics.md`, section 1). Nothing here reads a file,
//! a clock or the environment.

mod book_view;
mod decimal;
mod event;
mod instrument;
mod order;
mod packet;
mod quality;
mod state;
mod time;

pub use book_view::{BookNeeds, BookView, Level, LevelChange, OrderFlow, Queue, Side};
pub use decimal::{
    Decimal, DecimalError, MAX_SCALE, MAX_SCALED, POW10, decimal_text, parse_scaled,
};
pub use event::{EventFlags, EventKind, MarketEvent};
pub use instrument::{FeedKind, Instrument, InstrumentError, Sequencing};
pub use order::{OrderEvent, OrderOp};
pub use packet::{
    Aggressor, BookOp, LATE_RUN_PACKETS, LATE_RUN_SPAN_NS, Packet, PacketKind, Run, Trade,
};
pub use quality::QualityFlags;
pub use state::{StateError, StateReader, StateWriter};
pub use time::{TimeUnitError, check_ns};
