//! Trees of LightGBM that `featureplane.models.export_trees` wrote: the scores in the files are LightGBM's.
#![cfg(feature = "trees")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::sync::Arc;

use feature_infer::{Error, Model, Scorer, TreeModel};
use feature_kernel::{FeatureSet, FeatureSpec};
use market_model::Instrument;
use serde_json::{Value, json};

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn parse(file: &Value) -> Result<TreeModel, Error> {
    TreeModel::parse(&file.to_string())
}

/// Gives a changed file the checksum that fits.
fn signed(mut file: Value) -> Value {
    let Err(Error::Checksum { computed, .. }) = parse(&file) else {
        panic!("the file is unchanged")
    };
    file["checksum"] = computed.into();
    file
}

fn changed(name: &str, change: impl Fn(&mut Value)) -> Value {
    let mut file = read(name);
    change(&mut file);
    file
}

fn message(file: &Value) -> String {
    parse(file).unwrap_err().to_string()
}

fn replaced(file: &mut Value, from: &str, to: &str) {
    let text = file["text"].as_str().unwrap();
    assert!(text.contains(from), "{from}");
    file["text"] = text.replacen(from, to, 1).into();
}

#[test]
fn scores_are_those_of_lightgbm() {
    for (name, outputs) in [
        ("trees_binary.json", &["p_up"][..]),
        ("trees_regression.json", &["score"]),
        ("trees_multiclass.json", &["p_down", "p_flat", "p_up"]),
    ] {
        let file = read(name);
        let model = parse(&file).unwrap();
        assert_eq!(model.outputs(), outputs);
        assert_eq!((model.feature_set_id(), model.features().len()), ("l2_linear_v1", 18));
        assert!(model.training().rows > 100);
        let vectors = file["test_vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 40);
        let mut distinct: Vec<u64> = Vec::new();
        for vector in vectors {
            let inputs: Vec<f64> =
                vector["inputs"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            let mut have = vec![0.0; outputs.len()];
            assert!(model.score(&inputs, &mut have));
            for (index, have) in have.iter().enumerate() {
                let want = vector["scores"][index].as_f64().unwrap();
                assert!((have - want).abs() <= 1e-12 * want.abs().max(1.0), "{have:?} {want}");
                distinct.push(want.to_bits());
            }
        }
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 10, "the vectors reach different leaves");
    }
}

#[test]
fn a_score_allocates_nothing() {
    for name in [
        "trees_binary.json",
        "trees_multiclass.json",
        "xgboost_3_2_regression.json",
        "xgboost_3_2_multiclass.json",
    ] {
        let model = parse(&read(name)).unwrap();
        let (inputs, mut scores) = ([0.5; 18], vec![0.0; model.outputs().len()]);
        let counted = allocation_counter::measure(|| assert!(model.score(&inputs, &mut scores)));
        assert_eq!(counted.count_total, 0, "{name}");
    }
    let planted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 64])));
    assert_eq!(planted.count_total, 1, "the counter counts");
}

#[test]
fn planted_defects_of_a_file_are_refused() {
    let binary = "trees_binary.json";
    let steeper = |file: &mut Value| replaced(file, "sigmoid:1", "sigmoid:2");
    assert!(message(&changed(binary, steeper)).contains("checksum"));
    assert!(message(&signed(changed(binary, steeper))).contains("the trainer has"));
    let renamed = |file: &mut Value| {
        replaced(file, "feature_names=mid spread", "feature_names=spread mid");
    };
    let refused = message(&signed(changed(binary, renamed)));
    assert!(refused.contains("feature_names[0]: expected `mid`, found `spread`"), "{refused}");
    let short = |file: &mut Value| replaced(file, "feature_names=mid ", "feature_names=");
    assert!(message(&signed(changed(binary, short))).contains("expected 18 values, found 17"));
    let regression = |file: &mut Value| file["classes"] = json!([]);
    assert!(message(&signed(changed(binary, regression))).contains("2 for `logistic`, found 0"));
    let many = |file: &mut Value| replaced(file, "num_class=1", "num_class=3");
    assert!(message(&signed(changed(binary, many))).contains("trees that can be scored"));
    let none = |file: &mut Value| file["test_vectors"] = json!([]);
    assert!(message(&changed(binary, none)).contains("1 or more"));
    let linear = |file: &mut Value| file["kind"] = "linear".into();
    assert!(message(&changed(binary, linear)).contains("expected trees, found `linear`"));
    let other = |file: &mut Value| file["kind"] = "xgboost".into();
    assert!(message(&signed(changed(binary, other))).contains("a model that XGBoost saved"));
    let categories = |file: &mut Value| replaced(file, "num_cat=0", "num_cat=1");
    let refused = message(&signed(changed(binary, categories)));
    assert!(refused.contains("0: columns are numbers, not categories, found 1"), "{refused}");
    let cut = |file: &mut Value| replaced(file, "\nend of trees", "");
    assert!(message(&signed(changed(binary, cut))).contains("a line `end of trees`"));
    assert!(message(&changed(binary, |file| file["extra"] = 1.into())).contains("unknown field"));
    let far = |file: &mut Value| {
        let score = &mut file["test_vectors"][3]["scores"][0];
        *score = (score.as_f64().unwrap() + 1e-11).into();
    };
    assert!(matches!(parse(&changed(binary, far)), Err(Error::TestVector { index: 3, .. })));
}

#[test]
fn planted_defects_of_several_classes_are_refused() {
    let several = "trees_multiclass.json";
    let swapped = |file: &mut Value| file["classes"] = json!(["down", "up"]);
    let refused = message(&signed(changed(several, swapped)));
    assert!(
        refused.contains("classes: expected 3, as many as the trees have, found 2"),
        "{refused}"
    );
    let twice = |file: &mut Value| file["classes"] = json!(["down", "down", "up"]);
    assert!(message(&signed(changed(several, twice))).contains("a label of its own"));
    let apart = |file: &mut Value| {
        replaced(file, "objective=multiclass num_class:3", "objective=multiclassova num_class:3");
    };
    let refused = message(&signed(changed(several, apart)));
    assert!(refused.contains("`multiclass` with a softmax, found `multiclassova`"), "{refused}");
    let fewer = |file: &mut Value| replaced(file, "num_class=3", "num_class=5");
    let refused = message(&signed(changed(several, fewer)));
    assert!(refused.contains("as many for each of 5 classes, found 24"), "{refused}");
    let one = |file: &mut Value| replaced(file, "num_class=3", "num_class=1");
    assert!(message(&signed(changed(several, one))).contains("2 or more for `multiclass`"));
    // The trees of the first round in the order of other classes.
    let mixed = |file: &mut Value| {
        replaced(file, "\nTree=0\n", "\nTree=x\n");
        let text = file["text"].as_str().unwrap();
        let (first, second) = (text.find("Tree=x").unwrap(), text.find("Tree=1").unwrap());
        let third = text.find("Tree=2").unwrap();
        let parts = [&text[..first], &text[second..third], &text[first..second], &text[third..]];
        file["text"] = parts.concat().into();
    };
    assert!(message(&signed(changed(several, mixed))).contains("the trainer has"));
}

/// A regression of one stump over the columns `mid` and `spread` of the set `two`.
fn stump(schema_hash: u64) -> Value {
    let text = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\n\
                objective=regression\nfeature_names=mid spread\n\nTree=0\nnum_leaves=2\n\
                split_feature=1\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\n\
                leaf_value=-1.5 2.5\n\nend of trees\n";
    signed(json!({
        "featureplane_model": 1, "kind": "lightgbm", "feature_set_id": "two",
        "schema_hash": format!("{schema_hash:016x}"), "features": ["mid", "spread"], "classes": [],
        "text": text, "training": {"from_ns": 0, "to_ns": 0, "rows": 0},
        "test_vectors": [{"inputs": [1.0, 0.5], "scores": [-1.5]}, {"inputs": [1.0, 0.6], "scores": [2.5]}],
        "checksum": "",
    }))
}

fn set(id: &str, columns: &[&str]) -> FeatureSet {
    let spec = |column: &&str| FeatureSpec {
        family: "mid_spread".into(),
        column: (*column).into(),
        ..FeatureSpec::default()
    };
    FeatureSet::new(id, &columns.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

#[test]
fn trees_are_bound_to_their_columns_as_every_model_is() {
    let two = set("two", &["mid", "spread"]);
    let model = Arc::new(parse(&stump(two.schema_hash())).unwrap());
    let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let mut scorer = Scorer::new(Arc::clone(&model), &two, &btc).unwrap();
    let words = [100.0, 0.4].map(f64::to_bits);
    assert_eq!(scorer.score_words(&words, true, |_| true), Some(&[-1.5][..]));
    assert_eq!(scorer.score_words(&words, true, |index| index != 1), None);
    let refused = |model: &Arc<TreeModel>, set: &FeatureSet| {
        Scorer::new(Arc::clone(model), set, &btc).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&model, &set("owt", &["spread", "mid"])),
        "input 0 of the model (set `two`) is `mid`, feature 0 of the set `owt` is `spread`"
    );
    assert_eq!(
        refused(&model, &set("one", &["mid"])),
        "the model has 2 inputs (set `two`), the feature set `one` has 1 features"
    );
    let other = Arc::new(parse(&stump(0x0123_4567_89ab_cdef)).unwrap());
    let text = refused(&other, &two);
    assert!(text.contains("0123456789abcdef"), "{text}");
    assert!(text.contains(&format!("{:016x}", two.schema_hash())), "{text}");
}
