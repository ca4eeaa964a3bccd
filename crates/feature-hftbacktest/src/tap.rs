//! The local side of an asset, with the features beside it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use feature_runtime::FeatureEngine;
use hftbacktest::backtest::BacktestError;
use hftbacktest::backtest::proc::{LocalProcessor, Processor};
use hftbacktest::depth::MarketDepth;
use hftbacktest::types::{Event, OrdType, Order, OrderId, Side, StateValues, TimeInForce};
use market_io::hftbacktest::{Row, RowDecoder, Stop};
use market_model::{Instrument, Packet, Sequencing};

use crate::error::Error;

/// Rows of one asset on their way to the engine.
#[derive(Debug)]
pub(crate) struct Asset {
    symbol: String,
    symbol_id: u32,
    decoder: RowDecoder,
    /// Whether the engine knows that the rows carry update ids, or that they do not.
    is_settled: bool,
    /// Rows of the packet that is still open.
    rows: Vec<Row>,
    packet: Packet,
    /// The book before the first row; it takes the times of the first packet.
    initial: Option<Packet>,
    /// Local time of the last packet of a live bot, whose clock may step back.
    #[cfg(feature = "live")]
    last_local_ts_ns: i64,
}

/// What the taps of one backtest share.
pub(crate) struct Shared {
    pub(crate) engine: FeatureEngine,
    pub(crate) assets: Vec<Asset>,
    /// A message of a live bot is not complete: a question then does not end its packet.
    pub(crate) in_batch: bool,
}

pub(crate) fn row(event: &Event) -> Row {
    Row {
        ev: event.ev,
        exch_ts_ns: event.exch_ts,
        local_ts_ns: event.local_ts,
        px: event.px,
        qty: event.qty,
        order_id: event.order_id,
        ival: event.ival,
        fval: event.fval,
    }
}

impl Asset {
    pub(crate) fn new(instrument: &Instrument, initial: Option<&[Row]>) -> Result<Self, Error> {
        let decoder = RowDecoder::new(instrument);
        let symbol = instrument.symbol.clone();
        let initial = match initial.map(|rows| decoder.initial_book(rows.iter().copied())) {
            None => None,
            Some(Ok(packet)) => Some(packet),
            Some(Err((row, fault))) => return Err(Error::InitialBook { symbol, row, fault }),
        };
        let symbol_id = instrument.symbol_id;
        let (rows, packet) = (Vec::new(), Packet::default());
        Ok(Self {
            symbol,
            symbol_id,
            decoder,
            is_settled: false,
            rows,
            packet,
            initial,
            #[cfg(feature = "live")]
            last_local_ts_ns: 0,
        })
    }

    /// Hands the open packet to the engine.
    pub(crate) fn commit(&mut self, engine: &mut FeatureEngine) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.packet.clear();
        let mut start = 0;
        loop {
            let (taken, stop) = self.decoder.take(&self.rows[start..], &mut self.packet);
            start += taken;
            match stop {
                // The rows are of one local time.
                None | Some(Stop::PacketEnd) => break,
                Some(Stop::Refused(_)) => {}
                Some(Stop::Fatal(fault)) => {
                    let local_ts_ns = self.rows[start].local_ts_ns;
                    self.rows.clear();
                    return Err(Error::Row { symbol: self.symbol.clone(), local_ts_ns, fault });
                }
            }
        }
        self.rows.clear();
        if !self.is_settled
            && let Some(has_ids) = self.decoder.has_ids()
        {
            self.is_settled = true;
            if has_ids {
                engine.set_sequencing(self.symbol_id, Sequencing::Venue)?;
            }
        }
        if !self.decoder.finish(&mut self.packet) {
            return Ok(());
        }
        if let Some(mut initial) = self.initial.take() {
            initial.ts_event_ns = self.packet.ts_event_ns;
            initial.ts_recv_ns = self.packet.ts_recv_ns;
            engine.process(&initial)?;
        }
        engine.process(&self.packet)?;
        Ok(())
    }
}

#[cfg(feature = "live")]
impl Asset {
    /// Adds a row to the open packet, under the local time of its first row.
    pub(crate) fn push_live(&mut self, event: &Event) {
        if self.rows.is_empty() {
            self.last_local_ts_ns = self.last_local_ts_ns.max(event.local_ts);
        }
        self.rows.push(Row { local_ts_ns: self.last_local_ts_ns, ..row(event) });
    }

    /// Drops the open packet.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
    }
}

impl Shared {
    /// Takes a row; one of another local time first completes the packet before it.
    #[inline]
    fn push(&mut self, asset: usize, event: &Event) -> Result<(), Error> {
        let Self { engine, assets, .. } = self;
        let asset = &mut assets[asset];
        if asset.rows.first().is_some_and(|open| open.local_ts_ns != event.local_ts) {
            asset.commit(engine)?;
        }
        asset.rows.push(row(event));
        Ok(())
    }

    /// Completes the open packets of all assets.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        if self.in_batch {
            return Ok(());
        }
        self.assets.iter_mut().try_for_each(|asset| asset.commit(&mut self.engine))
    }
}

pub(crate) fn backtest_error(error: Error) -> BacktestError {
    BacktestError::DataError(io::Error::other(error))
}

/// A local processor that shows every row to the features before it takes it.
pub(crate) struct TapLocal<MD> {
    pub(crate) inner: Box<dyn LocalProcessor<MD>>,
    pub(crate) shared: Rc<RefCell<Shared>>,
    pub(crate) asset: usize,
}

impl<MD: MarketDepth> Processor for TapLocal<MD> {
    fn event_seen_timestamp(&self, event: &Event) -> Option<i64> {
        self.inner.event_seen_timestamp(event)
    }

    #[inline]
    fn process(&mut self, event: &Event) -> Result<(), BacktestError> {
        self.shared.borrow_mut().push(self.asset, event).map_err(backtest_error)?;
        self.inner.process(event)
    }

    // Responses to orders are no market events: they never reach the features.
    fn process_recv_order(
        &mut self,
        timestamp: i64,
        wait_resp_order_id: Option<OrderId>,
    ) -> Result<bool, BacktestError> {
        self.inner.process_recv_order(timestamp, wait_resp_order_id)
    }

    fn earliest_recv_order_timestamp(&self) -> i64 {
        self.inner.earliest_recv_order_timestamp()
    }

    fn earliest_send_order_timestamp(&self) -> i64 {
        self.inner.earliest_send_order_timestamp()
    }
}

impl<MD: MarketDepth> LocalProcessor<MD> for TapLocal<MD> {
    fn submit_order(
        &mut self,
        order_id: OrderId,
        side: Side,
        price: f64,
        qty: f64,
        order_type: OrdType,
        time_in_force: TimeInForce,
        current_timestamp: i64,
    ) -> Result<(), BacktestError> {
        let inner = &mut self.inner;
        inner.submit_order(order_id, side, price, qty, order_type, time_in_force, current_timestamp)
    }

    fn modify(
        &mut self,
        order_id: OrderId,
        price: f64,
        qty: f64,
        current_timestamp: i64,
    ) -> Result<(), BacktestError> {
        self.inner.modify(order_id, price, qty, current_timestamp)
    }

    fn cancel(&mut self, order_id: OrderId, current_timestamp: i64) -> Result<(), BacktestError> {
        self.inner.cancel(order_id, current_timestamp)
    }

    fn clear_inactive_orders(&mut self) {
        self.inner.clear_inactive_orders();
    }

    fn position(&self) -> f64 {
        self.inner.position()
    }

    fn state_values(&self) -> &StateValues {
        self.inner.state_values()
    }

    fn depth(&self) -> &MD {
        self.inner.depth()
    }

    #[allow(clippy::disallowed_types, reason = "the type that hftbacktest hands out")]
    fn orders(&self) -> &std::collections::HashMap<OrderId, Order> {
        self.inner.orders()
    }

    fn last_trades(&self) -> &[Event] {
        self.inner.last_trades()
    }

    fn clear_last_trades(&mut self) {
        self.inner.clear_last_trades();
    }

    fn feed_latency(&self) -> Option<(i64, i64)> {
        self.inner.feed_latency()
    }

    fn order_latency(&self) -> Option<(i64, i64, i64)> {
        self.inner.order_latency()
    }
}
