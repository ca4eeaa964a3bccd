use std::sync::Arc;

use feature_kernel::{FeatureSpec, FrameBuf};
use market_model::Instrument;
use serde_json::{Value, json};

use super::*;
use crate::Scorer;

fn set(id: &str, columns: &[(&str, &str)]) -> FeatureSet {
    let spec = |(family, column): &(&str, &str)| FeatureSpec {
        family: (*family).into(),
        column: (*column).into(),
        ..FeatureSpec::default()
    };
    FeatureSet::new(id, &columns.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

fn two() -> FeatureSet {
    set("two", &[("mid_spread", "mid"), ("mid_spread", "spread")])
}

/// A model file over `two()` with its checksum and one test vector filled in.
fn file(link: &str, classes: &[&str], intercepts: &[f64], weights: &[[f64; 2]]) -> Value {
    let mut file = json!({
        "featureplane_model": 1, "kind": "linear", "link": link, "feature_set_id": "two",
        "schema_hash": format!("{:016x}", two().schema_hash()), "features": ["mid", "spread"],
        "classes": classes, "intercepts": intercepts, "weights": weights,
        "calibration": {"slope": 1.0, "offset": 0.0, "knots": []},
        "training": {"from_ns": 1, "to_ns": 2, "rows": 3},
        "test_vectors": [], "checksum": "",
    });
    sign(&mut file);
    let model = LinearModel::assembled(serde_json::from_value(file.clone()).unwrap()).unwrap();
    let inputs = [0.1, -0.7];
    let mut scores = vec![0.0; model.outputs().len()];
    assert!(model.score(&inputs, &mut scores));
    file["test_vectors"] = json!([{"inputs": inputs, "scores": scores}]);
    file
}

fn sign(file: &mut Value) {
    let typed: ModelFile = serde_json::from_value(file.clone()).unwrap();
    file["checksum"] = typed.computed_checksum().into();
}

fn three_classes() -> Value {
    let weights = [[1.25, -0.3], [0.1, 0.2], [-1.5, 0.7]];
    file("softmax", &["down", "flat", "up"], &[0.5, -0.25, 0.125], &weights)
}

fn parse(file: &Value) -> Result<LinearModel, Error> {
    LinearModel::parse(&file.to_string())
}

#[test]
fn sums_start_at_the_intercept_and_follow_the_features() {
    let model = parse(&file("identity", &[], &[1e16], &[[1.0, -1e16]])).unwrap();
    let mut score = [0.0];
    // (1e16 + 1) rounds to 1e16; any other order would keep the 1.
    assert!(model.score(&[1.0, 1.0], &mut score));
    assert_eq!(score[0].to_bits(), 0.0_f64.to_bits());
    assert_eq!(model.outputs(), ["score"]);
}

#[test]
fn three_classes_are_a_distribution() {
    let model = parse(&three_classes()).unwrap();
    let mut scores = [0.0; 3];
    for inputs in [[0.0, 0.0], [3.0, -2.0], [-800.0, 900.0]] {
        assert!(model.score(&inputs, &mut scores));
        assert!((scores.iter().fold(0.0, |sum, p| sum + p) - 1.0).abs() < 1e-15, "{scores:?}");
        assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)));
    }
    assert_eq!(model.outputs(), ["p_down", "p_flat", "p_up"]);
}

#[test]
fn a_logistic_score_does_not_overflow() {
    let model = parse(&file("logistic", &["rest", "up"], &[0.0], &[[1.0, 0.0]])).unwrap();
    let mut score = [0.0];
    for (z, want) in [(0.0, 0.5), (1e9, 1.0), (-1e9, 0.0)] {
        assert!(model.score(&[z, 0.0], &mut score));
        assert_eq!(score[0].to_bits(), f64::to_bits(want), "{z}");
    }
    assert!(!model.score(&[f64::INFINITY, 0.0], &mut score), "a sum that is not finite");
}

#[test]
fn calibration_comes_before_the_link() {
    let mut raw = file("identity", &[], &[1.0], &[[2.0, 3.0]]);
    raw["calibration"] = json!({"slope": 0.5, "offset": -4.0, "knots": []});
    raw["test_vectors"] = json!([{"inputs": [1.0, 1.0], "scores": [-1.0]}]);
    sign(&mut raw);
    assert!(parse(&raw).is_ok());
    assert!(matches!(parse(&raw).unwrap().to_plain(), Err(Error::NotPlain(_))));
}

#[test]
fn a_curve_comes_after_the_link_and_counts_in_the_checksum() {
    let mut raw = file("logistic", &["rest", "up"], &[0.0], &[[1.0, 0.0]]);
    let plain = raw["checksum"].clone();
    raw["calibration"]["knots"] = json!([[0.25, 0.0], [0.75, 1.0]]);
    raw["test_vectors"] = json!([{"inputs": [0.0, 3.0], "scores": [0.5]}]);
    sign(&mut raw);
    assert_ne!(raw["checksum"], plain);
    let model = parse(&raw).unwrap();
    let mut score = [0.0];
    for (z, want) in [(-9.0, 0.0), (0.0, 0.5), (9.0, 1.0)] {
        assert!(model.score(&[z, 0.0], &mut score));
        assert_eq!(score[0].to_bits(), f64::to_bits(want), "{z}");
    }
    assert!(matches!(model.to_plain(), Err(Error::NotPlain(_))));
    let refused = |knots: Value| {
        let mut bad = raw.clone();
        bad["calibration"]["knots"] = knots;
        sign(&mut bad);
        parse(&bad).unwrap_err().to_string()
    };
    assert!(refused(json!([[0.5, 0.0], [0.5, 1.0]])).contains("calibration.knots[1]"));
    assert!(refused(json!([[0.0, 0.0], [1.0, 1.5]])).contains("a probability, found [1.0, 1.5]"));
    let mut soft = three_classes();
    soft["calibration"]["knots"] = json!([[0.0, 0.0], [1.0, 1.0]]);
    sign(&mut soft);
    assert!(parse(&soft).unwrap_err().to_string().contains("none for `softmax`"));
}

#[test]
fn a_file_reads_back_to_the_same_bits() {
    let model = parse(&three_classes()).unwrap();
    assert_eq!(LinearModel::parse(&model.to_json()).unwrap(), model);
}

#[test]
fn planted_defects_of_a_file_are_refused() {
    let good = three_classes();
    let message = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, good, "the defect changes the file");
        parse(&bad).unwrap_err().to_string()
    };
    let ulp = f64::from_bits(1.25_f64.to_bits() + 1);
    assert!(message(&|f| f["weights"][0][0] = ulp.into()).contains("checksum"));
    assert!(message(&|f| f["features"] = json!(["spread", "mid"])).contains("checksum"));
    assert!(message(&|f| f["schema_hash"] = "00".into()).contains("16 hex digits"));
    assert!(message(&|f| f["schema_hash"] = "0123456789abcdef".into()).contains("checksum"));
    assert!(message(&|f| f["featureplane_model"] = 2.into()).contains("expected 1, found 2"));
    assert!(message(&|f| f["kind"] = "forest".into()).contains("`forest`"));
    assert!(message(&|f| f["extra"] = 1.into()).contains("unknown field"));
    assert!(message(&|f| f["weights"] = json!([[1, 2]])).contains("expected 3 values, found 1"));
    assert!(message(&|f| f["weights"][1] = json!([1])).contains("weights[1]"));
    assert!(message(&|f| f["intercepts"][0] = Value::Null).contains("model file"));
    assert!(message(&|f| f["classes"][0] = "up".into()).contains("classes[2]"));
    assert!(message(&|f| f["classes"][0] = "a b".into()).contains("classes[0]"));
    assert!(message(&|f| f["link"] = "logistic".into()).contains("2 for `logistic`"));
    assert!(message(&|f| f["test_vectors"] = json!([])).contains("1 or more"));
    assert!(
        message(&|f| f["test_vectors"][0]["inputs"] = json!([1])).contains("2 values, found 1")
    );
    // Swapped weights under a fresh checksum: the vectors still know.
    let swapped = message(&|f| {
        f["weights"][0] = json!([-0.3, 1.25]);
        sign(f);
    });
    assert!(swapped.contains("test_vectors[0].scores[0]: the trainer has"), "{swapped}");
}

#[test]
fn a_model_of_other_columns_is_refused_with_both_sides_named() {
    let model = Arc::new(parse(&three_classes()).unwrap());
    let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let bind = |set: &FeatureSet| Scorer::new(Arc::clone(&model), set, &btc);
    assert!(bind(&two()).is_ok());
    let swapped = set("owt", &[("mid_spread", "spread"), ("mid_spread", "mid")]);
    let text = bind(&swapped).unwrap_err().to_string();
    assert_eq!(
        text,
        "input 0 of the model (set `two`) is `mid`, feature 0 of the set `owt` is `spread`"
    );
    let text = bind(&set("one", &[("mid_spread", "mid")])).unwrap_err().to_string();
    assert_eq!(text, "the model has 2 inputs (set `two`), the feature set `one` has 1 features");
    let mut other = three_classes();
    other["schema_hash"] = "0123456789abcdef".into();
    sign(&mut other);
    let other = Arc::new(parse(&other).unwrap());
    let text = Scorer::new(other, &two(), &btc).unwrap_err().to_string();
    assert!(text.contains("0123456789abcdef"), "{text}");
    assert!(text.contains(&format!("{:016x}", two().schema_hash())), "{text}");
}

#[test]
fn a_frame_of_another_set_is_refused_and_one_without_values_has_no_score() {
    let model = Arc::new(parse(&three_classes()).unwrap());
    let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let mut scorer = Scorer::new(model, &two(), &btc).unwrap();
    let empty = FrameBuf::new(two().schema_hash(), 0, 2);
    assert_eq!(scorer.score_frame(empty.as_ref()).unwrap(), None);
    let strange = FrameBuf::new(1, 0, 2);
    assert!(matches!(scorer.score_frame(strange.as_ref()), Err(Error::Schema { .. })));
    let wide = FrameBuf::new(two().schema_hash(), 0, 3);
    assert!(matches!(scorer.score_frame(wide.as_ref()), Err(Error::Dimension { .. })));
}

#[test]
fn one_input_that_is_not_valid_or_not_ready_leaves_no_score() {
    let model = Arc::new(parse(&file("identity", &[], &[0.0], &[[1.0, 10.0]])).unwrap());
    let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let columns = two();
    let mut scorer = Scorer::new(model, &columns, &btc).unwrap();
    let words: Vec<u64> = columns
        .features()
        .iter()
        .map(|feature| match feature.column.dtype {
            feature_kernel::meta::Dtype::F64 => 2_f64.to_bits(),
            _ => 2,
        })
        .collect();
    assert!(scorer.score_words(&words, true, |_| true).is_some());
    assert_eq!(scorer.score_words(&words, false, |_| true), None);
    assert_eq!(scorer.score_words(&words, true, |index| index != 1), None);
}

#[test]
fn integer_columns_are_divided_by_their_scale() {
    let columns = set("top", &[("top", "best_bid"), ("top", "l1_bid_qty")]);
    let plain = PlainWeights { bias: 0.0, weights: vec![1.0, 100.0] };
    let mut raw: Value =
        serde_json::from_str(&LinearModel::from_plain(&plain, &columns).unwrap().to_json())
            .unwrap();
    (raw["link"], raw["classes"]) = ("identity".into(), json!([]));
    raw["test_vectors"] = json!([{"inputs": [1.5, 0.25], "scores": [26.5]}]);
    sign(&mut raw);
    let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let mut scorer = Scorer::new(Arc::new(parse(&raw).unwrap()), &columns, &btc).unwrap();
    assert_eq!(scorer.score_words(&[15, 250], true, |_| true), Some(&[26.5][..]));
}

#[test]
fn plain_weights_survive_the_way_through_a_model() {
    let plain = PlainWeights::parse("-1.5\n2\n0.1\n1e-300\n").unwrap();
    let model = LinearModel::from_plain(&plain, &two()).unwrap();
    assert_eq!(LinearModel::parse(&model.to_json()).unwrap().to_plain().unwrap(), plain);
    let short = PlainWeights { weights: vec![1.0], ..plain };
    assert!(matches!(LinearModel::from_plain(&short, &two()), Err(Error::Dimension { .. })));
    for (text, line) in [("", 1), ("nan\n0\n", 1), ("1\n", 2), ("1\n2\n3\n", 2), ("1\n1\nx\n", 3)] {
        let Err(Error::Weights { line: found, .. }) = PlainWeights::parse(text) else {
            panic!("{text:?} is refused")
        };
        assert_eq!(found, line, "{text:?}");
    }
}
