//! `featureplane score`: scores beside the features they come from, and models that are refused.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::path::Path;

use command::{featureplane, market, names, recording};
use feature_infer::{LinearModel, Model, PlainWeights};
use feature_kernel::meta::Scale;

/// What a quantity of 1 is in the tables of the synthetic market, which has lots of 0.001.
const LOTS: f64 = 1_000.0;

/// A model of the plain weights 1, 2, 3 ... over a set.
fn model(folder: &Path, set: &str, name: &str) -> LinearModel {
    let set = feature_runtime::built_in_set(set).unwrap();
    let weights = (0..set.len()).map(|index| 1e-4 * index as f64).collect();
    let model = LinearModel::from_plain(&PlainWeights { bias: -1.0, weights }, &set).unwrap();
    std::fs::write(folder.join(name), model.to_json()).unwrap();
    model
}

/// Cells of a CSV by row and name.
fn cells(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    (rows.next().unwrap(), rows.collect())
}

#[test]
fn every_row_has_the_score_of_its_own_features() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), "l2_linear_v1", "m.json");
    check_rows(folder.path(), &model, &["p_up"]);
}

#[cfg(feature = "trees")]
#[test]
fn every_row_has_the_score_of_its_own_trees() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../feature-infer/tests/models");
    let several = &["p_down", "p_flat", "p_up"];
    for (name, outputs) in [
        ("trees_binary.json", &["p_up"][..]),
        ("trees_regression.json", &["score"]),
        ("trees_multiclass.json", several),
        ("xgboost_3_2_binary.json", &["p_up"]),
        ("xgboost_3_2_regression.json", &["score"]),
        ("xgboost_3_2_multiclass.json", several),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(models.join(name), folder.path().join("m.json")).unwrap();
        let model = feature_infer::AnyModel::load(&models.join(name)).unwrap();
        check_rows(folder.path(), &model, outputs);
    }
}

/// Scores a recording by the model in `m.json` and compares every row.
fn check_rows(folder: &Path, model: &impl Model, outputs: &[&str]) {
    recording(folder, "x.gz", &market());
    let set = feature_runtime::built_in_set("l2_linear_v1").unwrap();
    let args = ["score", "--input", "x.gz", "--model", "m.json", "--out", "x.csv"];
    let said = featureplane(folder, &args);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let (head, rows) = cells(&folder.join("x.csv"));
    assert_eq!(&head[head.len() - outputs.len()..], outputs);
    let first = head.iter().position(|name| *name == model.features()[0]).unwrap();
    let ready = head.iter().position(|name| name == "warmup_ready").unwrap();
    let mut scored = 0;
    for row in &rows {
        let (features, have) = row[first..].split_at(row.len() - first - outputs.len());
        let numbers = features.iter().zip(set.features()).map(|(cell, feature)| {
            cell.parse::<f64>().map(|x| if feature.scale == Scale::Qty { x / LOTS } else { x })
        });
        let inputs: Result<Vec<f64>, _> = numbers.collect();
        let (Ok(inputs), "1") = (inputs, row[ready].as_str()) else {
            assert!(have.iter().all(String::is_empty), "{row:?}");
            continue;
        };
        let mut want = vec![0.0; outputs.len()];
        assert!(model.score(&inputs, &mut want));
        let have: Vec<f64> = have.iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(have, want, "{row:?}");
        scored += 1;
    }
    assert!(scored > 20 && scored < rows.len(), "{scored} of {} rows", rows.len());
}

#[test]
fn a_model_that_does_not_fit_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let good = model(folder.path(), "l2_linear_v1", "m.json").to_json();
    let run = |model: &str, more: &[&str]| {
        let args = ["score", "--input", "x.gz", "--model", model, "--out", "x.parquet"];
        featureplane(folder.path(), &[&args[..], more].concat())
    };
    let said = run("m.json", &["--set", "core_v1"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("the model has 18 inputs (set `l2_linear_v1`)"), "{said:?}");
    assert!(said.stderr.contains("`core_v1` has"), "{said:?}");
    std::fs::write(folder.path().join("edited.json"), good.replace("0.0003", "0.0004")).unwrap();
    let said = run("edited.json", &[]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("checksum"), "{said:?}");
    assert!(run("absent.json", &[]).stderr.contains("absent.json"));
    assert_eq!(names(folder.path()), ["edited.json", "m.json", "x.gz"]);
}
