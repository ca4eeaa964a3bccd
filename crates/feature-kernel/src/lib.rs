//! Pure feature families and Feature ABI v1.
