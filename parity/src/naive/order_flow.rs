//! `specs/features/order_flow_l3.md`: what happened to orders, kept packet by packet.

use feature_kernel::Feature;
use feature_kernel::meta::Dtype;

use super::Defect;
use super::columns::{Scene, Value, number, ratio, round_rational};
use super::orders::{Flow, Sum};
use super::steps::Moment;

/// What one feature remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct OrderFlow {
    has_stepped: bool,
    /// Times and flows of packets, of bids and of asks.
    history: Vec<(i64, [Flow; 2])>,
}

impl OrderFlow {
    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        if !moment.is_book || moment.is_frozen {
            return;
        }
        let is_first = !self.has_stepped && scene.defect != Some(Defect::FirstOrdersFlow);
        self.has_stepped = true;
        if let (Some(orders), false) = (&scene.book.orders, is_first || moment.is_gap) {
            self.history.push((scene.now_ns, orders.flows));
        }
        let oldest = i128::from(scene.now_ns) - i128::from(number(feature, "window_ns"));
        self.history.retain(|(t_ns, _)| i128::from(*t_ns) >= oldest);
    }

    fn sum(&self, feature: &Feature, scene: &Scene<'_>, pick: impl Fn(&[Flow; 2]) -> Sum) -> Sum {
        let rests = scene.defect == Some(Defect::OrderWindowsRest);
        let now_ns = if rests { scene.book_ns } else { scene.now_ns };
        let closed = i128::from(scene.defect == Some(Defect::WrongWindowEdge));
        let edge = i128::from(now_ns) - i128::from(number(feature, "window_ns")) - closed;
        let inside = self.history.iter().filter(|(t_ns, _)| i128::from(*t_ns) > edge);
        inside.map(|(_, flows)| pick(flows)).fold(Sum::default(), |sum, one| Sum {
            count: sum.count + one.count,
            lots: sum.lots + one.lots,
        })
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let Some(orders) = &scene.book.orders else { return guess(feature, scene) };
        let lot = i128::from(scene.instrument.lot_scaled);
        let id = feature.column.id;
        let is_bid = id.contains("bid");
        if id == "cancel_to_add" {
            let cancelled = self.sum(feature, scene, |[a, b]| both(a.cancelled, b.cancelled));
            let added = self.sum(feature, scene, |[a, b]| both(a.added, b.added));
            return ratio(cancelled.lots * lot, added.lots * lot);
        }
        if number(feature, "window_ns") == 0 {
            let side = if is_bid { &scene.book.bids } else { &scene.book.asks };
            let places = orders.places_ns(is_bid, side.first()?.0);
            let count = places.len() as i128;
            if id.ends_with("orders") {
                return Some(Value::Int(count));
            }
            let now_ns = i128::from(scene.now_ns);
            let ages: i128 = places.iter().map(|t_ns| now_ns - i128::from(*t_ns)).sum();
            let truncated = scene.defect == Some(Defect::AgeTruncated);
            let mean = round_rational(ages, count, scene.defect);
            return Some(Value::Int(if truncated { ages / count } else { mean }));
        }
        let sum = self.sum(feature, scene, |flows| {
            let flow = flows[usize::from(!is_bid)];
            match id.split('_').nth(1) {
                Some("add") => flow.added,
                Some("cancel") => flow.cancelled,
                _ => flow.filled,
            }
        });
        Some(Value::Int(if id.ends_with("count") { sum.count } else { sum.lots * lot }))
    }
}

fn both(a: Sum, b: Sum) -> Sum {
    Sum { count: a.count + b.count, lots: a.lots + b.lots }
}

/// A book of levels has no orders, and nothing is guessed unless a defect does.
fn guess(feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
    let guess = match (scene.defect, feature.column.id) {
        (Some(Defect::OrdersAreZero), _) => 0,
        (Some(Defect::OrdersAreLevels), "best_bid_orders" | "best_ask_orders") => 1,
        (Some(Defect::OrdersAreLots), "bid_add_count") => scene.quote.bid_qty,
        _ => return None,
    };
    let is_float = feature.column.dtype == Dtype::F64;
    Some(if is_float { Value::Float(guess as f64) } else { Value::Int(guess) })
}
