//! Returns of the mid price, their variation and speed (family `returns`).
//!
//! Spec: `specs/features/returns.md`. Reference and cases: `parity/reference`, `parity/cases/returns.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Scale};
use crate::moments::Moments;
use crate::numeric::{det_ln, float, pow10, ratio, round_to_i64};
use crate::params::window_ns;
use crate::path::{Path, Point};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Span, Sum, Windows};

/// Units of one in a log return: 2^52. No larger return than one is counted.
const UNIT: f64 = 4_503_599_627_370_496.0;

/// What the mid price did from packet to packet.
#[derive(Debug, Clone)]
pub struct Returns {
    /// Slot, column, and number of the window or horizon of each feature.
    wanted: Vec<(usize, Column, usize)>,
    price_scale: u8,
    /// The mid of the last step, times two; `None` before the first and at a gap.
    last_x2: Option<i64>,
    /// This packet's return; `None` when it is unknown.
    step: Option<i64>,
    clamped: bool,
    /// A column of the set is made of step returns.
    uses_steps: bool,
    returns: Windows<Moments>,
    /// Products of neighbouring changes.
    products: Windows<Sum>,
    last_change: Option<i128>,
    /// Mids by time, for horizons.
    path: Path,
    /// The mid at the last three different times, newest first.
    points: [Option<Point>; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Step,
    Horizon,
    Volatility,
    Variance,
    Velocity,
    Acceleration,
    Autocovariance,
}

const MID: ColumnMeta = l1_column("", Dtype::F64, Scale::None, "log return", "");

impl Family for Returns {
    const META: FamilyMeta = FamilyMeta {
        slug: "returns",
        doc: "Returns of the mid price, their variation and speed.",
        source: "Andersen, Bollerslev, Diebold and Labys (2003), Modeling and forecasting realized volatility",
        columns: &[
            ColumnMeta {
                id: "log_return_step",
                name: "log_return_step",
                behaviour: Behaviour::Step,
                warmup_min_events: 2,
                doc: "Log return of this packet.",
                ..MID
            },
            ColumnMeta {
                id: "log_return",
                name: "log_return_{window_ns}ns",
                params: &["window_ns"],
                behaviour: Behaviour::Window,
                doc: "Log return since the mid as it stood one horizon ago.",
                ..MID
            },
            ColumnMeta {
                id: "realized_vol",
                name: "realized_vol_{window_ns}ns",
                params: &["window_ns"],
                behaviour: Behaviour::Window,
                warmup_min_events: 2,
                doc: "Standard deviation (n-1) of the step returns of a time window (t-h, t].",
                ..MID
            },
            ColumnMeta {
                id: "realized_variance",
                name: "realized_variance_{window_ns}ns",
                params: &["window_ns"],
                behaviour: Behaviour::Window,
                warmup_min_events: 2,
                unit: "squared log return",
                doc: "Sum of the squared step returns of a time window (t-h, t].",
                ..MID
            },
            ColumnMeta {
                id: "mid_velocity",
                name: "mid_velocity",
                behaviour: Behaviour::Stateful,
                warmup_min_events: 2,
                unit: "price per s",
                doc: "Change of the mid since the last earlier time it was seen, per second.",
                ..MID
            },
            ColumnMeta {
                id: "mid_acceleration",
                name: "mid_acceleration",
                behaviour: Behaviour::Stateful,
                warmup_min_events: 3,
                unit: "price per s^2",
                doc: "Change of the velocity over the mean of its two times.",
                ..MID
            },
            ColumnMeta {
                id: "mid_autocov_x1e6",
                name: "mid_autocov_x1e6_{count}",
                params: &["count"],
                behaviour: Behaviour::Stateful,
                warmup_min_events: 2,
                dtype: Dtype::I64,
                scale: Scale::Times(1_000_000),
                unit: "squared price x 2, x 1e6",
                doc: "Mean product of neighbouring changes of the mid over the last steps.",
                ..MID
            },
        ],
        params: &[
            window_ns("Length of the window, or the horizon, in ns."),
            ParamMeta {
                key: "count",
                kind: ParamKind::Int { min: 3, max: 1_000_000, default: Some(40) },
                doc: "Changes of the mid in the window.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], units: Units) -> Self {
        const COLUMNS: [Column; 7] = [
            Column::Step,
            Column::Horizon,
            Column::Volatility,
            Column::Variance,
            Column::Velocity,
            Column::Acceleration,
            Column::Autocovariance,
        ];
        let mut family = Self {
            wanted: Vec::new(),
            price_scale: units.price_scale,
            last_x2: None,
            step: None,
            clamped: false,
            uses_steps: false,
            returns: Windows::new(),
            products: Windows::new(),
            last_change: None,
            path: Path::new(),
            points: [None; 3],
        };
        for (slot, f) in wanted {
            let column = COLUMNS[f.column_index];
            let window = match column {
                Column::Volatility | Column::Variance => {
                    let span = Span::Time { length_ns: f.wide_param("window_ns") };
                    family.returns.open(span, Moments::default())
                }
                Column::Autocovariance => {
                    // One product less than changes.
                    let entries = f.wide_param("count").unsigned_abs() - 1;
                    family.products.open(Span::Count { entries }, Sum::default())
                }
                Column::Horizon => family.path.open(f.wide_param("window_ns")),
                _ => 0,
            };
            family.uses_steps |=
                matches!(column, Column::Step | Column::Volatility | Column::Variance);
            family.wanted.push((*slot, column, window));
        }
        family
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            self.step = Some(0);
            return;
        }
        if context.gap_step {
            self.forget();
        }
        let mid_x2 = context.quotes.bid + context.quotes.ask;
        let before = self.last_x2.replace(mid_x2);
        (self.step, self.clamped) = match before {
            None => ((!context.gap_step).then_some(0), false),
            Some(before) => log_return(mid_x2, before),
        };
        if let (Some(_), Some(step)) = (before, self.step) {
            self.returns.push(context.now_ns, step.into());
        }
        let change = before.map_or(0, |before| i128::from(mid_x2) - i128::from(before));
        if let Some(last) = self.last_change.replace(change) {
            self.products.push(context.now_ns, last * change);
        }
        let point = Point { t_ns: context.now_ns, mid_x2 };
        self.path.push(point);
        match self.points[0] {
            Some(newest) if newest.t_ns == point.t_ns => self.points[0] = Some(point),
            _ => self.points = [Some(point), self.points[0], self.points[1]],
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.returns.evict(context.now_ns);
        self.path.evict(context.now_ns);
        slots.saturated |= self.clamped && self.uses_steps && context.book_step;
        for &(slot, column, window) in &self.wanted {
            let value = match column {
                Column::Step => self.step.map(|step| step as f64 / UNIT),
                Column::Horizon => self.path.value(window),
                Column::Volatility => {
                    let n = self.returns.count(window);
                    self.returns.totals(window).deviation(n).map(|deviation| deviation / UNIT)
                }
                Column::Variance => {
                    Some(self.returns.totals(window).squares.float() / (UNIT * UNIT))
                }
                Column::Velocity => self.velocity(),
                Column::Acceleration => self.acceleration(),
                Column::Autocovariance => {
                    if context.book_step {
                        slots.step(slot);
                    }
                    if let Some(product) = self.mean_product_x1e6(window) {
                        slots.rounded(slot, product);
                    }
                    continue;
                }
            };
            slots.opt_f64(slot, value);
        }
    }

    fn reset(&mut self) {
        self.forget();
        (self.step, self.clamped) = (None, false);
        self.returns.clear();
    }

    fn save(&self, out: &mut StateWriter) {
        out.opt_i64(self.last_x2);
        out.opt_i64(self.step);
        out.u64(self.last_change.is_some().into());
        out.i128(self.last_change.unwrap_or_default());
        for point in self.points {
            out.opt_i64(point.map(|point| point.t_ns));
            out.i64(point.map_or(0, |point| point.mid_x2));
        }
        self.returns.save(out);
        self.products.save(out);
        self.path.save(out);
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.reset();
        (self.last_x2, self.step) = (from.opt_i64()?, from.opt_i64()?);
        let some = from.bool("last change")?;
        let change = from.i128()?;
        self.last_change = some.then_some(change);
        for point in &mut self.points {
            let (t_ns, mid_x2) = (from.opt_i64()?, from.i64()?);
            *point = t_ns.map(|t_ns| Point { t_ns, mid_x2 });
        }
        self.returns.load(from)?;
        self.products.load(from)?;
        self.path.load(from)
    }
}

impl Returns {
    /// Forgets what a later value would be computed from.
    fn forget(&mut self) {
        (self.last_x2, self.last_change, self.points) = (None, None, [None; 3]);
        self.products.clear();
        self.path.clear();
    }

    fn velocity(&self) -> Option<f64> {
        let [Some(now), Some(before), _] = self.points else { return None };
        let (change, elapsed_ns) = now.since(before);
        ratio(change * 1_000_000_000, 2 * pow10(self.price_scale) * elapsed_ns)
    }

    fn acceleration(&self) -> Option<f64> {
        let [Some(now), Some(middle), Some(before)] = self.points else { return None };
        let (late, late_ns) = now.since(middle);
        let (early, early_ns) = middle.since(before);
        let turn = float(late * early_ns - early * late_ns);
        let times = (float(late_ns) * float(early_ns)) * float(late_ns + early_ns);
        Some(((turn / times) * 1e18) / float(pow10(self.price_scale)))
    }

    fn mean_product_x1e6(&self, window: usize) -> Option<f64> {
        let n = self.products.count(window);
        let sum = float(self.products.totals(window).0);
        (n >= 2).then(|| (sum * 1e6) / float(n.into()))
    }
}

/// A log return in units, and whether it was clamped to one; `None` where it has no value.
fn log_return(now_x2: i64, before_x2: i64) -> (Option<i64>, bool) {
    if now_x2 <= 0 || before_x2 <= 0 {
        return (None, false);
    }
    let units = det_ln(now_x2 as f64 / before_x2 as f64) * UNIT;
    let clamped = units.clamp(-UNIT, UNIT);
    let rounded = round_to_i64(clamped).unwrap_or_else(|| clamped.round_ties_even() as i64);
    (Some(rounded), clamped != units)
}
