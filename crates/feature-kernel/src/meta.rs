//! What a family says about itself: the single source of ids, types, scales, units and warm-up.

/// Type of a value word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// Signed integer.
    I64,
    /// IEEE double, as bits.
    F64,
    /// Unsigned 32-bit integer, zero-extended.
    U32,
}

impl Dtype {
    /// Name in schemas: `i64`, `f64` or `u32`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::U32 => "u32",
        }
    }
}

/// What one unit of an integer column is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Not scaled.
    None,
    /// `10^-price_scale` of the instrument.
    Price,
    /// Half of `10^-price_scale`: the sum of two prices.
    PriceX2,
    /// `10^-qty_scale` of the instrument.
    Qty,
    /// The value is multiplied by this number.
    Times(i64),
}

impl Scale {
    /// Name in schemas.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::None => "none".into(),
            Self::Price => "price".into(),
            Self::PriceX2 => "price_x2".into(),
            Self::Qty => "qty".into(),
            Self::Times(factor) => factor.to_string(),
        }
    }
}

/// What a column reads, and therefore when it steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Best level of each side.
    L1,
    /// The best levels of each side.
    TopN,
    /// A band of prices around the mid.
    Band,
    /// Time only.
    Clock,
    /// Trades, and the quotes that tell their side when the venue does not.
    Trades,
    /// Whatever the input column reads (families over columns).
    Input,
}

impl Reads {
    /// Name in schemas.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::TopN => "topN",
            Self::Band => "band",
            Self::Clock => "clock",
            Self::Trades => "trades",
            Self::Input => "input",
        }
    }

    /// Whether it steps on book packets, and stands while the book is frozen.
    #[must_use]
    pub const fn is_book(self) -> bool {
        matches!(self, Self::L1 | Self::TopN | Self::Band)
    }

    /// `source_kind` of the contract: `book`, `tick`, `trade` or `mixed`.
    #[must_use]
    pub const fn source_kind(self) -> &'static str {
        match self {
            Self::L1 | Self::TopN | Self::Band => "book",
            Self::Clock => "tick",
            Self::Trades => "trade",
            Self::Input => "mixed",
        }
    }
}

/// How a column behaves beyond its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// A function of the current book or time.
    Instant,
    /// What happened in this very packet; contributes nothing across a gap.
    Step,
    /// Carries state from packet to packet.
    Stateful,
    /// Sums over a time window; not ready after a gap until the window lies behind it.
    Window,
}

/// One column of a family.
#[derive(Debug, Clone, Copy)]
pub struct ColumnMeta {
    /// Id inside the family, for example `ofi_l1_raw`.
    pub id: &'static str,
    /// Revision of the definition: changed bits need a new one.
    pub rev: u32,
    /// Type.
    pub dtype: Dtype,
    /// Scale of integer columns.
    pub scale: Scale,
    /// Unit in words.
    pub unit: &'static str,
    /// What the column reads.
    pub reads: Reads,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Steps before the value is ready.
    pub warmup_min_events: u32,
    /// Keys of the parameters it takes, in the order of the default name.
    pub params: &'static [&'static str],
    /// Default name, with `{key}` for parameters.
    pub name: &'static str,
    /// One line for tables.
    pub doc: &'static str,
}

impl ColumnMeta {
    /// Whether its warm-up counts steps of its own rather than book packets or frames.
    #[must_use]
    pub fn counts_own_steps(&self) -> bool {
        let is_count = COUNTS.iter().any(|key| self.params.contains(key));
        is_count || matches!(self.reads, Reads::Input | Reads::Trades)
    }

    /// Whether it is an amount of its input, with the unit of that.
    #[must_use]
    pub fn has_unit_of_input(&self) -> bool {
        self.unit == UNIT_OF_INPUT
    }

    /// The other of two parameters of which the column takes exactly one.
    #[must_use]
    pub fn alternative(&self, key: &str) -> Option<&'static str> {
        let pairs = ALTERNATIVES.iter().flat_map(|[a, b]| [(*a, *b), (*b, *a)]);
        let takes = |key: &str| self.params.contains(&key);
        pairs.into_iter().find(|(one, other)| *one == key && takes(other)).map(|(_, other)| other)
    }
}

/// Unit of columns over columns that are amounts of their input.
pub const UNIT_OF_INPUT: &str = "as the input";

/// Pairs of parameters: a column that knows both takes exactly one.
pub const ALTERNATIVES: &[[&str; 2]] = &[["span", "tau_ns"], ["count", "window_ns"]];

/// Parameters that are a number of steps: a column is ready after so many more.
pub const COUNTS: &[&str] = &["count", "buckets", "trades"];

/// A parameter of a family.
#[derive(Debug, Clone, Copy)]
pub struct ParamMeta {
    /// Key in JSON; the unit comes last.
    pub key: &'static str,
    /// What values it takes.
    pub kind: ParamKind,
    /// One line for tables.
    pub doc: &'static str,
}

/// Values a parameter takes.
#[derive(Debug, Clone, Copy)]
pub enum ParamKind {
    /// An integer in `min..=max`; required when there is no default.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Value when absent.
        default: Option<i64>,
    },
    /// One of two or more words; the first is the default.
    Choice(&'static [&'static str]),
    /// The name of a column that stands earlier in the set.
    Column,
}

/// A family of columns that share a definition page.
#[derive(Debug, Clone, Copy)]
pub struct FamilyMeta {
    /// Stem of every file of the family: `features/<slug>.rs`, `specs/features/<slug>.md`.
    pub slug: &'static str,
    /// One line for tables.
    pub doc: &'static str,
    /// Paper or page the definition is from.
    pub source: &'static str,
    /// Columns in ABI order; append only.
    pub columns: &'static [ColumnMeta],
    /// Parameters.
    pub params: &'static [ParamMeta],
}
