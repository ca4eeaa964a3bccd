//! Instruction counts under callgrind, the tape and the arms that the gate counts, and the table of all benches.

pub mod arms;
pub mod callgrind;
pub mod report;
pub mod tape;
