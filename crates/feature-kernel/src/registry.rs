//! The list of families: one line each, append only.

use market_model::{BookView, StateError, StateReader, StateWriter};

use crate::context::{Context, Units};
use crate::features::{
    depth, ema, imbalance, impact, microprice, mid_spread, momentum, ofi_flow, ofi_l1, ofi_ml,
    ofi_norm, order_flow_l3, regime, returns, rolling, shape, shock, time, top, toxicity, trades,
    weighted_depth,
};
use crate::meta::FamilyMeta;
use crate::set::Feature;
use crate::slots::Slots;

/// One column that a family has to write: its slot and its resolved definition.
pub(crate) type Wanted<'a> = (usize, &'a Feature);

/// What a family implements. Stepping changes state, filling writes values: a sampled row fills
/// without stepping.
pub(crate) trait Family: Clone + core::fmt::Debug {
    const META: FamilyMeta;

    fn new(wanted: &[Wanted<'_>], units: Units) -> Self;

    /// Takes one packet; called only when the column's reading steps.
    fn step<B: BookView>(&mut self, _context: &Context<'_, B>, _slots: &Slots<'_>) {}

    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>);

    fn reset(&mut self) {}

    fn save(&self, _out: &mut StateWriter) {}

    fn load(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        Ok(())
    }
}

macro_rules! families {
    ($($name:ident = $path:path),+ $(,)?) => {
        /// Every family, in registry order.
        pub static FAMILIES: &[FamilyMeta] = &[$(<$path as Family>::META),+];

        /// A family with the columns of one set.
        #[derive(Debug, Clone)]
        pub(crate) enum AnyFamily {
            $($name($path)),+
        }

        impl AnyFamily {
            pub(crate) fn new(meta: &FamilyMeta, wanted: &[Wanted<'_>], units: Units) -> Self {
                $(if meta.slug == <$path as Family>::META.slug {
                    return Self::$name(Family::new(wanted, units));
                })+
                unreachable!("Invariant: a family comes from the registry")
            }

            /// Takes one packet and writes what it gives.
            #[inline]
            pub(crate) fn step<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
                match self {
                    $(Self::$name(family) => {
                        family.step(context, slots);
                        family.fill(context, slots);
                    }),+
                }
            }

            #[inline]
            pub(crate) fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
                match self { $(Self::$name(family) => family.fill(context, slots)),+ }
            }

            pub(crate) fn reset(&mut self) {
                match self { $(Self::$name(family) => family.reset()),+ }
            }

            pub(crate) fn save(&self, out: &mut StateWriter) {
                match self { $(Self::$name(family) => family.save(out)),+ }
            }

            pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
                match self { $(Self::$name(family) => family.load(from)),+ }
            }
        }
    };
}

// Families over columns stand last: they read what the others wrote in the same packet.
families! {
    Top = top::Top,
    MidSpread = mid_spread::MidSpread,
    Microprice = microprice::Microprice,
    Imbalance = imbalance::Imbalance,
    Depth = depth::Depth,
    OfiL1 = ofi_l1::OfiL1,
    Time = time::Time,
    OfiMl = ofi_ml::OfiMl,
    OfiNorm = ofi_norm::OfiNorm,
    Shape = shape::Shape,
    WeightedDepth = weighted_depth::WeightedDepth,
    Regime = regime::Regime,
    Momentum = momentum::Momentum,
    OfiFlow = ofi_flow::OfiFlow,
    OrderFlowL3 = order_flow_l3::OrderFlowL3,
    Trades = trades::Trades,
    Returns = returns::Returns,
    Toxicity = toxicity::Toxicity,
    Impact = impact::Impact,
    Ema = ema::Ema,
    Rolling = rolling::Rolling,
    Shock = shock::Shock,
}

/// The family with this slug.
#[must_use]
pub fn family(slug: &str) -> Option<&'static FamilyMeta> {
    FAMILIES.iter().find(|meta| meta.slug == slug)
}
