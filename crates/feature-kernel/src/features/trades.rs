//! Trades and who crossed the spread in them (family `trades`).
//!
//! Spec: `specs/features/trades.md`. Reference and cases: `parity/reference`, `parity/cases/trades.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter, Trade};

use super::l1_column;
use crate::aggressor::Signer;
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, Reads, Scale};
use crate::numeric::{pow10, ratio};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Span, Totals, Windows};

/// Trades of this packet and of time windows.
#[derive(Debug, Clone)]
pub struct Trades {
    /// Slot, column, and window of each feature; the window is meaningless for columns without one.
    wanted: Vec<(usize, Column, usize)>,
    units: Units,
    signer: Signer,
    packet: Flow,
    windows: Windows<Flow>,
    /// Price in ticks and quantity in lots.
    last: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Count,
    Buy,
    Sell,
    Signed,
    CountSum,
    BuySum,
    SellSum,
    SignedSum,
    QtySum,
    Imbalance,
    Vwap,
    LastPrice,
    LastQty,
}

/// Sums over trades.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    trades: i128,
    buy: i128,
    sell: i128,
    qty: i128,
    notional: i128,
}

const PACKET: ColumnMeta = ColumnMeta {
    reads: Reads::Trades,
    behaviour: Behaviour::Step,
    warmup_min_events: 0,
    ..l1_column("", Dtype::I64, Scale::Qty, "quantity per packet", "")
};

const WINDOW: ColumnMeta = ColumnMeta {
    behaviour: Behaviour::Window,
    params: &["window_ns"],
    unit: "quantity per window",
    ..PACKET
};

const LAST: ColumnMeta =
    ColumnMeta { behaviour: Behaviour::Stateful, warmup_min_events: 1, ..PACKET };

impl Family for Trades {
    const META: FamilyMeta = FamilyMeta {
        slug: "trades",
        doc: "Trades and who crossed the spread in them.",
        source: "Ellis, Michaely and O'Hara (2000), The accuracy of trade classification rules",
        columns: &[
            ColumnMeta {
                id: "trade_count",
                name: "trade_count",
                scale: Scale::None,
                unit: "trades per packet",
                doc: "Trades of this packet.",
                ..PACKET
            },
            ColumnMeta {
                id: "buy_qty",
                name: "buy_qty",
                doc: "Quantity of this packet that buyers took.",
                ..PACKET
            },
            ColumnMeta {
                id: "sell_qty",
                name: "sell_qty",
                doc: "Quantity of this packet that sellers took.",
                ..PACKET
            },
            ColumnMeta {
                id: "signed_flow",
                name: "signed_flow",
                doc: "buy_qty minus sell_qty.",
                ..PACKET
            },
            ColumnMeta {
                id: "trade_count_sum",
                name: "trade_count_sum_{window_ns}ns",
                scale: Scale::None,
                unit: "trades per window",
                doc: "Trades of a time window (t-h, t].",
                ..WINDOW
            },
            ColumnMeta {
                id: "buy_qty_sum",
                name: "buy_qty_sum_{window_ns}ns",
                doc: "buy_qty over a time window (t-h, t].",
                ..WINDOW
            },
            ColumnMeta {
                id: "sell_qty_sum",
                name: "sell_qty_sum_{window_ns}ns",
                doc: "sell_qty over a time window (t-h, t].",
                ..WINDOW
            },
            ColumnMeta {
                id: "signed_flow_sum",
                name: "signed_flow_sum_{window_ns}ns",
                doc: "signed_flow over a time window (t-h, t].",
                ..WINDOW
            },
            ColumnMeta {
                id: "trade_qty_sum",
                name: "trade_qty_sum_{window_ns}ns",
                doc: "Quantity of all trades of a time window (t-h, t], whoever took it.",
                ..WINDOW
            },
            ColumnMeta {
                id: "tfi",
                name: "tfi_{window_ns}ns",
                dtype: Dtype::F64,
                scale: Scale::None,
                unit: "ratio in -1..1",
                doc: "Trade flow imbalance over a time window (t-h, t].",
                ..WINDOW
            },
            ColumnMeta {
                id: "vwap",
                name: "vwap_{window_ns}ns",
                dtype: Dtype::F64,
                scale: Scale::None,
                unit: "price",
                doc: "Mean trade price over a time window (t-h, t], weighted by quantity.",
                ..WINDOW
            },
            ColumnMeta {
                id: "last_trade_price",
                name: "last_trade_price",
                scale: Scale::Price,
                unit: "price",
                doc: "Price of the last trade.",
                ..LAST
            },
            ColumnMeta {
                id: "last_trade_qty",
                name: "last_trade_qty",
                unit: "quantity",
                doc: "Quantity of the last trade.",
                ..LAST
            },
        ],
        params: &[WINDOW_NS],
    };

    fn new(wanted: &[Wanted<'_>], units: Units) -> Self {
        const COLUMNS: [Column; 13] = [
            Column::Count,
            Column::Buy,
            Column::Sell,
            Column::Signed,
            Column::CountSum,
            Column::BuySum,
            Column::SellSum,
            Column::SignedSum,
            Column::QtySum,
            Column::Imbalance,
            Column::Vwap,
            Column::LastPrice,
            Column::LastQty,
        ];
        let mut windows = Windows::new();
        let wanted = wanted.iter().map(|(slot, f)| {
            let window = f
                .opt_param("window_ns")
                .map_or(0, |length_ns| windows.open(Span::Time { length_ns }, Flow::default()));
            (*slot, COLUMNS[f.column_index], window)
        });
        let wanted = wanted.collect();
        let (signer, packet) = (Signer::default(), Flow::default());
        Self { wanted, units, signer, packet, windows, last: None }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        self.packet = Flow::default();
        self.signer.open(context);
        if let Some(last) = context.trades.last() {
            for trade in context.trades {
                let sign = self.signer.sign(trade, context).sign;
                self.packet.take(trade, sign, self.units);
            }
            self.last = Some((last.price_ticks, last.qty_lots));
            self.windows.push(context.now_ns, self.packet);
        }
        self.signer.close(context);
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.windows.evict(context.now_ns);
        let stepped = !context.trades.is_empty();
        let Units { tick_scaled, lot_scaled, price_scale, .. } = self.units;
        let (packet, last) = (&self.packet, self.last);
        for &(slot, column, window) in &self.wanted {
            if stepped {
                slots.step(slot);
            }
            let sums = || self.windows.totals(window);
            let scaled = |x: i64, unit: i64| i128::from(x) * i128::from(unit);
            let value = match column {
                Column::Count => Some(packet.trades),
                Column::Buy => Some(packet.buy),
                Column::Sell => Some(packet.sell),
                Column::Signed => Some(packet.buy - packet.sell),
                Column::CountSum => Some(sums().trades),
                Column::BuySum => Some(sums().buy),
                Column::SellSum => Some(sums().sell),
                Column::SignedSum => Some(sums().buy - sums().sell),
                Column::QtySum => Some(sums().qty),
                Column::LastPrice => last.map(|(ticks, _)| scaled(ticks, tick_scaled)),
                Column::LastQty => last.map(|(_, lots)| scaled(lots, lot_scaled)),
                Column::Imbalance => {
                    let sums = sums();
                    slots.opt_f64(slot, ratio(sums.buy - sums.sell, sums.buy + sums.sell));
                    None
                }
                Column::Vwap => {
                    let sums = sums();
                    slots.opt_f64(slot, ratio(sums.notional, sums.qty * pow10(price_scale)));
                    None
                }
            };
            if let Some(value) = value {
                slots.i128(slot, value);
            }
        }
    }

    fn reset(&mut self) {
        (self.signer, self.packet, self.last) = (Signer::default(), Flow::default(), None);
        self.windows.clear();
    }

    fn save(&self, out: &mut StateWriter) {
        self.signer.save(out);
        Flow::save(&self.packet, out);
        out.opt_i64(self.last.map(|(ticks, _)| ticks));
        out.i64(self.last.map_or(0, |(_, lots)| lots));
        self.windows.save(out);
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.signer = Signer::load(from)?;
        self.packet = Flow::load(from)?;
        let (ticks, lots) = (from.opt_i64()?, from.i64()?);
        self.last = ticks.map(|ticks| (ticks, lots));
        self.windows.load(from)
    }
}

impl Flow {
    fn take(&mut self, trade: &Trade, sign: i128, units: Units) {
        let qty = i128::from(trade.qty_lots) * i128::from(units.lot_scaled);
        let price = i128::from(trade.price_ticks) * i128::from(units.tick_scaled);
        self.trades += 1;
        self.buy += if sign > 0 { qty } else { 0 };
        self.sell += if sign < 0 { qty } else { 0 };
        self.qty += qty;
        self.notional += price * qty;
    }
}

impl Totals for Flow {
    type Entry = Self;

    const ENTRY_BYTES: usize = 80;

    fn add(&mut self, _number: u64, entry: &Self) {
        self.trades += entry.trades;
        self.buy += entry.buy;
        self.sell += entry.sell;
        self.qty += entry.qty;
        self.notional += entry.notional;
    }

    fn remove(&mut self, _number: u64, entry: &Self) {
        self.trades -= entry.trades;
        self.buy -= entry.buy;
        self.sell -= entry.sell;
        self.qty -= entry.qty;
        self.notional -= entry.notional;
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn save(entry: &Self, out: &mut StateWriter) {
        for sum in [entry.trades, entry.buy, entry.sell, entry.qty, entry.notional] {
            out.i128(sum);
        }
    }

    fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(Self {
            trades: from.i128()?,
            buy: from.i128()?,
            sell: from.i128()?,
            qty: from.i128()?,
            notional: from.i128()?,
        })
    }
}
