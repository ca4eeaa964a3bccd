//! How one-sided trading is (family `toxicity`).
//!
//! Spec: `specs/features/toxicity.md`. Reference and cases: `parity/reference`, `parity/cases/toxicity.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::aggressor::{Signed, Signer};
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{float, ratio};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Span, Sum, Windows};

/// Volume buckets and averages over signed trades.
#[derive(Debug, Clone)]
pub struct Toxicity {
    units: Units,
    signer: Signer,
    vpins: Vec<Vpin>,
    averages: Vec<Average>,
}

/// Buckets of equal volume.
#[derive(Debug, Clone)]
struct Vpin {
    slot: usize,
    bucket: i128,
    buckets: u64,
    /// What buyers and sellers put into the open bucket.
    buy: i128,
    sell: i128,
    /// Imbalances of the last complete buckets.
    imbalances: Windows<Sum>,
    /// Buckets that this packet completed.
    completed: u64,
}

/// Averages of signed and of whole volume.
#[derive(Debug, Clone, Copy)]
struct Average {
    slot: usize,
    in_thousandths: bool,
    weight: f64,
    /// Trades before which the integer column is 0.
    least: u64,
    trades: u64,
    signed: f64,
    whole: f64,
    /// Trades of this packet.
    stepped: u64,
}

const TOXICITY: ColumnMeta = ColumnMeta {
    reads: Reads::Trades,
    behaviour: Behaviour::Stateful,
    warmup_min_events: 0,
    ..l1_column("", Dtype::F64, Scale::None, "ratio in 0..1", "")
};

impl Family for Toxicity {
    const META: FamilyMeta = FamilyMeta {
        slug: "toxicity",
        doc: "How one-sided trading is.",
        source: "Easley, Lopez de Prado and O'Hara (2012), Flow toxicity and liquidity in a high-frequency world",
        columns: &[
            ColumnMeta {
                id: "vpin",
                name: "vpin_{bucket_scaled}_{buckets}",
                params: &["bucket_scaled", "buckets"],
                doc: "Imbalance of the last volume buckets over their volume.",
                ..TOXICITY
            },
            ColumnMeta {
                id: "toxicity_ema",
                name: "toxicity_ema_{trades}",
                params: &["trades"],
                doc: "Average signed over average volume of trades, weighted by confidence.",
                ..TOXICITY
            },
            ColumnMeta {
                id: "toxicity_ema_x1000",
                name: "toxicity_ema_x1000_{trades}",
                params: &["trades"],
                dtype: Dtype::I64,
                scale: Scale::Times(1_000),
                unit: "thousandths, 0..1000",
                doc: "toxicity_ema in thousandths; 0 before it has seen enough.",
                ..TOXICITY
            },
        ],
        params: &[
            ParamMeta {
                key: "bucket_scaled",
                kind: ParamKind::Int { min: 1, max: 9_007_199_254_740_991, default: None },
                doc: "Volume of a bucket in units of 10^-qty_scale.",
            },
            ParamMeta {
                key: "buckets",
                kind: ParamKind::Int { min: 1, max: 100_000, default: Some(50) },
                doc: "Complete buckets that are looked at.",
            },
            ParamMeta {
                key: "trades",
                kind: ParamKind::Int { min: 2, max: 1_000_000, default: Some(50) },
                doc: "Weight 2/trades of a new trade.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], units: Units) -> Self {
        let mut family =
            Self { units, signer: Signer::default(), vpins: Vec::new(), averages: Vec::new() };
        for &(slot, f) in wanted {
            if f.column_index == 0 {
                let buckets = f.wide_param("buckets").unsigned_abs();
                let bucket = f.wide_param("bucket_scaled").into();
                let mut imbalances = Windows::new();
                imbalances.open(Span::Count { entries: buckets }, Sum::default());
                let (buy, sell, completed) = (0, 0, 0);
                family.vpins.push(Vpin { slot, bucket, buckets, buy, sell, imbalances, completed });
            } else {
                let trades = f.wide_param("trades");
                family.averages.push(Average {
                    slot,
                    in_thousandths: f.column_index == 2,
                    weight: 2.0 / (trades as f64),
                    least: trades.unsigned_abs(),
                    trades: 0,
                    signed: 0.0,
                    whole: 0.0,
                    stepped: 0,
                });
            }
        }
        family
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        self.signer.open(context);
        if context.gap_step {
            self.vpins.iter_mut().for_each(Vpin::clear);
            self.averages.iter_mut().for_each(Average::clear);
        }
        self.vpins.iter_mut().for_each(|vpin| vpin.completed = 0);
        self.averages.iter_mut().for_each(|average| average.stepped = 0);
        for trade in context.trades {
            let signed = self.signer.sign(trade, context);
            let qty = i128::from(trade.qty_lots) * i128::from(self.units.lot_scaled);
            if signed.sign == 0 || qty <= 0 {
                continue;
            }
            self.vpins.iter_mut().for_each(|vpin| vpin.take(qty, signed.sign, context.now_ns));
            self.averages.iter_mut().for_each(|average| average.take(qty, signed));
        }
        self.signer.close(context);
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let is_packet = context.stamp.is_some();
        for vpin in &self.vpins {
            slots.steps(vpin.slot, if is_packet { vpin.completed } else { 0 });
            let (sum, n) = (vpin.imbalances.totals(0).0, vpin.imbalances.count(0));
            slots.opt_f64(vpin.slot, ratio(sum, i128::from(n) * vpin.bucket));
        }
        for average in &self.averages {
            slots.steps(average.slot, if is_packet { average.stepped } else { 0 });
            if average.in_thousandths {
                slots.rounded(average.slot, average.thousandths());
            } else {
                slots.opt_f64(average.slot, average.value());
            }
        }
    }

    fn reset(&mut self) {
        self.signer = Signer::default();
        self.vpins.iter_mut().for_each(Vpin::clear);
        self.averages.iter_mut().for_each(Average::clear);
    }

    fn save(&self, out: &mut StateWriter) {
        self.signer.save(out);
        for vpin in &self.vpins {
            out.i128(vpin.buy);
            out.i128(vpin.sell);
            vpin.imbalances.save(out);
        }
        for average in &self.averages {
            out.u64(average.trades);
            out.f64(average.signed);
            out.f64(average.whole);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.signer = Signer::load(from)?;
        for vpin in &mut self.vpins {
            (vpin.buy, vpin.sell) = (from.i128()?, from.i128()?);
            if vpin.buy < 0 || vpin.sell < 0 || vpin.buy + vpin.sell >= vpin.bucket {
                return Err(from.invalid("open bucket", &(vpin.buy + vpin.sell)));
            }
            vpin.imbalances.load(from)?;
        }
        for average in &mut self.averages {
            average.trades = from.u64()?;
            (average.signed, average.whole) = (from.f64()?, from.f64()?);
        }
        Ok(())
    }
}

impl Vpin {
    fn clear(&mut self) {
        (self.buy, self.sell, self.completed) = (0, 0, 0);
        self.imbalances.clear();
    }

    /// Puts a trade into buckets; it is split exactly where one is full.
    fn take(&mut self, qty: i128, sign: i128, now_ns: i64) {
        let room = self.bucket - self.buy - self.sell;
        if qty < room {
            self.put(qty, sign);
            return;
        }
        self.put(room, sign);
        self.imbalances.push(now_ns, (self.buy - self.sell).abs());
        (self.buy, self.sell) = (0, 0);
        let rest = qty - room;
        // Buckets of one side only; more than are looked at leave no trace but their number.
        let whole = u64::try_from(rest / self.bucket).unwrap_or(u64::MAX);
        (0..whole.min(self.buckets)).for_each(|_| self.imbalances.push(now_ns, self.bucket));
        self.completed = self.completed.saturating_add(1).saturating_add(whole);
        self.put(rest % self.bucket, sign);
    }

    fn put(&mut self, qty: i128, sign: i128) {
        let side = if sign > 0 { &mut self.buy } else { &mut self.sell };
        *side += qty;
    }
}

impl Average {
    fn clear(&mut self) {
        (self.trades, self.stepped, self.signed, self.whole) = (0, 0, 0.0, 0.0);
    }

    fn take(&mut self, qty: i128, Signed { sign, confidence }: Signed) {
        let volume = float(qty) * (f64::from(confidence) / 1_000.0);
        let signed = if sign > 0 { volume } else { -volume };
        self.signed = self.signed + self.weight * (signed - self.signed);
        self.whole = self.whole + self.weight * (volume - self.whole);
        self.trades += 1;
        self.stepped += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.trades > 0).then(|| (self.signed.abs() / self.whole).min(1.0))
    }

    fn thousandths(&self) -> f64 {
        let seen = self.trades >= self.least && self.whole >= 1.0;
        self.value().filter(|_| seen).map_or(0.0, |value| value * 1_000.0)
    }
}
