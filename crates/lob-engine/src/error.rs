//! Misuse and limits of the book engine; defects of market data are quality flags instead.

use market_model::{Side, StateError};
use thiserror::Error;

/// Why a packet or a state snapshot was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A side would hold more levels than the limit; nothing was changed.
    #[error(
        "symbol {symbol_id}: {side:?} side would hold {levels} levels, the limit is {limit} (seq {seq})"
    )]
    TooManyLevels {
        /// Dense symbol id.
        symbol_id: u32,
        /// The side.
        side: Side,
        /// Levels after the packet.
        levels: usize,
        /// The limit.
        limit: usize,
        /// Update id of the packet.
        seq: u64,
    },
    /// A level has a price below 1 tick or a quantity outside 0..2^53; nothing was changed.
    #[error(
        "symbol {symbol_id}: level price {price_ticks} ticks, quantity {qty_lots} lots is out of range (seq {seq})"
    )]
    LevelOutOfRange {
        /// Dense symbol id.
        symbol_id: u32,
        /// Price in ticks.
        price_ticks: i64,
        /// Quantity in lots.
        qty_lots: i64,
        /// Update id of the packet.
        seq: u64,
    },
    /// An order has a price below 1 tick or a quantity outside 0..2^53; nothing was changed.
    #[error(
        "symbol {symbol_id}: order {order_id}, price {price_ticks} ticks, quantity {qty_lots} lots is out of range (seq {seq})"
    )]
    OrderOutOfRange {
        /// Dense symbol id.
        symbol_id: u32,
        /// Id of the order.
        order_id: u64,
        /// Price in ticks.
        price_ticks: i64,
        /// Quantity in lots.
        qty_lots: i64,
        /// Update id of the packet.
        seq: u64,
    },
    /// The book would hold more orders than the limit; nothing was changed.
    #[error(
        "symbol {symbol_id}: the book would hold {orders} orders, the limit is {limit} (seq {seq})"
    )]
    TooManyOrders {
        /// Dense symbol id.
        symbol_id: u32,
        /// Orders after the packet, if none left.
        orders: usize,
        /// The limit.
        limit: usize,
        /// Update id of the packet.
        seq: u64,
    },
    /// The orders of a side would add up to more than 2^53-1 lots; nothing was changed.
    #[error(
        "symbol {symbol_id}: orders of the {side:?} side would add up to more than 2^53-1 lots (seq {seq})"
    )]
    TooManyLots {
        /// Dense symbol id.
        symbol_id: u32,
        /// The side.
        side: Side,
        /// Update id of the packet.
        seq: u64,
    },
    /// Levels are set on a book that is fed order by order, or orders enter one that is fed by levels;
    /// nothing was changed.
    #[error(
        "symbol {symbol_id}: levels and orders in one book: a snapshot or a reset must come between (seq {seq})"
    )]
    LevelsAndOrders {
        /// Dense symbol id.
        symbol_id: u32,
        /// Update id of the packet.
        seq: u64,
    },
    /// A state snapshot cannot be restored.
    #[error(transparent)]
    State(#[from] StateError),
}
