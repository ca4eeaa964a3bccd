//! `FeatureEngine`: the runtime engine behind a lock, with Python callbacks.
//!
//! Input is converted before the lock is taken, because conversion may run Python code. Callbacks run
//! after the packet is done, with the lock held: another thread waits (detached), the same thread is
//! refused instead of deadlocking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};

use feature_runtime::{FeatureSet, FrameRef, Subscription};
use market_model::{BookOp, Packet};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::convert::{feature_index, load_set_of, value_to_py};
use crate::errors::{config, failure, guarded, raise, unknown_symbol};
use crate::instrument::instrument;
use crate::levels::{Grid, parse_kind};
use crate::view::FeatureView;

struct Symbol {
    id: u32,
    name: Arc<str>,
    grid: Grid,
}

struct Callback {
    handle: u64,
    subscription: Subscription,
    call: Py<PyAny>,
}

/// Features of many symbols from one feature set, packet by packet.
///
/// Parameters
/// ----------
/// feature_set
///     Id of a built-in set, path of a `.json` file, JSON text, or a dict of the same shape.
/// symbols
///     Settings by symbol. `tick_size` and `lot_size` are decimal text or `Decimal` (or the four
///     integers `price_scale`, `tick_scaled`, `qty_scale`, `lot_scaled`); optional are `feed` (`"delta"`
///     or `"snapshot"`), `sequencing` (`"venue"`, `"source_time"` or `"arrival"`), `max_age_ns` (None:
///     never stale) and `venue`.
///
/// Raises
/// ------
/// ConfigError
///     A setting is wrong.
///
/// Notes
/// -----
/// Prices are integer ticks and quantities integer lots. Text and `Decimal` are converted exactly;
/// floats are refused. Defects of market data are quality bits of the frame, not exceptions.
///
/// Examples
/// --------
/// >>> import featureplane as fp
/// >>> engine = fp.FeatureEngine("lob_shared_v1", {"BTCUSDT": {"tick_size": "0.1", "lot_size": "0.001"}})
/// >>> engine.process_packet("BTCUSDT", kind="snapshot", ts_event=1_700_000_000_000_000_000,
/// ...                       bids=[(618_001, 696)], asks=[("61800.3", "0.012")])
/// True
/// >>> engine.get_feature("BTCUSDT", "spread_scaled")
/// 2
#[pyclass(frozen, module = "featureplane")]
pub(crate) struct FeatureEngine {
    set: Arc<FeatureSet>,
    symbols: BTreeMap<String, Symbol>,
    engine: Mutex<feature_runtime::FeatureEngine>,
    callbacks: Mutex<Vec<Callback>>,
    /// Handles of the callbacks that want the frame just made.
    due: Arc<Mutex<Vec<u64>>>,
    /// The thread that runs callbacks.
    calling: Mutex<Option<ThreadId>>,
    scratch: Mutex<Packet>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FeatureEngine {
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, feature_runtime::FeatureEngine>> {
        let broken = || failure("the engine met an internal error before; build a new one");
        match self.engine.try_lock() {
            Ok(engine) => return Ok(engine),
            Err(TryLockError::Poisoned(_)) => return Err(broken()),
            Err(TryLockError::WouldBlock) => {}
        }
        if *held(&self.calling) == Some(thread::current().id()) {
            return Err(failure("a callback may not use the engine that calls it; use the view"));
        }
        self.engine.lock_py_attached(py).map_err(|_| broken())
    }

    fn symbol(&self, name: &str) -> PyResult<&Symbol> {
        self.symbols.get(name).ok_or_else(|| {
            let known: Vec<_> = self.symbols.keys().take(20).map(String::as_str).collect();
            unknown_symbol(name, &known.join(", "))
        })
    }

    /// Fills the scratch packet, processes it and runs the callbacks that are due.
    fn process(
        &self,
        py: Python<'_>,
        symbol: &str,
        fill: impl FnOnce(&mut Packet, &Grid) -> PyResult<()>,
    ) -> PyResult<bool> {
        let symbol = self.symbol(symbol)?;
        let mut packet = std::mem::take(&mut *held(&self.scratch));
        packet.clear();
        packet.symbol_id = symbol.id;
        let result = fill(&mut packet, &symbol.grid).and_then(|()| {
            guarded(|| {
                let mut engine = self.lock(py)?;
                let frame = engine.process(&packet).map_err(raise)?;
                let Some(frame) = frame else { return Ok(false) };
                let due = std::mem::take(&mut *held(&self.due));
                if !due.is_empty() {
                    self.call(py, &due, &frame, symbol)?;
                }
                Ok(true)
            })
        });
        *held(&self.scratch) = packet;
        result
    }

    /// Runs callbacks; the first exception is raised after all of them have run.
    fn call(
        &self,
        py: Python<'_>,
        due: &[u64],
        frame: &FrameRef<'_>,
        symbol: &Symbol,
    ) -> PyResult<()> {
        let calls: Vec<Py<PyAny>> = {
            let callbacks = held(&self.callbacks);
            let wanted = callbacks.iter().filter(|callback| due.contains(&callback.handle));
            wanted.map(|callback| callback.call.clone_ref(py)).collect()
        };
        let view = Py::new(py, FeatureView::new(frame, &self.set, &symbol.name, None))?;
        let mut failed: Option<PyErr> = None;
        *held(&self.calling) = Some(thread::current().id());
        for call in calls {
            if let Err(error) = call.call1(py, (view.clone_ref(py),)) {
                match &failed {
                    None => failed = Some(error),
                    Some(_) => error.write_unraisable(py, Some(call.bind(py))),
                }
            }
        }
        *held(&self.calling) = None;
        failed.map_or(Ok(()), Err)
    }
}

#[pymethods]
impl FeatureEngine {
    #[new]
    #[pyo3(signature = (
        feature_set: "Features",
        symbols: "collections.abc.Mapping[str, collections.abc.Mapping[str, object]]",
    ))]
    fn new(feature_set: &Bound<'_, PyAny>, symbols: &Bound<'_, PyAny>) -> PyResult<Self> {
        guarded(|| {
            let mut engine = feature_runtime::FeatureEngine::new(load_set_of(feature_set)?);
            let mut known = BTreeMap::new();
            for entry in symbols.call_method0("items")?.try_iter()? {
                let (name, settings): (String, Bound<'_, PyAny>) = entry?.extract()?;
                let instrument = instrument(&name, &settings)?;
                let grid = Grid::from(&instrument);
                let id = engine.add_symbol(instrument).map_err(raise)?;
                let symbol = Symbol { id, name: name.as_str().into(), grid };
                known.insert(name, symbol);
            }
            Ok(Self {
                set: Arc::clone(engine.feature_set()),
                symbols: known,
                engine: Mutex::new(engine),
                callbacks: Mutex::default(),
                due: Arc::default(),
                calling: Mutex::default(),
                scratch: Mutex::default(),
            })
        })
    }

    /// Take one packet and make a frame, if one is due.
    ///
    /// Parameters
    /// ----------
    /// symbol
    ///     Symbol of the packet.
    /// kind
    ///     `"delta"`, `"snapshot"`, `"reset"`, `"heartbeat"`, `"rejected"` or `"rejected_trade"`; the
    ///     last four have no content.
    /// ts_event, ts_recv
    ///     Event and arrival time, UTC ns; 0 when unknown.
    /// seq, first_seq, prev_seq
    ///     Last and first update id of the packet, and last one of the packet before; 0 when the feed
    ///     has none.
    /// bids, asks
    ///     Levels `(price, quantity)`, or an int64 array of shape (N, 2) of ticks and lots. Quantity 0
    ///     deletes a level.
    /// trades
    ///     `(price, quantity, side)`, the side being `"buy"`, `"sell"` or None when unknown: who took
    ///     liquidity.
    /// orders
    ///     Order events `(operation, id, side, price, quantity)`, on a feed of orders in place of levels: the
    ///     operation is `"add"`, `"modify"`, `"cancel"` or `"fill"`, the side `"bid"` or `"ask"`. Quantity 0
    ///     of a cancel or fill is all that is left.
    /// clear_bids, clear_asks
    ///     True clears the side before the levels are set; a price clears from the best up to it.
    /// checksum_mismatch
    ///     Whether the venue's checksum did not match after this packet.
    ///
    /// Returns
    /// -------
    /// bool
    ///     Whether a frame was made.
    ///
    /// Raises
    /// ------
    /// UnknownSymbolError
    ///     The engine does not have the symbol.
    /// ConfigError
    ///     A price is no multiple of the tick, a quantity none of the lot, or a word is unknown.
    /// TypeError
    ///     A float was given as price or quantity.
    #[pyo3(signature = (
        symbol: "str",
        *,
        ts_event: "int",
        kind: "str" = "delta",
        ts_recv: "int" = 0,
        seq: "int" = 0,
        first_seq: "int" = 0,
        prev_seq: "int" = 0,
        bids: "Levels | None" = None,
        asks: "Levels | None" = None,
        orders: "Orders | None" = None,
        trades: "Trades | None" = None,
        clear_bids: "bool | Number | None" = None,
        clear_asks: "bool | Number | None" = None,
        checksum_mismatch: "bool" = false,
    ) -> "bool")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn process_packet(
        &self,
        py: Python<'_>,
        symbol: &str,
        ts_event: i64,
        kind: &str,
        ts_recv: i64,
        seq: u64,
        first_seq: u64,
        prev_seq: u64,
        bids: Option<&Bound<'_, PyAny>>,
        asks: Option<&Bound<'_, PyAny>>,
        orders: Option<&Bound<'_, PyAny>>,
        trades: Option<&Bound<'_, PyAny>>,
        clear_bids: Option<&Bound<'_, PyAny>>,
        clear_asks: Option<&Bound<'_, PyAny>>,
        checksum_mismatch: bool,
    ) -> PyResult<bool> {
        self.process(py, symbol, |packet, grid| {
            packet.kind = parse_kind(kind)?;
            (packet.ts_event_ns, packet.ts_recv_ns) = (ts_event, ts_recv);
            (packet.seq, packet.first_seq, packet.prev_seq) = (seq, first_seq, prev_seq);
            packet.checksum_mismatch = checksum_mismatch;
            for (op, given) in [(BookOp::ClearBid, clear_bids), (BookOp::ClearAsk, clear_asks)] {
                if let Some(given) = given {
                    grid.clear(packet, op, given)?;
                }
            }
            for (op, given) in [(BookOp::SetBid, bids), (BookOp::SetAsk, asks)] {
                if let Some(given) = given {
                    grid.levels(given, &mut |level| packet.push_level(op, level))?;
                }
            }
            if let Some(orders) = orders {
                grid.orders(packet, orders)?;
            }
            if let Some(trades) = trades {
                grid.trades(packet, trades)?;
            }
            let bare = matches!(kind, "reset" | "heartbeat" | "rejected" | "rejected_trade");
            let has_book = !packet.run_ends.is_empty() || !packet.orders.is_empty();
            if bare && (has_book || !packet.trades.is_empty()) {
                return Err(config(&format!("a packet of kind `{kind}` has no content")));
            }
            Ok(())
        })
    }

    /// Take one packet whose level changes are given as runs, in their order.
    ///
    /// A run is `(operation, levels)` with `"set_bid"`, `"set_ask"`, `"clear_bid"` or `"clear_ask"`.
    /// This is the form of the packet log; everything else is as in `process_packet`.
    #[pyo3(signature = (
        symbol: "str",
        kind: "str",
        ts_event: "int",
        ts_recv: "int",
        seq: "int",
        first_seq: "int",
        prev_seq: "int",
        checksum_mismatch: "bool",
        runs: "collections.abc.Iterable[collections.abc.Sequence[typing.Any]]",
        orders: "Orders",
        trades: "Trades",
        /,
    ) -> "bool")]
    #[allow(clippy::too_many_arguments, reason = "the fields of a packet")]
    fn process_packet_runs(
        &self,
        py: Python<'_>,
        symbol: &str,
        kind: &str,
        ts_event: i64,
        ts_recv: i64,
        seq: u64,
        first_seq: u64,
        prev_seq: u64,
        checksum_mismatch: bool,
        runs: &Bound<'_, PyAny>,
        orders: &Bound<'_, PyAny>,
        trades: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.process(py, symbol, |packet, grid| {
            packet.kind = parse_kind(kind)?;
            (packet.ts_event_ns, packet.ts_recv_ns) = (ts_event, ts_recv);
            (packet.seq, packet.first_seq, packet.prev_seq) = (seq, first_seq, prev_seq);
            packet.checksum_mismatch = checksum_mismatch;
            grid.runs(packet, runs)?;
            grid.orders(packet, orders)?;
            grid.trades(packet, trades)
        })
    }

    /// Return the value of a feature by name or index.
    ///
    /// Returns
    /// -------
    /// int, float or None
    ///     None before the first frame of the epoch and where the value is not defined.
    ///
    /// Raises
    /// ------
    /// UnknownSymbolError, UnknownFeatureError
    ///     The engine does not have the symbol or the feature.
    #[pyo3(signature = (symbol: "str", feature: "int | str", /) -> "int | float | None")]
    fn get_feature<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        feature: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let id = self.symbol(symbol)?.id;
        let engine = self.lock(py)?;
        let index = match feature.cast::<PyString>() {
            Ok(name) => engine.feature_index(&name.to_cow()?).map_err(raise)?,
            Err(_) => feature_index(&self.set, feature)?,
        };
        let value = engine.get_feature_by_id(id, index).map_err(raise)?;
        value.map(|value| value_to_py(py, value)).transpose()
    }

    /// Return a copy of the last frame of a symbol, or None before the first one of the epoch.
    ///
    /// Parameters
    /// ----------
    /// symbol
    ///     Symbol.
    /// now_ns
    ///     The caller's clock, UTC ns, against which `age_ns` of the view is told; the engine has none.
    #[pyo3(signature = (symbol: "str", now_ns: "int | None" = None) -> "FeatureView | None")]
    fn get_feature_view(
        &self,
        py: Python<'_>,
        symbol: &str,
        now_ns: Option<i64>,
    ) -> PyResult<Option<FeatureView>> {
        let symbol = self.symbol(symbol)?;
        let engine = self.lock(py)?;
        let frame = engine.symbol(symbol.id).map_err(raise)?.frame();
        Ok(frame.map(|frame| FeatureView::new(&frame, &self.set, &symbol.name, now_ns)))
    }

    /// Return the last frame of a symbol as bytes of `FeatureUpdateFrameV1`, or None before the first.
    #[pyo3(signature = (symbol: "str", /) -> "bytes | None")]
    fn frame_bytes<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let id = self.symbol(symbol)?.id;
        let engine = self.lock(py)?;
        let frame = engine.symbol(id).map_err(raise)?.frame();
        Ok(frame.map(|frame| PyBytes::new(py, frame.as_bytes())))
    }

    /// Return the packets of a symbol by fate: applied, duplicates, late, gaps, rejected and so on.
    #[pyo3(signature = (symbol: "str", /) -> "dict[str, int]")]
    fn counters<'py>(&self, py: Python<'py>, symbol: &str) -> PyResult<Bound<'py, PyDict>> {
        let id = self.symbol(symbol)?.id;
        let engine = self.lock(py)?;
        let counters = engine.symbol(id).map_err(raise)?.counters();
        let dict = PyDict::new(py);
        for (name, count) in counters.named() {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    /// Call `callback` with a `FeatureView` for each frame that matters to it, and return a handle.
    ///
    /// A frame matters when one of `features` changed in it or when it carries a quality bit; the first
    /// frame of a symbol always does. An exception in a callback is raised by `process_packet` after
    /// the engine has finished the packet and all callbacks have run. A callback that uses the engine
    /// gets a `FeatureError`.
    ///
    /// Parameters
    /// ----------
    /// callback
    ///     Called in the thread that processes the packet.
    /// features
    ///     Names; None means all.
    /// schema_hash
    ///     Schema hash that the consumer was built for, 16 hex digits; None means the engine's own.
    ///
    /// Raises
    /// ------
    /// UnknownFeatureError, SchemaMismatchError
    ///     The set has no such feature, or is another one.
    #[pyo3(signature = (
        callback: "collections.abc.Callable[[FeatureView], object]",
        features: "collections.abc.Sequence[str] | None" = None,
        schema_hash: "str | None" = None,
    ) -> "int")]
    fn on_features(
        &self,
        py: Python<'_>,
        callback: Py<PyAny>,
        features: Option<Vec<String>>,
        schema_hash: Option<&str>,
    ) -> PyResult<u64> {
        let hash = match schema_hash {
            Some(text) => u64::from_str_radix(text, 16)
                .map_err(|_| config("schema_hash: expected 16 hex digits"))?,
            None => self.set.schema_hash(),
        };
        let names: Vec<&str> = match &features {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => self.set.features().iter().map(|feature| feature.name.as_str()).collect(),
        };
        let mut engine = self.lock(py)?;
        let mut callbacks = held(&self.callbacks);
        let handle = callbacks.last().map_or(1, |callback| callback.handle + 1);
        let due = Arc::clone(&self.due);
        let sink = Box::new(move |_: &FrameRef<'_>| held(&due).push(handle));
        let subscription = engine.on_features(hash, &names, sink).map_err(raise)?;
        callbacks.push(Callback { handle, subscription, call: callback });
        Ok(handle)
    }

    /// End a subscription; return False when it had ended before.
    #[pyo3(signature = (handle: "int", /) -> "bool")]
    fn unsubscribe(&self, py: Python<'_>, handle: u64) -> PyResult<bool> {
        let mut engine = self.lock(py)?;
        let removed = {
            let mut callbacks = held(&self.callbacks);
            let found = callbacks.iter().position(|callback| callback.handle == handle);
            found.map(|index| callbacks.remove(index))
        };
        Ok(removed.is_some_and(|callback| engine.unsubscribe(callback.subscription)))
    }

    /// Reset a symbol, as a session reset of the venue does: the book and all state are cleared.
    #[pyo3(signature = (symbol: "str", /) -> "None")]
    fn reset(&self, py: Python<'_>, symbol: &str) -> PyResult<()> {
        let id = self.symbol(symbol)?.id;
        guarded(|| self.lock(py)?.reset(id).map_err(raise))
    }

    /// Return the whole state as bytes; equal states give equal bytes.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| Ok(PyBytes::new(py, &self.lock(py)?.snapshot())))
    }

    /// Continue from a snapshot of an engine with the same feature set and symbols.
    ///
    /// Raises
    /// ------
    /// SchemaMismatchError, DecodeError
    ///     The snapshot is of another set, of other symbols, or damaged; the engine is unchanged.
    #[pyo3(signature = (state: "bytes", /) -> "None")]
    fn restore(&self, py: Python<'_>, state: &[u8]) -> PyResult<()> {
        guarded(|| self.lock(py)?.restore(state).map_err(raise))
    }

    /// Return the id of the feature set.
    fn get_feature_set_id(&self) -> &str {
        self.set.id()
    }

    /// Schema hash of the feature set, 16 hex digits.
    #[getter]
    fn schema_hash(&self) -> String {
        format!("{:016x}", self.set.schema_hash())
    }

    /// Canonical JSON of the feature set, of which the schema hash is made.
    #[getter]
    fn canonical_json(&self) -> String {
        self.set.canonical_json()
    }

    /// Names of the features in the order of the set.
    #[getter]
    fn feature_names(&self) -> Vec<&str> {
        self.set.features().iter().map(|feature| feature.name.as_str()).collect()
    }

    /// Symbols in the order of their ids.
    #[getter]
    fn symbols(&self) -> Vec<&str> {
        let mut symbols: Vec<&Symbol> = self.symbols.values().collect();
        symbols.sort_by_key(|symbol| symbol.id);
        symbols.into_iter().map(|symbol| symbol.name.as_ref()).collect()
    }

    fn __repr__(&self) -> String {
        format!("FeatureEngine({:?}, symbols {:?})", self.set.id(), self.symbols())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(callbacks) = self.callbacks.try_lock() else { return Ok(()) };
        callbacks.iter().try_for_each(|callback| visit.call(&callback.call))
    }

    fn __clear__(&self) {
        let taken = std::mem::take(&mut *held(&self.callbacks));
        drop(taken);
    }
}
