//! The order flow: queue-reactive, with self-exciting trades.
//!
//! Orders are added and cancelled at distances from the touch that follow a mixture with a heavy
//! tail; whether an order is added or cancelled depends on the queue compared with a humped target
//! profile, and at the touch on the queue of the other side (Huang, Lehalle, Rosenbaum 2015). Trades
//! excite further trades of their side. The price moves when a queue is empty and the gap is filled
//! by one side or the other. Probabilities are out of 65,536.

use market_model::{Aggressor, Trade};

use super::book::{ASK, BID, Book};
use super::rng::Rng;

/// Probability of a market order in a quiet market.
const TRADE_BASE: i64 = 900;
/// What a trade adds to the probability of its own side and of the other side.
const EXCITE: [i64; 2] = [1_100, 250];
/// Probability that the mood changes: every 7 seconds of the default market.
const MOOD_SWING: i64 = 12;
/// Excitation decays by `2^-5` per event: together 0.66 further trades per trade.
const DECAY_SHIFT: u32 = 5;

#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) book: Book,
    pub(super) rng: Rng,
    /// Trades of the last event.
    pub(super) trades: Vec<Trade>,
    excitement: [i64; 2],
    /// Out of 256, how much more buyers than sellers are willing now; it holds for some seconds.
    mood: i64,
    reach: i64,
    floor: i64,
}

impl Flow {
    pub(super) fn new(seed: u64, start_ticks: i64, reach: i64) -> Self {
        let mut flow = Self {
            book: Book::new(start_ticks, reach),
            rng: Rng::new(seed),
            trades: Vec::new(),
            excitement: [0; 2],
            mood: 0,
            reach,
            floor: reach + 1_024,
        };
        for distance in 0..reach {
            for side in [BID, ASK] {
                let tick =
                    flow.book.price(side, 0) + if side == BID { -distance } else { distance };
                let lots = flow.order_lots(distance, tick);
                if distance == 0 || flow.populates(distance, tick) {
                    flow.book.set(side, tick, lots);
                }
            }
        }
        flow
    }

    /// How much faster than usual the market runs now, 1 to 8.
    pub(super) fn pace(&self) -> u64 {
        let excitement = self.excitement[BID] + self.excitement[ASK];
        (1 + excitement / 2_000).clamp(1, 8).cast_unsigned()
    }

    /// One event: a market order, or an order added or cancelled.
    pub(super) fn step(&mut self) {
        self.trades.clear();
        for excitement in &mut self.excitement {
            *excitement -= *excitement >> DECAY_SHIFT;
        }
        let draw = self.rng.below_i64(1 << 16);
        if draw < MOOD_SWING {
            self.mood = self.rng.below_i64(401) - 200;
        }
        let draw = self.rng.below_i64(1 << 16);
        let both = self.excitement[BID] + self.excitement[ASK];
        if draw < TRADE_BASE + both {
            self.market_order(draw);
        } else {
            self.limit_order();
        }
    }

    fn market_order(&mut self, draw: i64) {
        let [bid, ask] = [BID, ASK].map(|side| self.book.top(side));
        // A thin queue is more likely to be hit than a thick one.
        let buys = if draw < TRADE_BASE {
            let buyers = (bid.qty_lots + 50) * (256 + self.mood);
            let sellers = (ask.qty_lots + 50) * (256 - self.mood);
            self.rng.chance(buyers, buyers + sellers)
        } else {
            draw - TRADE_BASE < self.excitement[BID]
        };
        let buys = buys || bid.price_ticks < self.floor;
        let (taken, aggressor, own) =
            if buys { (ASK, Aggressor::Buy, BID) } else { (BID, Aggressor::Sell, ASK) };
        self.excitement[own] += EXCITE[0];
        self.excitement[1 - own] += EXCITE[1];
        let mut left = self.rng.pareto(6);
        // Traders watch the queue: some orders take exactly what is there.
        if self.rng.below(16) == 0 {
            left = left.max(self.book.top(taken).qty_lots.min(2_500));
        }
        while left > 0 && self.trades.len() < 8 {
            let level = self.book.top(taken);
            let lots = left.min(level.qty_lots);
            if lots == 0 {
                break;
            }
            self.trades.push(Trade { price_ticks: level.price_ticks, qty_lots: lots, aggressor });
            self.book.set(taken, level.price_ticks, level.qty_lots - lots);
            left -= lots;
        }
    }

    fn limit_order(&mut self) {
        let side = usize::from(self.rng.below(2) == 1);
        let distance = self.distance();
        let spread = self.book.best(ASK) - self.book.best(BID);
        if distance == 0 && spread > 1 && self.rng.below(8) < 6 {
            let is_moved = self.rng.below_i64(256) < self.mood.abs();
            let side = if is_moved { usize::from(self.mood < 0) } else { side };
            self.improve(side, spread);
            return;
        }
        let tick = self.book.price(side, distance);
        let lots = self.book.lots(side, tick);
        if lots == 0 {
            if self.populates(distance, tick) {
                let added = self.order_lots(distance, tick);
                self.book.set(side, tick, added);
            }
            return;
        }
        let target = profile(distance) * popularity(tick);
        // At the touch a strong other side makes orders leave: that is how the price gets going.
        let pressure =
            if distance == 0 { self.book.top(1 - side).qty_lots.min(3 * target) / 2 } else { 0 };
        if self.rng.chance(target + lots / 2, target + lots + lots / 2 + pressure) {
            let added = self.order_lots(distance, tick) / 2 + 1;
            self.book.set(side, tick, lots + added);
        } else {
            let part = if self.rng.below(3) == 0 { lots } else { self.rng.pareto(target / 8 + 1) };
            // The touch is emptied by trades, and by the last few who leave.
            let part = if distance == 0 { part.min(lots / 3 + 8) } else { part };
            self.book.set(side, tick, (lots - part).max(0));
        }
    }

    /// An order inside the spread; the wider it is, the larger the steps.
    fn improve(&mut self, side: usize, spread: i64) {
        let step = 1 + self.rng.below_i64(spread / 2);
        let tick = self.book.price(side, -step);
        if step < spread && !(side == ASK && tick < self.floor) {
            let lots = 1 + self.order_lots(0, tick) / 3;
            self.book.set(side, tick, lots);
        }
    }

    /// Distance of an order from the best price, in ticks.
    fn distance(&mut self) -> i64 {
        match self.rng.below(256) {
            0..90 => 0,
            90..130 => 1 + self.rng.below_i64(4),
            130..200 => 1 + self.rng.below_i64(60),
            _ => {
                let most = u64::from(self.reach.ilog2());
                let base = 1_i64 << self.rng.below(most);
                (base + self.rng.below_i64(base)).min(self.reach)
            }
        }
    }

    /// Whether an empty level gets an order: nearly all do at the touch, a third far away.
    fn populates(&mut self, distance: i64, tick: i64) -> bool {
        let weight = 80 + 170 * 16 / (16 + distance);
        self.rng.below_i64(256) < weight * popularity(tick).min(2)
    }

    /// Lots of one order: heavy-tailed around the profile.
    fn order_lots(&mut self, distance: i64, tick: i64) -> i64 {
        let scale = profile(distance) * popularity(tick) / 2;
        let small = self.rng.below(3) == 0;
        let lots = if small {
            1 + self.rng.below_i64(scale / 8 + 2)
        } else {
            self.rng.pareto(scale / 4 + 1)
        };
        lots.clamp(1, 5_000_000)
    }
}

/// Typical lots of a queue by distance from the touch: low behind the touch, a hump, a long decay.
fn profile(distance: i64) -> i64 {
    match distance {
        0 => 700,
        1..8 => 150 + 90 * distance,
        8..40 => 850,
        _ => 80 + 770 * 40 / distance,
    }
}

/// People like round prices.
const fn popularity(tick: i64) -> i64 {
    if tick % 100 == 0 {
        4
    } else if tick % 10 == 0 {
        2
    } else {
        1
    }
}
