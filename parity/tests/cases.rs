//! Hand-worked cases (`parity/cases`), read by the Rust runtime and by the Python reference alike.
