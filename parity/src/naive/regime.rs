//! `specs/features/regime.md`: every book packet that a window can reach, looked through each time.

use std::collections::VecDeque;

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Quote, Scene, Value, number};
use super::steps::Moment;

/// What one feature remembers of the quotes.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Time and quotes of the book packets of the epoch, oldest first.
    seen: VecDeque<(i64, Quote)>,
    /// Since when the book is known.
    first_ns: Option<i64>,
    stands_since_ns: i64,
}

fn is_tight(quote: Quote, feature: &Feature, defect: Option<Defect>) -> bool {
    let spread = 2 * (quote.ask - quote.bid) * 1_000_000;
    let bound = i128::from(number(feature, "tight_ppm")) * (quote.ask + quote.bid);
    spread < bound || (spread == bound && defect != Some(Defect::TightIsBelow))
}

impl Past {
    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        if !moment.is_book || moment.is_frozen {
            return;
        }
        let quote = scene.quote;
        let stood = |(_, old): &(i64, Quote)| (old.bid, old.ask) == (quote.bid, quote.ask);
        let starts_anew = moment.is_gap && scene.defect != Some(Defect::SurvivesGap);
        if starts_anew || !self.seen.back().is_some_and(stood) {
            self.stands_since_ns = scene.now_ns;
        }
        self.first_ns.get_or_insert(scene.now_ns);
        if moment.is_gap && scene.defect != Some(Defect::TightAcrossGap) {
            self.first_ns = Some(scene.now_ns);
        }
        self.seen.push_back((scene.now_ns, quote));
        // A packet before the window still says what went on when the window began.
        let edge_ns = scene.now_ns - number(feature, "window_ns");
        while self.seen.len() > 2 && self.seen[1].0 <= edge_ns {
            self.seen.pop_front();
        }
    }

    /// Earlier spreads below the current one, and all of them.
    fn rank(&self, feature: &Feature, scene: &Scene<'_>) -> Option<(i128, i128)> {
        let edge_ns = scene.now_ns - number(feature, "window_ns");
        let (_, current) = self.seen.back()?;
        let is_own_past = scene.defect == Some(Defect::RankOfItself);
        let earlier = self.seen.iter().take(self.seen.len() - usize::from(!is_own_past));
        let spread = |quote: &Quote| quote.ask - quote.bid;
        let inside: Vec<i128> =
            earlier.filter(|(t_ns, _)| *t_ns > edge_ns).map(|(_, quote)| spread(quote)).collect();
        let below = inside.iter().filter(|earlier| **earlier < spread(current)).count();
        (!inside.is_empty()).then_some((below as i128, inside.len() as i128))
    }

    fn tight_fraction(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let window_ns = number(feature, "window_ns");
        let edge_ns = (scene.now_ns - window_ns).max(self.first_ns?);
        let ends = self.seen.iter().skip(1).map(|(t_ns, _)| *t_ns).chain([scene.now_ns]);
        let stretch = |((from_ns, quote), to_ns): (&(i64, Quote), i64)| {
            let counts = is_tight(*quote, feature, scene.defect);
            if counts { (to_ns - (*from_ns).max(edge_ns)).max(0) } else { 0 }
        };
        let tight_ns: i64 = self.seen.iter().zip(ends).map(stretch).sum();
        let is_whole = scene.defect == Some(Defect::TightOfWholeWindow);
        let covered_ns =
            if is_whole { window_ns } else { window_ns.min(scene.now_ns - self.first_ns?) };
        (covered_ns > 0).then(|| Value::Float(tight_ns as f64 / covered_ns as f64))
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        match feature.column.id {
            "spread_tight" => Some(Value::Int(is_tight(scene.quote, feature, scene.defect).into())),
            "spread_percentile" => {
                let (below, count) = self.rank(feature, scene)?;
                Some(Value::Float(below as f64 / count as f64))
            }
            "spread_regime" => {
                let (below, count) = self.rank(feature, scene)?;
                let bound = |key: &str| i128::from(number(feature, key)) * count;
                let wide = i128::from(100 * below >= bound("wide_pct"));
                Some(Value::Int(if 100 * below <= bound("tight_pct") { -1 } else { wide }))
            }
            "tight_fraction" => self.tight_fraction(feature, scene),
            "tob_survival_ms" => {
                let stands_ns = i128::from(scene.now_ns) - i128::from(self.stands_since_ns);
                Some(Value::Int(stands_ns.div_euclid(1_000_000)))
            }
            _ => None,
        }
    }
}
