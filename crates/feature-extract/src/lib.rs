//! Jobs: source to engine to emission to sink.
