//! The parity gate: laws over a system under test, the naive twin, and the report.
