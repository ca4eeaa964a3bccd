//! The families, one file each; `registry.rs` lists them.

pub mod depth;
pub mod ema;
pub mod imbalance;
pub mod impact;
pub mod microprice;
pub mod mid_spread;
pub mod momentum;
pub mod ofi_flow;
pub mod ofi_l1;
pub mod ofi_ml;
pub mod ofi_norm;
pub mod order_flow_l3;
pub mod regime;
pub mod returns;
pub mod rolling;
pub mod shape;
pub mod shock;
pub mod time;
pub mod top;
pub mod toxicity;
pub mod trades;
pub mod weighted_depth;

use crate::meta::{Behaviour, ColumnMeta, Dtype, Reads, Scale};

/// An instantaneous L1 column without parameters, ready after one packet: the most common case.
pub(crate) const fn l1_column(
    id: &'static str,
    dtype: Dtype,
    scale: Scale,
    unit: &'static str,
    doc: &'static str,
) -> ColumnMeta {
    ColumnMeta {
        id,
        rev: 1,
        dtype,
        scale,
        unit,
        reads: Reads::L1,
        behaviour: Behaviour::Instant,
        warmup_min_events: 1,
        params: &[],
        name: id,
        doc,
    }
}
