//! Which families run when: a set compiled into groups by what their columns depend on.
//!
//! Columns that follow from the best levels alone are computed again only when those changed, those
//! over bands only when the book did. Everything else runs on every packet.

use crate::context::Units;
use crate::meta::{Behaviour, FamilyMeta, Reads};
use crate::registry::{AnyFamily, FAMILIES, Wanted};
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
            families: families(by_family(set, dependence), units).map(|(f, _)| f).collect(),
            valid: Mask::default(),
            saturated: false,
        };
        Self {
            of_top: derived(Dependence::Top),
            of_book: derived(Dependence::Book),
            of_packet: families(by_family(set, Dependence::Packet), units)
                .chain(families(over_columns(set), units))
                .collect(),
        }
    }
}

type Group<'a> = (&'static FamilyMeta, Vec<Wanted<'a>>);

/// Families in registry order with their columns of one kind, those over columns left out.
fn by_family(set: &FeatureSet, dependence: Dependence) -> Vec<Group<'_>> {
    let mine = |f: &Feature| f.input.is_none() && Dependence::of(f) == dependence;
    let columns_of = |meta: &FamilyMeta| {
        let features = set.features().iter().enumerate();
        features.filter(|(_, f)| f.family.slug == meta.slug && mine(f)).collect()
    };
    FAMILIES.iter().map(|meta| (meta, columns_of(meta))).collect()
}

/// Families over columns, one instance per run of the set's columns, so that a column finds its input
/// computed whatever families a chain of columns goes through.
fn over_columns(set: &FeatureSet) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (slot, f) in set.features().iter().enumerate().filter(|(_, f)| f.input.is_some()) {
        match groups.last_mut() {
            Some((meta, run)) if meta.slug == f.family.slug => run.push((slot, f)),
            _ => groups.push((f.family, vec![(slot, f)])),
        }
    }
    groups
}

fn families(groups: Vec<Group<'_>>, units: Units) -> impl Iterator<Item = (AnyFamily, bool)> {
    groups.into_iter().filter(|(_, wanted)| !wanted.is_empty()).map(move |(meta, wanted)| {
        let on_frozen = meta.columns.iter().all(|column| !column.reads.is_book());
        (AnyFamily::new(meta, &wanted, units), on_frozen)
    })
}
