//! Python sequences and NumPy arrays as levels, order events and trades of a packet.

use market_model::{
    Aggressor, BookOp, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind, Run, Side, Trade,
};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::convert::steps;
use crate::errors::config;

/// The grid on which a symbol's prices and quantities lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    price_scale: u8,
    tick_scaled: i64,
    qty_scale: u8,
    lot_scaled: i64,
}

impl From<&Instrument> for Grid {
    fn from(instrument: &Instrument) -> Self {
        let Instrument { price_scale, tick_scaled, qty_scale, lot_scaled, .. } = *instrument;
        Self { price_scale, tick_scaled, qty_scale, lot_scaled }
    }
}

impl Grid {
    fn price(&self, given: &Bound<'_, PyAny>) -> PyResult<i64> {
        steps(given, "price", self.price_scale, self.tick_scaled)
    }

    fn qty(&self, given: &Bound<'_, PyAny>) -> PyResult<i64> {
        steps(given, "quantity", self.qty_scale, self.lot_scaled)
    }

    /// Calls `push` with every `(price, quantity)` of a sequence of pairs or of an N x 2 array.
    pub(crate) fn levels(
        &self,
        given: &Bound<'_, PyAny>,
        push: &mut dyn FnMut(Level),
    ) -> PyResult<()> {
        if let Some(bytes) = int64_rows(given)? {
            let word = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap_or_default());
            let rows = bytes.as_bytes().chunks_exact(16);
            rows.for_each(|row| push(Level::new(word(&row[..8]), word(&row[8..]))));
            return Ok(());
        }
        for pair in given.try_iter()? {
            let [price, qty] = fields(&pair?)?;
            let (Some(price), Some(qty)) = (price, qty) else {
                return Err(PyTypeError::new_err("a level is a pair (price, quantity)"));
            };
            push(Level::new(self.price(&price)?, self.qty(&qty)?));
        }
        Ok(())
    }

    /// Appends a run that is exactly the one given, empty or not.
    pub(crate) fn run(
        &self,
        packet: &mut Packet,
        op: BookOp,
        given: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.levels(given, &mut |level| packet.levels.push(level))?;
        let end = u32::try_from(packet.levels.len())
            .map_err(|_| config("a packet has fewer than 2^32 levels"))?;
        packet.run_ends.push(Run { op, end });
        Ok(())
    }

    /// Appends runs given as pairs `(operation, levels)`.
    pub(crate) fn runs(&self, packet: &mut Packet, given: &Bound<'_, PyAny>) -> PyResult<()> {
        for pair in given.try_iter()? {
            let [Some(op), Some(levels)] = fields(&pair?)? else {
                return Err(PyTypeError::new_err("a run is a pair (operation, levels)"));
            };
            let op = op.cast::<PyString>()?.to_cow()?.as_ref().to_owned();
            self.run(packet, parse_op(&op)?, &levels)?;
        }
        Ok(())
    }

    /// Appends a clear: of a whole side for `True`, else up to a price.
    pub(crate) fn clear(
        &self,
        packet: &mut Packet,
        op: BookOp,
        given: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match given.extract::<bool>() {
            Ok(true) => packet.push_clear_side(op),
            Ok(false) => {}
            Err(_) => packet.push_level(op, Level::new(self.price(given)?, 0)),
        }
        Ok(())
    }

    /// Appends order events given as `(operation, id, side, price, quantity)`.
    pub(crate) fn orders(&self, packet: &mut Packet, given: &Bound<'_, PyAny>) -> PyResult<()> {
        for event in given.try_iter()? {
            let [Some(op), Some(id), Some(side), Some(price), Some(qty)] = fields(&event?)? else {
                let message = "an order event is (operation, id, side, price, quantity)";
                return Err(PyTypeError::new_err(message));
            };
            packet.orders.push(OrderEvent {
                order_id: id.extract()?,
                price_ticks: self.price(&price)?,
                qty_lots: self.qty(&qty)?,
                side: parse_side(&side.cast::<PyString>()?.to_cow()?)?,
                op: parse_order_op(&op.cast::<PyString>()?.to_cow()?)?,
            });
        }
        Ok(())
    }

    /// Appends trades given as `(price, quantity)` or `(price, quantity, side)`.
    pub(crate) fn trades(&self, packet: &mut Packet, given: &Bound<'_, PyAny>) -> PyResult<()> {
        for trade in given.try_iter()? {
            let [Some(price), Some(qty), side] = fields(&trade?)? else {
                let message = "a trade is (price, quantity) or (price, quantity, side)";
                return Err(PyTypeError::new_err(message));
            };
            let (price_ticks, qty_lots) = (self.price(&price)?, self.qty(&qty)?);
            if price_ticks < 1 || qty_lots < 1 {
                let message = format!(
                    "trade of {qty_lots} lots at {price_ticks} ticks: both must be positive"
                );
                return Err(config(&message));
            }
            let aggressor = match side.filter(|side| !side.is_none()) {
                None => Aggressor::Unknown,
                Some(side) => match side.cast::<PyString>()?.to_cow()?.as_ref() {
                    "buy" => Aggressor::Buy,
                    "sell" => Aggressor::Sell,
                    "unknown" => Aggressor::Unknown,
                    other => {
                        let shown = other.escape_default();
                        let message = format!("trade side `{shown}` is none of buy, sell, unknown");
                        return Err(config(&message));
                    }
                },
            };
            packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        }
        Ok(())
    }
}

/// A packet kind by name.
pub(crate) fn parse_kind(kind: &str) -> PyResult<PacketKind> {
    Ok(match kind {
        "delta" => PacketKind::Delta,
        "snapshot" => PacketKind::Snapshot,
        "reset" => PacketKind::Reset,
        "heartbeat" => PacketKind::Heartbeat,
        "rejected" => PacketKind::Rejected,
        "rejected_trade" => PacketKind::RejectedTrade,
        other => {
            let known = "delta, snapshot, reset, heartbeat, rejected, rejected_trade";
            return Err(config(&format!("kind `{}` is none of {known}", other.escape_default())));
        }
    })
}

fn parse_op(op: &str) -> PyResult<BookOp> {
    Ok(match op {
        "set_bid" => BookOp::SetBid,
        "set_ask" => BookOp::SetAsk,
        "clear_bid" => BookOp::ClearBid,
        "clear_ask" => BookOp::ClearAsk,
        other => {
            let known = "set_bid, set_ask, clear_bid, clear_ask";
            let shown = other.escape_default();
            return Err(config(&format!("book operation `{shown}` is none of {known}")));
        }
    })
}

fn parse_order_op(op: &str) -> PyResult<OrderOp> {
    Ok(match op {
        "add" => OrderOp::Add,
        "modify" => OrderOp::Modify,
        "cancel" => OrderOp::Cancel,
        "fill" => OrderOp::Fill,
        other => {
            let shown = other.escape_default();
            return Err(config(&format!(
                "order operation `{shown}` is none of add, modify, cancel, fill"
            )));
        }
    })
}

fn parse_side(side: &str) -> PyResult<Side> {
    Ok(match side {
        "bid" => Side::Bid,
        "ask" => Side::Ask,
        other => {
            let shown = other.escape_default();
            return Err(config(&format!("order side `{shown}` is none of bid, ask")));
        }
    })
}

/// The fields of a short row; a row that is too short leaves `None`, one that is too long is refused.
fn fields<'py, const N: usize>(
    row: &Bound<'py, PyAny>,
) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
    let mut out = [const { None }; N];
    let too_long = || PyTypeError::new_err(format!("expected {N} fields"));
    if let Ok(row) = row.cast::<PyTuple>() {
        for (index, field) in row.iter().enumerate() {
            *out.get_mut(index).ok_or_else(too_long)? = Some(field);
        }
    } else if let Ok(row) = row.cast::<PyList>() {
        for (index, field) in row.iter().enumerate() {
            *out.get_mut(index).ok_or_else(too_long)? = Some(field);
        }
    } else {
        for (index, field) in row.try_iter()?.enumerate() {
            *out.get_mut(index).ok_or_else(too_long)? = Some(field?);
        }
    }
    Ok(out)
}

/// The rows of a NumPy array as little-endian pairs of `i64`; `None` for anything that is no array.
fn int64_rows<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = given.py();
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        return Ok(None);
    }
    if !given.hasattr(intern!(py, "__array_interface__"))? {
        return Ok(None);
    }
    let dtype = given.getattr(intern!(py, "dtype"))?;
    let shape: Vec<usize> = given.getattr(intern!(py, "shape"))?.extract()?;
    if shape.len() != 2 || shape[1] != 2 {
        let message = format!("levels as an array have shape (N, 2), got {shape:?}");
        return Err(config(&message));
    }
    let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
    if kind != "i" && kind != "u" {
        let message = format!("levels as an array hold ticks and lots as integers, got {dtype}");
        return Err(PyTypeError::new_err(message));
    }
    let options = PyDict::new(py);
    options.set_item("casting", "safe")?;
    options.set_item("copy", false)?;
    let rows = given.call_method("astype", ("<i8",), Some(&options))?;
    Ok(Some(rows.call_method0("tobytes")?.cast_into::<PyBytes>()?))
}
