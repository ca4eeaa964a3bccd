//! A feature set: which columns, with which parameters, in which order.

use market_model::BookNeeds;

use crate::error::{Error, SpecFault};
use crate::features::ema::span_alpha;
use crate::meta::{
    ALTERNATIVES, Behaviour, COUNTS, ColumnMeta, Dtype, FamilyMeta, ParamKind, Reads, Scale,
};
use crate::registry::family;

/// Features that one set may have.
pub(crate) const MAX_FEATURES: usize = 1_024;

/// Version of the numeric rules; changes when the bits of a pinned routine change.
pub(crate) const NUMERIC_VERSION: u32 = 1;

/// A parameter as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// An integer.
    Int(i64),
    /// A word or a column name.
    Text(String),
}

impl core::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "`{}`", text.escape_default()),
        }
    }
}

/// One entry of a set as given: which column of which family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureSpec {
    /// Slug of the family.
    pub family: String,
    /// Id of the column.
    pub column: String,
    /// Parameters; absent ones take their defaults.
    pub params: Vec<(String, ParamValue)>,
    /// Name in the set; the default name when absent.
    pub alias: Option<String>,
}

/// One resolved column of a set.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Name, unique in the set.
    pub name: String,
    /// Its family.
    pub family: &'static FamilyMeta,
    /// Its column in the family.
    pub column: &'static ColumnMeta,
    /// Scale; that of the input for families over columns.
    pub scale: Scale,
    /// Unit; that of the input for families over columns.
    pub unit: &'static str,
    /// What it reads; what the input reads for families over columns.
    pub reads: Reads,
    /// Steps before it is ready.
    pub warmup_min_events: u32,
    /// Time since the first frame of the epoch before it is ready, ns.
    pub warmup_min_ns: i64,
    /// Parameters with defaults filled in, sorted by key.
    pub params: Vec<(&'static str, ParamValue)>,
    pub(crate) column_index: usize,
    pub(crate) input: Option<usize>,
    pub(crate) input_dtype: Dtype,
    /// The input counts its own steps.
    pub(crate) input_steps: bool,
}

impl Feature {
    fn param(&self, key: &str) -> Option<&ParamValue> {
        self.params.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    pub(crate) fn opt_param(&self, key: &str) -> Option<i64> {
        match self.param(key) {
            Some(ParamValue::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is over a number of steps, and starts anew at a gap.
    pub(crate) fn is_count(&self) -> bool {
        COUNTS.iter().any(|key| self.opt_param(key).is_some())
    }

    pub(crate) fn wide_param(&self, key: &str) -> i64 {
        self.opt_param(key).expect("Invariant: required parameters are resolved")
    }

    pub(crate) fn int_param(&self, key: &str) -> usize {
        usize::try_from(self.wide_param(key)).expect("Invariant: counts are not negative")
    }

    pub(crate) fn choice_param(&self, key: &str) -> &str {
        match self.param(key) {
            Some(ParamValue::Text(word)) => word,
            _ => "",
        }
    }
}

/// An ordered, resolved, hashable list of features.
///
/// ```
/// use feature_kernel::{FeatureSet, FeatureSpec};
/// let spec = FeatureSpec { family: "mid_spread".into(), column: "mid".into(), ..Default::default() };
/// let set = FeatureSet::new("mine", &[spec])?;
/// assert_eq!(set.features()[0].name, "mid");
/// assert_eq!(set.index_of("mid"), Some(0));
/// # Ok::<(), feature_kernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeatureSet {
    id: String,
    features: Vec<Feature>,
    schema_hash: u64,
}

impl FeatureSet {
    /// Resolves a set: fills defaults, checks every entry, computes the schema hash.
    ///
    /// # Errors
    ///
    /// [`Error::BadSet`] with every fault and its path.
    pub fn new(id: &str, specs: &[FeatureSpec]) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let mut features: Vec<Feature> = Vec::with_capacity(specs.len());
        // Names with their place in the file, which faulty entries shift.
        let mut origins: Vec<(String, usize)> = Vec::new();
        if specs.is_empty() || specs.len() > MAX_FEATURES {
            let message = format!("{} features; 1 to {MAX_FEATURES} are allowed", specs.len());
            faults.push(SpecFault { path: "features".into(), message });
        }
        for (index, spec) in specs.iter().enumerate().take(MAX_FEATURES) {
            match resolve(spec, &features) {
                Ok(feature) => {
                    if let Some(other) = origins.iter().position(|(name, _)| *name == feature.name)
                    {
                        let (_, other) = &origins[other];
                        faults.push(SpecFault {
                            path: format!("features[{index}].alias"),
                            message: format!(
                                "name `{}` is taken by features[{other}]",
                                feature.name
                            ),
                        });
                    }
                    origins.push((feature.name.clone(), index));
                    features.push(feature);
                }
                Err(found) => faults.extend(found.into_iter().map(|fault| SpecFault {
                    path: format!("features[{index}]{}", fault.path),
                    message: fault.message,
                })),
            }
        }
        if !faults.is_empty() {
            return Err(Error::BadSet { set: id.into(), faults });
        }
        let schema_hash = hash(&canonical_json(&features));
        Ok(Self { id: id.into(), features, schema_hash })
    }

    /// Id of the set, for example `lob_shared_v1`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Features in schema order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Number of features.
    #[must_use]
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Never true: a set has at least one feature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Index of a feature by name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|feature| feature.name == name)
    }

    /// First 8 bytes of BLAKE3 over the canonical JSON.
    #[must_use]
    pub fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// The canonical JSON of `specs/abi-v1.md`.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        canonical_json(&self.features)
    }

    /// What the book must keep ready for this set.
    #[must_use]
    pub fn book_needs(&self) -> BookNeeds {
        let levels = |f: &Feature| {
            let sum = f.opt_param("levels").unwrap_or(1);
            let single = f.opt_param("level").unwrap_or(0) + 1;
            usize::try_from(sum.max(single)).unwrap_or(1)
        };
        BookNeeds {
            top_count: self.features.iter().map(levels).max().unwrap_or(1),
            band_sums: self.features.iter().any(|f| f.reads == Reads::Band),
            changes: self.features.iter().any(|f| f.family.slug == "ofi_flow"),
            orders: self.features.iter().any(|f| f.family.slug == "order_flow_l3"),
        }
    }
}

/// Faults of one entry, with paths relative to it.
type Faults = Vec<SpecFault>;

fn fault(path: &str, message: String) -> SpecFault {
    SpecFault { path: path.into(), message }
}

fn resolve(spec: &FeatureSpec, earlier: &[Feature]) -> Result<Feature, Faults> {
    let Some(family) = family(&spec.family) else {
        let known: Vec<_> = crate::registry::FAMILIES.iter().map(|f| f.slug).collect();
        let message = format!("unknown family `{}`; known: {}", spec.family, known.join(", "));
        return Err(vec![fault(".family", message)]);
    };
    let Some(column_index) = family.columns.iter().position(|c| c.id == spec.column) else {
        let known: Vec<_> = family.columns.iter().map(|c| c.id).collect();
        let message = format!(
            "unknown column `{}` of family `{}`; known: {}",
            spec.column,
            family.slug,
            known.join(", ")
        );
        return Err(vec![fault(".column", message)]);
    };
    let column = &family.columns[column_index];
    let mut faults = Vec::new();
    let params = resolve_params(family, column, &spec.params, earlier, &mut faults);
    let mut feature = Feature {
        name: String::new(),
        family,
        column,
        scale: column.scale,
        unit: column.unit,
        reads: column.reads,
        warmup_min_events: column.warmup_min_events,
        warmup_min_ns: 0,
        params,
        column_index,
        input: None,
        input_dtype: column.dtype,
        input_steps: false,
    };
    check_together(&feature, &mut faults);
    let counts = COUNTS.iter().chain(&["warmup_steps"]).filter_map(|key| feature.opt_param(key));
    let steps: i64 = counts.sum::<i64>() + i64::from(column.warmup_min_events);
    feature.warmup_min_events = u32::try_from(steps).unwrap_or(u32::MAX);
    if let Some(index) = earlier.iter().position(|f| f.name == feature.choice_param("of")) {
        let input = &earlier[index];
        feature.reads = input.reads;
        (feature.input, feature.input_dtype) = (Some(index), input.column.dtype);
        feature.input_steps = input.column.counts_own_steps();
        if column.has_unit_of_input() {
            feature.unit = input.unit;
            feature.scale = if column.dtype == Dtype::I64 { input.scale } else { column.scale };
        }
        let is_amount = column.has_unit_of_input() && column.dtype == Dtype::I64;
        if is_amount && input.column.dtype == Dtype::F64 {
            let message =
                format!("`{}` is a float; a rounded average needs an integer", input.name);
            faults.push(fault(".params.of", message));
        }
        feature.warmup_min_ns = feature.opt_param("tau_ns").unwrap_or(0);
    }
    if column.behaviour == Behaviour::Window {
        feature.warmup_min_ns = feature.opt_param("window_ns").unwrap_or(0);
    }
    feature.name = spec.alias.clone().unwrap_or_else(|| default_name(&feature));
    check_name(&feature.name, &mut faults);
    if faults.is_empty() { Ok(feature) } else { Err(faults) }
}

fn resolve_params(
    family: &'static FamilyMeta,
    column: &'static ColumnMeta,
    given: &[(String, ParamValue)],
    earlier: &[Feature],
    faults: &mut Faults,
) -> Vec<(&'static str, ParamValue)> {
    for (index, (key, _)) in given.iter().enumerate() {
        if !column.params.contains(&key.as_str()) {
            let takes = match column.params {
                [] => "takes no parameters".into(),
                keys => format!("takes {}", keys.join(", ")),
            };
            let message = format!("unknown parameter; `{}` {takes}", column.id);
            faults.push(fault(&format!(".params.{key}"), message));
        }
        if given[..index].iter().any(|(other, _)| other == key) {
            faults.push(fault(&format!(".params.{key}"), "given twice".into()));
        }
    }
    let mut params: Vec<(&'static str, ParamValue)> = Vec::new();
    for meta in family.params.iter().filter(|meta| column.params.contains(&meta.key)) {
        let path = format!(".params.{}", meta.key);
        let value = given.iter().find(|(key, _)| key == meta.key).map(|(_, value)| value);
        let resolved = match (meta.kind, value) {
            (ParamKind::Int { default, .. }, None) => default.map(ParamValue::Int),
            (ParamKind::Int { min, max, .. }, Some(ParamValue::Int(x)))
                if (min..=max).contains(x) =>
            {
                Some(ParamValue::Int(*x))
            }
            (ParamKind::Int { min, max, .. }, Some(other)) => {
                faults.push(fault(&path, format!("{other} is not an integer in {min}..={max}")));
                continue;
            }
            (ParamKind::Choice(words), None) => Some(ParamValue::Text(words[0].into())),
            (ParamKind::Choice(words), Some(ParamValue::Text(word)))
                if words.contains(&word.as_str()) =>
            {
                Some(ParamValue::Text(word.clone()))
            }
            (ParamKind::Choice(words), Some(other)) => {
                faults.push(fault(&path, format!("{other} is none of {}", words.join(", "))));
                continue;
            }
            (ParamKind::Column, Some(ParamValue::Text(name)))
                if earlier.iter().any(|f| f.name == *name) =>
            {
                Some(ParamValue::Text(name.clone()))
            }
            (ParamKind::Column, other) => {
                let found = other.map_or_else(|| "nothing".into(), ToString::to_string);
                let message = format!("{found} is not the name of an earlier feature of the set");
                faults.push(fault(&path, message));
                continue;
            }
        };
        let optional = column.alternative(meta.key).is_some();
        match resolved {
            Some(value) => params.push((meta.key, value)),
            None if optional => {}
            None => faults.push(fault(&path, "required".into())),
        }
    }
    params.sort_by_key(|(key, _)| *key);
    params
}

/// Conditions between parameters.
fn check_together(feature: &Feature, faults: &mut Faults) {
    if let (Some(lo), Some(hi)) = (feature.opt_param("lo_bps"), feature.opt_param("hi_bps"))
        && lo >= hi
    {
        faults.push(fault(".params.hi_bps", format!("{hi} is not above lo_bps {lo}")));
    }
    if let (Some(near), Some(far)) = (feature.opt_param("near_bps"), feature.opt_param("far_bps"))
        && near >= far
    {
        faults.push(fault(".params.far_bps", format!("{far} is not above near_bps {near}")));
    }
    if let (Some(tight), Some(wide)) =
        (feature.opt_param("tight_pct"), feature.opt_param("wide_pct"))
        && tight >= wide
    {
        faults.push(fault(".params.wide_pct", format!("{wide} is not above tight_pct {tight}")));
    }
    if let (Some(level), Some(levels)) = (feature.opt_param("level"), feature.opt_param("levels"))
        && level >= levels
    {
        faults.push(fault(".params.level", format!("{level} is not below levels {levels}")));
    }
    for [one, other] in ALTERNATIVES {
        let takes = |key: &str| feature.column.params.contains(&key);
        let given = [one, other].iter().filter(|key| feature.opt_param(key).is_some()).count();
        if takes(one) && takes(other) && given != 1 {
            faults.push(fault(".params", format!("give either {one} or {other}")));
        }
    }
}

fn check_name(name: &str, faults: &mut Faults) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if name.len() > 64 || !starts_well || !name.chars().all(legal) {
        let shown: String = name.escape_default().take(80).collect();
        let message = format!("name `{shown}` is not 1 to 64 of a-z, 0-9, _, from a letter");
        faults.push(fault(".alias", message));
    }
}

fn default_name(feature: &Feature) -> String {
    let mut name = feature.column.name.to_owned();
    for key in feature.column.params {
        let text = match feature.param(key) {
            // A number of steps and a time take the same place in a name; the time has its unit.
            Some(ParamValue::Int(value))
                if key.ends_with("_ns") && feature.column.alternative(key).is_some() =>
            {
                format!("{value}ns")
            }
            Some(ParamValue::Int(value)) => value.to_string(),
            Some(ParamValue::Text(word)) => word.clone(),
            None => String::new(),
        };
        name = name.replace(&format!("{{{key}}}"), &text);
    }
    name
}

fn hash(json: &str) -> u64 {
    let digest = blake3::hash(json.as_bytes());
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}

fn canonical_json(features: &[Feature]) -> String {
    let list: Vec<String> = features.iter().map(feature_json).collect();
    format!("{{\"abi\":1,\"numeric\":{NUMERIC_VERSION},\"features\":[{}]}}", list.join(","))
}

/// Names, units and words are plain ASCII without quotes, so no escapes are needed.
fn feature_json(f: &Feature) -> String {
    let mut params: Vec<String> = f
        .params
        .iter()
        .map(|(key, value)| match value {
            ParamValue::Int(value) => format!("\"{key}\":{value}"),
            ParamValue::Text(word) => format!("\"{key}\":\"{word}\""),
        })
        .collect();
    if let (Some(span), "ema") = (f.opt_param("span"), f.family.slug) {
        params.insert(0, format!("\"alpha_bits\":\"{:016x}\"", span_alpha(span).to_bits()));
    }
    format!(
        "{{\"name\":\"{}\",\"family\":\"{}\",\"column\":\"{}\",\"rev\":{},\"dtype\":\"{}\",\
         \"scale\":\"{}\",\"unit\":\"{}\",\"warmup_min_events\":{},\"warmup_min_ns\":{},\
         \"source\":\"{}\",\"params\":{{{}}}}}",
        f.name,
        f.family.slug,
        f.column.id,
        f.column.rev,
        f.column.dtype.name(),
        f.scale.name(),
        f.unit,
        f.warmup_min_events,
        f.warmup_min_ns,
        f.reads.source_kind(),
        params.join(","),
    )
}
