//! How one-sided trading is (`specs/features/toxicity.md`): trades laid end to end, cut into buckets when asked.

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Value, number, ratio};
use super::trades::Print;

/// Trades with a side since the last gap.
#[derive(Debug, Clone, Default)]
pub(super) struct Toxic {
    /// Where each trade starts and ends on the axis of volume, and its side.
    placed: Vec<(i128, i128, i128)>,
    volume: i128,
    trades: u64,
    signed: f64,
    whole: f64,
}

impl Toxic {
    /// Takes the trades of a packet; the number of steps that makes.
    pub(super) fn step(
        &mut self,
        feature: &Feature,
        packet: &[Print],
        defect: Option<Defect>,
    ) -> u64 {
        let size = i128::from(number(feature, "bucket_scaled")).max(1);
        let (volume_before, trades_before) = (self.volume, self.trades);
        for print in packet.iter().filter(|print| print.sign != 0) {
            self.placed.push((self.volume, self.volume + print.qty, print.sign));
            self.volume += print.qty;
            self.trades += 1;
            self.average(feature, print, defect);
        }
        if feature.column.id != "vpin" {
            return self.trades - trades_before;
        }
        let oldest = self.first_bucket(feature) * size;
        self.placed.retain(|(_, end, _)| *end > oldest);
        u64::try_from(self.volume / size - volume_before / size).unwrap_or(u64::MAX)
    }

    fn average(&mut self, feature: &Feature, print: &Print, defect: Option<Defect>) {
        let a = 2.0 / number(feature, "trades") as f64;
        let is_sure = defect == Some(Defect::ConfidenceIgnored);
        let confidence = if is_sure { 1_000 } else { print.confidence };
        let volume = print.qty as f64 * (f64::from(confidence) / 1_000.0);
        self.signed += a * (print.sign as f64 * volume - self.signed);
        self.whole += a * (volume - self.whole);
    }

    /// Number of the oldest bucket that is looked at.
    fn first_bucket(&self, feature: &Feature) -> i128 {
        let size = i128::from(number(feature, "bucket_scaled")).max(1);
        (self.volume / size - i128::from(number(feature, "buckets"))).max(0)
    }

    /// The value of a column of the family.
    pub(super) fn value(&self, feature: &Feature, defect: Option<Defect>) -> Option<Value> {
        let one_sided = (self.signed.abs() / self.whole).min(1.0);
        match feature.column.id {
            "vpin" => self.vpin(feature, defect),
            "toxicity_ema" => (self.trades > 0).then_some(Value::Float(one_sided)),
            _ => {
                let least = number(feature, "trades").unsigned_abs();
                let seen = self.trades >= least && self.whole >= 1.0;
                let thousandths = if seen { (one_sided * 1_000.0).round_ties_even() } else { 0.0 };
                Some(Value::Int(thousandths as i128))
            }
        }
    }

    fn vpin(&self, feature: &Feature, defect: Option<Defect>) -> Option<Value> {
        let size = i128::from(number(feature, "bucket_scaled"));
        let (first, end) = (self.first_bucket(feature), self.volume / size);
        let mut imbalance = 0;
        for bucket in first..end {
            let (from, to) = (bucket * size, (bucket + 1) * size);
            let part = |(start, end, sign): &(i128, i128, i128)| {
                // A lost split: the whole trade falls into the bucket in which it starts.
                let whole = if (from..to).contains(start) { end - start } else { 0 };
                let cut = (*end.min(&to) - *start.max(&from)).max(0);
                sign * if defect == Some(Defect::SplitLost) { whole } else { cut }
            };
            imbalance += self.placed.iter().map(part).sum::<i128>().abs();
        }
        let open = i128::from(defect == Some(Defect::OpenBucketCounts));
        ratio(imbalance, (end - first + open) * size)
    }
}
