//! Instruction counts under callgrind, and the tape and the arms that the gate counts.

pub mod arms;
pub mod callgrind;
pub mod tape;
