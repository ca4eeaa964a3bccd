//! What the column `ev` of a row says (`specs/inputs/hftbacktest.md`).

/// The exchange side sees the row.
pub(crate) const EXCH: u64 = 1 << 31;
/// The local side sees it.
pub(crate) const LOCAL: u64 = 1 << 30;
pub(crate) const BUY: u64 = 1 << 29;
pub(crate) const SELL: u64 = 1 << 28;

/// Bits of the kind.
pub(crate) const KIND_MASK: u64 = 0xff;
pub(crate) const DEPTH: u64 = 1;
pub(crate) const TRADE: u64 = 2;
pub(crate) const CLEAR: u64 = 3;
pub(crate) const SNAPSHOT: u64 = 4;
pub(crate) const BBO: u64 = 5;
pub(crate) const ORDER_ADD: u64 = 10;
pub(crate) const ORDER_CANCEL: u64 = 11;
pub(crate) const ORDER_MODIFY: u64 = 12;
pub(crate) const ORDER_FILL: u64 = 13;
pub(crate) const FIRST_CUSTOM: u64 = 100;
