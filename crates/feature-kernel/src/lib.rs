//! Feature ABI v1 and the feature families.
//!
//! A family turns the settled book after one packet into values; all families of a set write into
//! one frame ([`frame`]). The kernel never sees a file, a clock, a book type or JSON: whoever owns
//! those drives [`Kernel`]. Definitions: `specs/features/`; rules: `specs/semantics.md`.

pub mod features;
pub mod frame;
pub mod meta;
pub mod numeric;

mod aggressor;
mod bands;
mod context;
mod error;
mod input;
mod kernel;
mod levels;
mod moments;
mod params;
mod path;
mod plan;
mod registry;
mod set;
mod slots;
mod wide;
mod window;

pub use context::{Context, PacketStamp, Units};
pub use error::{Error, SpecFault};
pub use frame::{FrameBuf, FrameRef};
pub use kernel::{Kernel, KernelStep, Sample};
pub use registry::{FAMILIES, family};
pub use set::{Feature, FeatureSet, FeatureSpec, ParamValue};
