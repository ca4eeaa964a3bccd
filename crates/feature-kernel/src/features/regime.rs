//! Whether the market is calm (family `regime`).
//!
//! Spec: `specs/features/regime.md`. Reference and cases: `parity/reference`, `parity/cases/regime.toml`.

use std::collections::VecDeque;

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Quotes, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Scale};
use crate::numeric::{float, ratio};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

const NS_PER_MS: i64 = 1_000_000;

/// How tight the spread is, by a threshold and against its own past, and how long the quotes stand.
#[derive(Debug, Clone)]
pub struct Regime {
    columns: Vec<(usize, Column)>,
    ranks: Vec<Ranks>,
    spells: Vec<Spells>,
    /// Time and spread of the last book packet.
    current: Option<(i64, i64)>,
    /// Time of the first book packet of the epoch, or of the last gap step.
    first_ns: Option<i64>,
    /// Best prices, and since when they stand.
    standing: Option<Standing>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    IsTight { tight_ppm: i64 },
    Percentile { ranks: usize },
    State { ranks: usize, tight_pct: i64, wide_pct: i64 },
    TightFraction { spells: usize },
    Survival,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    bid: i64,
    ask: i64,
    since_ns: i64,
}

const WINDOW: ColumnMeta = ColumnMeta {
    behaviour: Behaviour::Window,
    warmup_min_events: 2,
    ..l1_column("", Dtype::F64, Scale::None, "ratio in 0..1", "")
};

impl Family for Regime {
    const META: FamilyMeta = FamilyMeta {
        slug: "regime",
        doc: "How tight the spread is, and how long the best prices stand.",
        source: "thresholds and ranks; survival of the touch as in lob_shared_v2",
        columns: &[
            ColumnMeta {
                name: "spread_tight_{tight_ppm}ppm",
                params: &["tight_ppm"],
                ..l1_column(
                    "spread_tight",
                    Dtype::U32,
                    Scale::None,
                    "0 or 1",
                    "1 when the spread is at most tight_ppm of the mid.",
                )
            },
            ColumnMeta {
                id: "spread_percentile",
                name: "spread_percentile_{window_ns}ns",
                params: &["window_ns"],
                doc: "Share of the earlier spreads of the window that were below this one.",
                ..WINDOW
            },
            ColumnMeta {
                id: "spread_regime",
                name: "spread_regime_{tight_pct}_{wide_pct}_{window_ns}ns",
                dtype: Dtype::I64,
                unit: "-1 tight, 0, 1 wide",
                params: &["tight_pct", "wide_pct", "window_ns"],
                doc: "The percentile against two bounds.",
                ..WINDOW
            },
            ColumnMeta {
                rev: 2,
                id: "tight_fraction",
                name: "tight_fraction_{tight_ppm}ppm_{window_ns}ns",
                params: &["tight_ppm", "window_ns"],
                doc: "Share of the time of the window in which the spread was tight.",
                ..WINDOW
            },
            ColumnMeta {
                behaviour: Behaviour::Stateful,
                warmup_min_events: 2,
                ..l1_column(
                    "tob_survival_ms",
                    Dtype::I64,
                    Scale::None,
                    "ms",
                    "Whole milliseconds for which both best prices have stood.",
                )
            },
        ],
        params: &[
            ParamMeta {
                key: "tight_ppm",
                kind: ParamKind::Int { min: 0, max: 1_000_000, default: Some(100) },
                doc: "Largest tight spread in millionths of the mid.",
            },
            ParamMeta {
                key: "tight_pct",
                kind: ParamKind::Int { min: 0, max: 100, default: Some(20) },
                doc: "Largest tight percentile.",
            },
            ParamMeta {
                key: "wide_pct",
                kind: ParamKind::Int { min: 0, max: 100, default: Some(80) },
                doc: "Smallest wide percentile; above tight_pct.",
            },
            WINDOW_NS,
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let (mut ranks, mut spells): (Vec<Ranks>, Vec<Spells>) = (Vec::new(), Vec::new());
        let mut columns = Vec::new();
        for (slot, f) in wanted {
            let mut ranks_of = |window_ns: i64| {
                let known = ranks.iter().position(|known| known.window_ns == window_ns);
                known.unwrap_or_else(|| {
                    ranks.push(Ranks::new(window_ns));
                    ranks.len() - 1
                })
            };
            let column = match f.column_index {
                0 => Column::IsTight { tight_ppm: f.wide_param("tight_ppm") },
                1 => Column::Percentile { ranks: ranks_of(f.wide_param("window_ns")) },
                2 => Column::State {
                    ranks: ranks_of(f.wide_param("window_ns")),
                    tight_pct: f.wide_param("tight_pct"),
                    wide_pct: f.wide_param("wide_pct"),
                },
                3 => {
                    spells.push(Spells::new(f.wide_param("tight_ppm"), f.wide_param("window_ns")));
                    Column::TightFraction { spells: spells.len() - 1 }
                }
                _ => Column::Survival,
            };
            columns.push((*slot, column));
        }
        Self { columns, ranks, spells, current: None, first_ns: None, standing: None }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            return;
        }
        let (now_ns, quotes) = (context.now_ns, &context.quotes);
        if let Some((t_ns, spread)) = self.current.replace((now_ns, quotes.ask - quotes.bid)) {
            self.ranks.iter_mut().for_each(|ranks| ranks.push(t_ns, spread));
        }
        if context.gap_step {
            // Nobody saw whether the spread was tight while packets were missing.
            self.spells.iter_mut().for_each(Spells::clear);
            self.first_ns = None;
        }
        for spells in &mut self.spells {
            spells.mark(now_ns, is_tight(quotes, spells.tight_ppm));
        }
        self.first_ns.get_or_insert(now_ns);
        let (bid, ask) = (quotes.bid, quotes.ask);
        let stands = self.standing.is_some_and(|old| (old.bid, old.ask) == (bid, ask));
        if !stands || context.gap_step {
            self.standing = Some(Standing { bid, ask, since_ns: now_ns });
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let now_ns = context.now_ns;
        self.ranks.iter_mut().for_each(|ranks| ranks.evict(now_ns));
        let spread = self.current.map_or(0, |(_, spread)| spread);
        for &(slot, column) in &self.columns {
            match column {
                Column::IsTight { tight_ppm } => {
                    slots.u32(slot, is_tight(&context.quotes, tight_ppm).into());
                }
                Column::Percentile { ranks } => {
                    let (below, all) = self.ranks[ranks].below(spread);
                    slots.opt_f64(slot, ratio(below, all));
                }
                Column::State { ranks, tight_pct, wide_pct } => {
                    let (below, all) = self.ranks[ranks].below(spread);
                    let is_tight = 100 * below <= i128::from(tight_pct) * all;
                    let is_wide = 100 * below >= i128::from(wide_pct) * all;
                    if all > 0 {
                        slots.i64(slot, if is_tight { -1 } else { is_wide.into() });
                    }
                }
                Column::TightFraction { spells } => {
                    let spells = &mut self.spells[spells];
                    let Some(first_ns) = self.first_ns else { continue };
                    let covered_ns = spells.window_ns.min(now_ns - first_ns);
                    if covered_ns > 0 {
                        let tight_ns = float(spells.tight_ns(now_ns).into());
                        slots.f64(slot, tight_ns / float(covered_ns.into()));
                    }
                }
                Column::Survival => {
                    if let Some(standing) = self.standing {
                        slots.i64(slot, (now_ns - standing.since_ns) / NS_PER_MS);
                    }
                }
            }
        }
    }

    fn reset(&mut self) {
        self.ranks.iter_mut().for_each(Ranks::clear);
        self.spells.iter_mut().for_each(Spells::clear);
        (self.current, self.first_ns, self.standing) = (None, None, None);
    }

    fn save(&self, out: &mut StateWriter) {
        let (t_ns, spread) = self.current.unwrap_or_default();
        out.opt_i64(self.current.map(|_| t_ns));
        out.i64(spread);
        out.opt_i64(self.first_ns);
        let standing = self.standing.unwrap_or(Standing { bid: 0, ask: 0, since_ns: 0 });
        out.opt_i64(self.standing.map(|standing| standing.since_ns));
        out.i64(standing.bid);
        out.i64(standing.ask);
        self.ranks.iter().for_each(|ranks| save_pairs(&ranks.earlier, out));
        for spells in &self.spells {
            save_pairs(&spells.over, out);
            out.opt_i64(spells.since_ns);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.reset();
        let (t_ns, spread) = (from.opt_i64()?, from.i64()?);
        self.current = t_ns.map(|t_ns| (t_ns, spread));
        self.first_ns = from.opt_i64()?;
        let (since_ns, bid, ask) = (from.opt_i64()?, from.i64()?, from.i64()?);
        self.standing = since_ns.map(|since_ns| Standing { bid, ask, since_ns });
        for ranks in &mut self.ranks {
            load_pairs(from, |t_ns, spread| ranks.push(t_ns, spread))?;
        }
        for spells in &mut self.spells {
            load_pairs(from, |from_ns, to_ns| spells.close(from_ns, to_ns))?;
            spells.since_ns = from.opt_i64()?;
        }
        Ok(())
    }
}

/// `2*(a - b)*10^6 <= ppm*(a + b)`.
fn is_tight(quotes: &Quotes, tight_ppm: i64) -> bool {
    let (bid, ask) = (i128::from(quotes.bid), i128::from(quotes.ask));
    2 * (ask - bid) * 1_000_000 <= i128::from(tight_ppm) * (ask + bid)
}

fn save_pairs(pairs: &VecDeque<(i64, i64)>, out: &mut StateWriter) {
    out.u64(pairs.len() as u64);
    for (a, b) in pairs {
        out.i64(*a);
        out.i64(*b);
    }
}

fn load_pairs(
    from: &mut StateReader<'_>,
    mut take: impl FnMut(i64, i64),
) -> Result<(), StateError> {
    for _ in 0..from.count("regime", 16)? {
        take(from.i64()?, from.i64()?);
    }
    Ok(())
}

/// The spreads of a window before the current one, countable by size. A market shows few different
/// spreads, so a sorted list of counts is short.
#[derive(Debug, Clone)]
struct Ranks {
    window_ns: i64,
    /// Time and spread, oldest first.
    earlier: VecDeque<(i64, i64)>,
    /// Spread and how often it occurs, ascending.
    counts: Vec<(i64, i64)>,
}

impl Ranks {
    fn new(window_ns: i64) -> Self {
        Self { window_ns, earlier: VecDeque::new(), counts: Vec::new() }
    }

    fn clear(&mut self) {
        self.earlier.clear();
        self.counts.clear();
    }

    fn push(&mut self, t_ns: i64, spread: i64) {
        self.earlier.push_back((t_ns, spread));
        match self.counts.binary_search_by_key(&spread, |(known, _)| *known) {
            Ok(at) => self.counts[at].1 += 1,
            Err(at) => self.counts.insert(at, (spread, 1)),
        }
    }

    fn evict(&mut self, now_ns: i64) {
        let edge_ns = now_ns - self.window_ns;
        while let Some(&(_, spread)) = self.earlier.front().filter(|(t_ns, _)| *t_ns <= edge_ns) {
            self.earlier.pop_front();
            if let Ok(at) = self.counts.binary_search_by_key(&spread, |(known, _)| *known) {
                self.counts[at].1 -= 1;
                if self.counts[at].1 == 0 {
                    self.counts.remove(at);
                }
            }
        }
    }

    /// Earlier spreads below this one, and all of them.
    fn below(&self, spread: i64) -> (i128, i128) {
        let smaller = self.counts.iter().take_while(|(known, _)| *known < spread);
        let below: i64 = smaller.map(|(_, count)| count).sum();
        (below.into(), self.earlier.len() as i128)
    }
}

/// The stretches of time in which the spread was tight.
#[derive(Debug, Clone)]
struct Spells {
    tight_ppm: i64,
    window_ns: i64,
    /// Start and end of those that are over, oldest first.
    over: VecDeque<(i64, i64)>,
    /// Length of those together.
    over_ns: i64,
    /// Start of the one that goes on.
    since_ns: Option<i64>,
}

impl Spells {
    fn new(tight_ppm: i64, window_ns: i64) -> Self {
        Self { tight_ppm, window_ns, over: VecDeque::new(), over_ns: 0, since_ns: None }
    }

    fn clear(&mut self) {
        self.over.clear();
        (self.over_ns, self.since_ns) = (0, None);
    }

    fn close(&mut self, from_ns: i64, to_ns: i64) {
        self.over.push_back((from_ns, to_ns));
        self.over_ns += to_ns - from_ns;
    }

    fn mark(&mut self, now_ns: i64, is_tight: bool) {
        match (self.since_ns, is_tight) {
            (None, true) => self.since_ns = Some(now_ns),
            (Some(since_ns), false) => {
                self.close(since_ns, now_ns);
                self.since_ns = None;
            }
            _ => {}
        }
    }

    /// Tight time inside the window, ns.
    fn tight_ns(&mut self, now_ns: i64) -> i64 {
        let edge_ns = now_ns - self.window_ns;
        while let Some(&(from_ns, to_ns)) = self.over.front().filter(|(_, to_ns)| *to_ns <= edge_ns)
        {
            self.over.pop_front();
            self.over_ns -= to_ns - from_ns;
        }
        let outside_ns = self.over.front().map_or(0, |(from_ns, _)| (edge_ns - from_ns).max(0));
        let open_ns = self.since_ns.map_or(0, |since_ns| now_ns - since_ns.max(edge_ns));
        self.over_ns - outside_ns + open_ns
    }
}
