//! Tape strategies for tests.
