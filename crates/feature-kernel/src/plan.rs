//! Which families run when: a set compiled into groups by what their columns depend on.
//!
//! Columns that follow from the best levels alone are computed again only when those changed, those
//! over bands only when the book did. Everything else runs on every packet.

use crate::context::Units;
use crate::meta::{Behaviour, Reads};
use crate::registry::{AnyFamily, FAMILIES};
use crate::set::{Feature, FeatureSet};
use crate::slots::Mask;

/// Columns that are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependence {
    /// The best levels of each side and nothing else.
    Top,
    /// The book and nothing else.
    Book,
    /// State, trades, time, or other columns.
    Packet,
}

impl Dependence {
    fn of(feature: &Feature) -> Self {
        match (feature.column.behaviour, feature.column.reads) {
            (Behaviour::Instant, Reads::L1 | Reads::TopN) => Self::Top,
            (Behaviour::Instant, Reads::Band) => Self::Book,
            _ => Self::Packet,
        }
    }
}

/// Families whose columns follow from the book, with what they last wrote.
#[derive(Debug, Clone)]
pub(crate) struct Derived {
    pub(crate) families: Vec<AnyFamily>,
    /// Valid bits of the last filling.
    pub(crate) valid: Mask,
    /// The last filling clamped a value.
    pub(crate) saturated: bool,
}

/// The families of a set.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) of_top: Derived,
    pub(crate) of_book: Derived,
    /// Families that see every packet, and whether they run on frozen books too.
    pub(crate) of_packet: Vec<(AnyFamily, bool)>,
}

impl Plan {
    pub(crate) fn new(set: &FeatureSet, units: Units) -> Self {
        let derived = |dependence| Derived {
            families: families(set, units, dependence).map(|(family, _)| family).collect(),
            valid: Mask::default(),
            saturated: false,
        };
        Self {
            of_top: derived(Dependence::Top),
            of_book: derived(Dependence::Book),
            of_packet: families(set, units, Dependence::Packet).collect(),
        }
    }
}

/// Families in registry order with their columns of one kind.
fn families(
    set: &FeatureSet,
    units: Units,
    dependence: Dependence,
) -> impl Iterator<Item = (AnyFamily, bool)> {
    FAMILIES.iter().filter_map(move |meta| {
        let mine = |f: &Feature| f.family.slug == meta.slug && Dependence::of(f) == dependence;
        let features = set.features().iter().enumerate();
        let wanted: Vec<_> = features.filter(|(_, f)| mine(f)).collect();
        let on_frozen = meta.columns.iter().all(|c| matches!(c.reads, Reads::Clock | Reads::Input));
        (!wanted.is_empty()).then(|| (AnyFamily::new(meta, &wanted, units), on_frozen))
    })
}
