//! Arms of the performance table: ours and the peers, over one tape.

pub mod arms;
pub mod backtests;
pub mod ccxt;
pub mod check;
pub mod files;
pub mod peers;
pub mod tape;
pub mod timing;

pub use instruction_gate::report;
