//! Trees of XGBoost that `python/tools/tree_models.py` wrote with three of its versions: the scores in the
//! files are XGBoost's, on rows and on thresholds.
#![cfg(feature = "trees")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};

use feature_infer::{AnyModel, Error, Model, TreeModel};
use serde_json::{Value, json};

const VERSIONS: [&str; 3] = ["1_7", "2_1", "3_2"];
const REGRESSION: &str = "xgboost_3_2_regression.json";
const BINARY: &str = "xgboost_3_2_binary.json";
const SEVERAL: &str = "xgboost_3_2_multiclass.json";

type Change<'a> = &'a dyn Fn(&mut Value);

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn parse(file: &Value) -> Result<TreeModel, Error> {
    TreeModel::parse(&file.to_string())
}

/// Why a file is refused whose trees were changed and which was given the checksum that fits.
fn refused(name: &str, change: impl Fn(&mut Value)) -> String {
    let mut file = read(name);
    let mut text: Value = serde_json::from_str(file["text"].as_str().unwrap()).unwrap();
    change(&mut text);
    file["text"] = text.to_string().into();
    refused_file(file)
}

fn refused_file(mut file: Value) -> String {
    if let Err(Error::Checksum { computed, .. }) = parse(&file) {
        file["checksum"] = computed.into();
    }
    parse(&file).unwrap_err().to_string()
}

fn model(text: &mut Value) -> &mut Value {
    &mut text["learner"]["gradient_booster"]["model"]
}

fn numbers(row: &Value) -> Vec<f64> {
    row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Compares the scores of a row, and gives their bits.
fn check(model: &TreeModel, inputs: &[f64], want: &[f64]) -> Vec<u64> {
    let mut have = vec![0.0; model.outputs().len()];
    assert!(model.score(inputs, &mut have));
    assert_eq!(have.len(), want.len());
    for (have, want) in have.iter().zip(want) {
        if model.outputs() == ["score"] {
            assert_eq!(have.to_bits(), want.to_bits(), "{inputs:?}");
        } else {
            assert!((have - want).abs() < 1e-6, "{have} {want} {inputs:?}");
        }
    }
    want.iter().map(|score| score.to_bits()).collect()
}

#[test]
fn scores_are_those_of_xgboost_in_three_of_its_versions() {
    for version in VERSIONS {
        for (task, outputs) in [
            ("regression", &["score"][..]),
            ("binary", &["p_up"]),
            ("multiclass", &["p_down", "p_flat", "p_up"]),
        ] {
            let file = read(&format!("xgboost_{version}_{task}.json"));
            let model = parse(&file).unwrap();
            assert_eq!(model.outputs(), outputs);
            assert_eq!((model.feature_set_id(), model.features().len()), ("l2_linear_v1", 18));
            let vectors = file["test_vectors"].as_array().unwrap();
            let scores = vectors.iter().flat_map(|vector| {
                check(&model, &numbers(&vector["inputs"]), &numbers(&vector["scores"]))
            });
            let mut distinct: Vec<u64> = scores.collect();
            distinct.sort_unstable();
            distinct.dedup();
            assert!(vectors.len() == 32 && distinct.len() > 8, "{version} {task}");
        }
    }
}

#[test]
fn a_missing_value_takes_the_branch_that_xgboost_takes() {
    for version in VERSIONS {
        let name = format!("xgboost_{version}_missing");
        let model = parse(&read(&format!("{name}.json"))).unwrap();
        let rows = read(&format!("{name}.rows"));
        let (inputs, scores) = (&rows["inputs"], &rows["scores"]);
        for (inputs, scores) in inputs.as_array().unwrap().iter().zip(scores.as_array().unwrap()) {
            assert!(inputs.as_array().unwrap().iter().any(Value::is_null));
            check(&model, &numbers(inputs), &numbers(scores));
        }
        // The branch matters: the other one gives other scores somewhere.
        let mut file = read(&format!("{name}.json"));
        let mut text: Value = serde_json::from_str(file["text"].as_str().unwrap()).unwrap();
        for tree in trees_of(&mut text) {
            for flag in tree["default_left"].as_array_mut().unwrap() {
                *flag = (1 - flag.as_u64().unwrap()).into();
            }
        }
        file["text"] = text.to_string().into();
        let Err(Error::Checksum { computed, .. }) = parse(&file) else { panic!("unchanged") };
        file["checksum"] = computed.into();
        let turned = parse(&file).unwrap();
        let differs = inputs.as_array().unwrap().iter().any(|row| {
            let (mut one, mut other) = ([0.0; 3], [0.0; 3]);
            model.score(&numbers(row), &mut one)
                && turned.score(&numbers(row), &mut other)
                && one != other
        });
        assert!(differs, "{version}");
    }
}

fn trees_of(text: &mut Value) -> &mut Vec<Value> {
    model(text)["trees"].as_array_mut().unwrap()
}

#[test]
fn a_number_that_binary32_cannot_hold_has_no_score() {
    let model = AnyModel::load(&path(BINARY)).unwrap();
    let mut row = numbers(&read(BINARY)["test_vectors"][0]["inputs"]);
    let mut scores = [0.0];
    assert!(model.score(&row, &mut scores));
    for wide in [1e39, f64::NEG_INFINITY] {
        row[17] = wide;
        assert!(!model.score(&row, &mut scores), "{wide}");
    }
}

#[test]
fn trees_that_cannot_be_scored_are_refused() {
    let changes: [(&str, &str, Change); 9] = [
        (SEVERAL, "`multi:softprob`, found `multi:softmax`", &|text| {
            text["learner"]["objective"]["name"] = "multi:softmax".into();
        }),
        (BINARY, "gradient_booster.name: expected `gbtree`, found `dart`", &|text| {
            text["learner"]["gradient_booster"] = json!({"name": "dart", "gbtree": {}});
        }),
        (
            BINARY,
            "trees[1].split_type[0]: expected 0: columns are numbers, not categories",
            &|text| {
                model(text)["trees"][1]["split_type"][0] = 1.into();
            },
        ),
        (BINARY, "trees[0].tree_param.size_leaf_vector: expected 0 or 1, found 3", &|text| {
            model(text)["trees"][0]["tree_param"]["size_leaf_vector"] = "3".into();
        }),
        (BINARY, "feature_names: expected 18 values, found 17", &|text| {
            text["learner"]["feature_names"].as_array_mut().unwrap().pop();
        }),
        (BINARY, "feature_names[0]: expected `mid`, found `spread`", &|text| {
            text["learner"]["feature_names"].as_array_mut().unwrap().swap(0, 1);
        }),
        (BINARY, "missing field `objective`", &|text| {
            text["learner"].as_object_mut().unwrap().remove("objective");
        }),
        (SEVERAL, "num_class: expected 2 to 12, the number of trees, found 1000000000", &|text| {
            text["learner"]["learner_model_param"]["num_class"] = "1000000000".into();
        }),
        (BINARY, "num_class: expected 0 or 1, found 3", &|text| {
            text["learner"]["learner_model_param"]["num_class"] = "3".into();
        }),
    ];
    for (name, expected, change) in changes {
        let refused = refused(name, change);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn trees_that_are_no_trees_are_refused() {
    let changes: [(&str, Change); 8] = [
        ("trees: expected 4 trees, found 3", &|text| {
            trees_of(text).pop();
        }),
        ("tree_info: expected 4 values, found 3", &|text| {
            model(text)["tree_info"].as_array_mut().unwrap().pop();
        }),
        ("tree_info[2]: expected below 1, found 1", &|text| {
            model(text)["tree_info"][2] = 1.into();
        }),
        ("trees[3].default_left: expected", &|text| {
            model(text)["trees"][3]["default_left"].as_array_mut().unwrap().pop();
        }),
        ("trees[0]: a child of node 0: expected a node of its own, 1 to", &|text| {
            model(text)["trees"][0]["left_children"][0] = 0.into();
        }),
        ("trees[0]: a child of node 1: expected a node of its own, 1 to", &|text| {
            model(text)["trees"][0]["left_children"][1] = 2.into();
        }),
        ("found -1", &|text| {
            model(text)["trees"][0]["left_children"][0] = (-1).into();
        }),
        ("trees[0].split_indices[0]: expected below 18, found 18", &|text| {
            model(text)["trees"][0]["split_indices"][0] = 18.into();
        }),
    ];
    for (expected, change) in changes {
        let refused = refused(BINARY, change);
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
}

#[test]
fn a_reader_that_computes_otherwise_is_found_by_the_vectors() {
    let trainer = "the trainer has";
    let base = |score: &'static str| {
        move |text: &mut Value| {
            text["learner"]["learner_model_param"]["base_score"] = score.into();
        }
    };
    // A margin where a probability is meant, another intercept, one of three swapped.
    assert!(refused(BINARY, base("[5E-1]")).contains(trainer));
    assert!(refused(REGRESSION, base("[1E-3]")).contains(trainer));
    assert!(refused(SEVERAL, base("[0E0,1E0,2E0]")).contains(trainer));
    for (name, score, expected) in [
        (BINARY, "[1.5E0]", "a probability, found [1.5E0]"),
        (BINARY, "0E0", "a probability, found 0E0"),
        (BINARY, "[5E-1,5E-1]", "a probability"),
        (SEVERAL, "[1E0,2E0]", "1 or 3 finite numbers"),
        (REGRESSION, "inf", "a finite number"),
    ] {
        let refused = refused(name, base(score));
        assert!(refused.contains(&format!("base_score: expected {expected}")), "{refused}");
    }
    // One place of a float at a threshold: the vectors lie on both sides of it.
    for (tree, up) in [(0, true), (0, false), (3, true), (3, false)] {
        let found = refused(REGRESSION, |text| {
            let threshold = &mut model(text)["trees"][tree]["split_conditions"][0];
            let number = threshold.as_f64().unwrap() as f32;
            let moved = if up { number.next_up() } else { number.next_down() };
            *threshold = f64::from(moved).into();
        });
        assert!(found.contains(trainer), "{tree} {up}: {found}");
    }
    // A class that gets the trees of another one.
    let info = |text: &mut Value| model(text)["tree_info"].as_array_mut().unwrap().swap(0, 1);
    assert!(refused(SEVERAL, info).contains(trainer));
}

#[test]
fn a_text_that_was_cut_is_refused_wherever_it_was() {
    let whole = read(BINARY);
    let text = whole["text"].as_str().unwrap();
    for end in (0..text.len()).step_by(97).chain([text.len() - 1]) {
        let mut file = whole.clone();
        file["text"] = text[..end].into();
        let refused = refused_file(file);
        assert!(refused.contains("a model that XGBoost saved"), "{end}: {refused}");
    }
    let mut file = whole.clone();
    file["text"] = text.replacen("\"id\":0", "\"id\":1", 1).into();
    assert!(matches!(parse(&file), Err(Error::Checksum { .. })));
}

/// XGBoost writes the shortest text of a float; by way of a double, this one would be its neighbour.
#[test]
fn a_float_is_read_without_a_detour() {
    let text = "7.038531e-26";
    assert_ne!(text.parse::<f64>().unwrap() as f32, text.parse::<f32>().unwrap());
    assert_eq!(serde_json::from_str::<f32>(text).unwrap(), text.parse::<f32>().unwrap());
}
