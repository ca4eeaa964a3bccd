//! Files that `featureplane.models` wrote on a synthetic day: the scores in them are those of the scalar
//! reference in Python, and reading a file compares them with ours bit for bit.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;

use feature_infer::{Error, LinearModel};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn scores_of_the_python_reference_are_ours_bit_for_bit() {
    for (name, outputs) in [
        ("identity.json", &["score"][..]),
        ("logistic.json", &["p_up"]),
        ("isotonic.json", &["p_up"]),
        ("softmax.json", &["p_down", "p_flat", "p_up"]),
    ] {
        let model = LinearModel::parse(&text(name)).unwrap();
        assert_eq!(model.outputs(), outputs, "{name}");
        assert_eq!((model.feature_set_id(), model.features().len()), ("l2_linear_v1", 18));
        assert!(model.training().rows > 100 && model.training().from_ns < model.training().to_ns);
    }
}

#[test]
fn a_score_of_the_trainer_that_is_one_ulp_off_is_found() {
    let mut file: serde_json::Value = serde_json::from_str(&text("softmax.json")).unwrap();
    let score = &mut file["test_vectors"][7]["scores"][2];
    *score = f64::from_bits(score.as_f64().unwrap().to_bits() + 1).into();
    let refused = LinearModel::parse(&file.to_string()).unwrap_err();
    assert!(matches!(refused, Error::TestVector { index: 7, output: 2, .. }), "{refused}");
}
