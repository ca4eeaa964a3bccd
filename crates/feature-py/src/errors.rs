//! Rust errors as Python exceptions. This is the only place where one becomes the other.
//!
//! The classes are written in Python (`featureplane/errors.py`), where they can have two bases and
//! documented attributes. `python/tests/test_errors.py` requires every variant of every error enum to
//! be named in this file.

use std::any::Any;
use std::error::Error as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use feature_extract::Error as JobError;
use feature_infer::Error as ModelError;
use feature_kernel::Error as KernelError;
use feature_runtime::Error as EngineError;
use lob_engine::Error as BookError;
use market_io::sink::SinkError;
use market_io::write::WriteError;
use market_io::{Error as InputError, Position};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Name of a class in `featureplane.errors`.
type Class = &'static str;

const FEATURE: Class = "FeatureError";
const CONFIG: Class = "ConfigError";
const SCHEMA: Class = "SchemaMismatchError";
const SYMBOL: Class = "UnknownSymbolError";
const NO_FEATURE: Class = "UnknownFeatureError";
const DECODE: Class = "DecodeError";
const INPUT: Class = "InputError";
const OUTPUT: Class = "OutputError";

/// Attributes of an exception; absent ones are `None` in Python.
#[derive(Default)]
struct Details {
    path: Option<String>,
    line: Option<u64>,
    offset: Option<u64>,
    symbol: Option<String>,
    errno: Option<i32>,
}

/// The exception for an error of any layer.
pub(crate) fn raise(error: impl Into<JobError>) -> PyErr {
    let error = error.into();
    let (class, details) = classify(&error);
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    Python::attach(|py| build(py, class, &message, details))
}

/// The exception for an input file that could not be made.
pub(crate) fn raise_write(error: WriteError) -> PyErr {
    match error {
        WriteError::Source(error) => raise(error),
        WriteError::Sink(error) => raise(error),
        WriteError::Array(error) => raise(error),
        other => failure(&other.to_string()),
    }
}

/// A configuration error of the Python layer itself.
pub(crate) fn config(message: &str) -> PyErr {
    Python::attach(|py| build(py, CONFIG, message, Details::default()))
}

/// An error of the Python layer itself that has no narrower class.
pub(crate) fn failure(message: &str) -> PyErr {
    Python::attach(|py| build(py, FEATURE, message, Details::default()))
}

/// A symbol that an engine does not have.
pub(crate) fn unknown_symbol(symbol: &str, known: &str) -> PyErr {
    raise(EngineError::UnknownSymbol { symbol: symbol.into(), known: known.into() })
}

/// Runs `body`; a panic in it is a defect of this package and becomes a `FeatureError`.
pub(crate) fn guarded<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The exception for a caught panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    failure(&format!("internal error, please report it: {text}"))
}

fn build(py: Python<'_>, class: Class, message: &str, details: Details) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let class = py.import("featureplane.errors")?.getattr(class)?;
        let named = PyDict::new(py);
        named.set_item("path", details.path)?;
        named.set_item("line", details.line)?;
        named.set_item("offset", details.offset)?;
        named.set_item("symbol", details.symbol)?;
        named.set_item("errno", details.errno)?;
        Ok(PyErr::from_value(class.call((message,), Some(&named))?))
    };
    make().unwrap_or_else(|error| error)
}

fn shown(path: &Path) -> Option<String> {
    Some(path.display().to_string())
}

fn plain(class: Class) -> (Class, Details) {
    (class, Details::default())
}

fn at(class: Class, path: &Path) -> (Class, Details) {
    (class, Details { path: shown(path), ..Details::default() })
}

fn of(class: Class, symbol: &str) -> (Class, Details) {
    (class, Details { symbol: Some(symbol.into()), ..Details::default() })
}

fn system(class: Class, path: &Path, source: &io::Error) -> (Class, Details) {
    let details = Details { path: shown(path), errno: source.raw_os_error(), ..Details::default() };
    (class, details)
}

fn classify(error: &JobError) -> (Class, Details) {
    match error {
        JobError::Config { .. } => plain(CONFIG),
        JobError::Engine(error) => classify_engine(error),
        JobError::Model(error) => classify_model(error),
        JobError::Input(error) => classify_input(error),
        JobError::Output(error) => classify_output(error),
        JobError::Array(_) => plain(CONFIG),
        JobError::File { path, source } => system(INPUT, path, source),
        JobError::State { field: "schema hash", .. } => plain(SCHEMA),
        JobError::State { .. } => plain(DECODE),
        JobError::Watch { path, .. } => at(INPUT, path),
        JobError::NoSnapshot { symbol, .. } => of(FEATURE, symbol),
        JobError::NoRows { symbol, .. } => of(FEATURE, symbol),
        JobError::Interrupted => plain(FEATURE),
        #[allow(unreachable_patterns, reason = "the enum may grow")]
        _ => plain(FEATURE),
    }
}

fn classify_engine(error: &EngineError) -> (Class, Details) {
    match error {
        EngineError::Kernel(error) => classify_kernel(error),
        EngineError::Book(error) => classify_book(error),
        EngineError::UnknownSymbol { symbol, .. } => of(SYMBOL, symbol),
        EngineError::UnknownFeature { .. } => plain(NO_FEATURE),
        EngineError::UnknownSet { .. } => plain(CONFIG),
        EngineError::SymbolRefused { symbol, .. } => of(CONFIG, symbol),
        EngineError::File { path, source } => system(INPUT, path, source),
        EngineError::BadSetFile { origin, .. } => at(CONFIG, Path::new(origin)),
        EngineError::StateMismatch { field: "schema hash", .. } => plain(SCHEMA),
        EngineError::StateMismatch { .. } => plain(DECODE),
        EngineError::NotLatest { path, .. } => at(DECODE, path),
        EngineError::Unfinished { symbol } => of(DECODE, symbol),
        EngineError::RingSize { .. } => plain(CONFIG),
        _ => plain(FEATURE),
    }
}

fn classify_model(error: &ModelError) -> (Class, Details) {
    match error {
        ModelError::File { path, source } => system(INPUT, path, source),
        ModelError::Dimension { .. } | ModelError::Order { .. } | ModelError::Schema { .. } => {
            plain(SCHEMA)
        }
        ModelError::Malformed { .. }
        | ModelError::Field { .. }
        | ModelError::Checksum { .. }
        | ModelError::TestVector { .. }
        | ModelError::Weights { .. } => plain(DECODE),
        ModelError::NotPlain(_) => plain(CONFIG),
        _ => plain(FEATURE),
    }
}

fn classify_kernel(error: &KernelError) -> (Class, Details) {
    match error {
        KernelError::BadSet { .. } => plain(CONFIG),
        KernelError::SchemaMismatch { .. } => plain(SCHEMA),
        KernelError::BadFrame { offset, .. } => {
            (DECODE, Details { offset: Some(*offset as u64), ..Details::default() })
        }
        KernelError::State(_) => plain(DECODE),
        _ => plain(FEATURE),
    }
}

fn classify_book(error: &BookError) -> (Class, Details) {
    match error {
        BookError::TooManyLevels { .. }
        | BookError::LevelOutOfRange { .. }
        | BookError::OrderOutOfRange { .. }
        | BookError::TooManyOrders { .. }
        | BookError::TooManyLots { .. }
        | BookError::LevelsAndOrders { .. }
        | BookError::State(_) => plain(DECODE),
        _ => plain(FEATURE),
    }
}

fn classify_input(error: &InputError) -> (Class, Details) {
    let (class, mut details) = match error {
        InputError::Io { path, source, .. } => system(INPUT, path, source),
        InputError::Truncated { .. }
        | InputError::Corrupt { .. }
        | InputError::Place { .. }
        | InputError::Unsupported { .. } => plain(DECODE),
        InputError::Empty { path } | InputError::UnknownFormat { path, .. } => at(DECODE, path),
        InputError::Malformed { fault } if fault.symbol.is_empty() => plain(DECODE),
        InputError::Malformed { fault } => of(DECODE, &fault.symbol),
        InputError::NoSnapshot { path, symbol, .. } => {
            let symbol = Some(symbol.clone());
            (DECODE, Details { path: shown(path), symbol, ..Details::default() })
        }
        InputError::UnknownSymbol { path, symbol, .. } => {
            let symbol = Some(symbol.clone());
            (SYMBOL, Details { path: shown(path), symbol, ..Details::default() })
        }
        InputError::NoInput
        | InputError::SeveralSymbols { .. }
        | InputError::Instrument(_)
        | InputError::Option { .. } => plain(CONFIG),
        _ => plain(FEATURE),
    };
    if let Some(location) = error.location() {
        details.path = shown(&location.path);
        (details.line, details.offset) = match location.position {
            Position::File => (None, None),
            Position::Byte { offset } | Position::Row { offset, .. } => (None, Some(offset)),
            Position::Line { line, offset } => (Some(line), Some(offset)),
        };
    }
    (class, details)
}

fn classify_output(error: &SinkError) -> (Class, Details) {
    match error {
        SinkError::Io { path, source, .. } => system(OUTPUT, path, source),
        SinkError::UnknownEnding { path }
        | SinkError::Exists { path }
        | SinkError::NotAFile { path, .. }
        | SinkError::NoParent { path, .. }
        | SinkError::Columns { path, .. }
        | SinkError::Arrow { path, .. }
        | SinkError::Parquet { path, .. }
        | SinkError::ReadBack { path, .. } => at(OUTPUT, path),
        other => at(OUTPUT, other.path()),
    }
}
