use crate::error::Error;
use crate::source::{OpenOptions, Source};
pub(super) fn looks_like(_: &[u8]) -> bool { false }
pub(super) fn open(_: &OpenOptions) -> Result<crate::format::hftbacktest::HftbacktestSource, Error> { todo!() }
