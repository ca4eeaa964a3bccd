//! Trees of LightGBM, from its text: one model of `bosk` per sum.

use bosk::LgbModel;

use super::{Forest, check_names};
use crate::error::Error;
use crate::file::{check_length, field};
use crate::link::Link;

/// The last line of the trees; what follows says how they were trained.
const END: &str = "\nend of trees";

/// A regression, a binary classifier, or a classifier of several classes with a softmax over their sums.
#[derive(Debug)]
pub(super) struct LightGbm {
    link: Link,
    sums: Vec<LgbModel>,
}

impl LightGbm {
    pub(super) fn parse(text: &str, features: &[String]) -> Result<Self, Error> {
        let Some(end) = text.find(END) else {
            return Err(field("text", "trees up to a line `end of trees`", "no such line"));
        };
        let trees = &text[..end];
        let categorical = trees.lines().filter_map(|line| line.strip_prefix("num_cat="));
        if let Some(count) = categorical.into_iter().find(|count| count.trim() != "0") {
            return Err(field("text: num_cat", "0: columns are numbers, not categories", count));
        }
        let names = stated(trees, "feature_names").unwrap_or("");
        check_names(features, &names.split_whitespace().collect::<Vec<_>>())?;
        let objective = stated(trees, "objective").unwrap_or("");
        let (link, texts) = match objective.split(' ').next().unwrap_or("") {
            "multiclass" => (Link::Softmax, texts_of_classes(trees)?),
            "multiclassova" => {
                let expected = "a regression, `binary`, or `multiclass` with a softmax";
                return Err(field("text: objective", expected, "`multiclassova`"));
            }
            "binary" => (Link::Logistic, vec![trees.to_owned()]),
            _ => (Link::Identity, vec![trees.to_owned()]),
        };
        let sums = texts.iter().map(|text| {
            let model = LgbModel::parse(text)
                .map_err(|error| field("text", "trees that can be scored", error))?;
            check_length("text: features", features.len(), model.num_features())?;
            Ok(model)
        });
        let sums = sums.collect::<Result<_, Error>>()?;
        Ok(Self { link, sums })
    }
}

impl Forest for LightGbm {
    fn link(&self) -> Link {
        self.link
    }

    fn sums(&self) -> usize {
        self.sums.len()
    }

    /// The sums are LightGBM's; both sides end in an `exp` of their own.
    fn tolerance(&self) -> f64 {
        1e-12
    }

    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        for (score, model) in scores.iter_mut().zip(&self.sums) {
            *score = model.predict_unchecked(inputs);
        }
        let is_finite = scores.iter().all(|score| score.is_finite());
        // A single sum has gone through its objective already.
        if is_finite && self.link == Link::Softmax {
            self.link.apply(scores);
        }
        is_finite
    }
}

/// What the text says on a line of its own before the first tree.
fn stated<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut head = text.lines().take_while(|line| !line.starts_with("Tree="));
    head.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// For every class a regression on its sum: the trees come class after class, round after round.
fn texts_of_classes(text: &str) -> Result<Vec<String>, Error> {
    let stated = stated(text, "num_class").unwrap_or("none");
    let Some(classes) = stated.parse().ok().filter(|classes| *classes >= 2_usize) else {
        return Err(field("text: num_class", "2 or more for `multiclass`", stated));
    };
    let mut parts = text.split("\nTree=");
    let head: Vec<&str> = parts.next().unwrap_or("").lines().map(of_one_sum).collect();
    let trees: Vec<&str> = parts.collect();
    if trees.is_empty() || !trees.len().is_multiple_of(classes) {
        let expected = format!("as many for each of {classes} classes");
        return Err(field("text: trees", expected, trees.len()));
    }
    let text_of = |class: usize| {
        let own = trees.iter().skip(class).step_by(classes);
        own.fold(head.join("\n"), |text, tree| text + "\nTree=" + tree)
    };
    Ok((0..classes).map(text_of).collect())
}

fn of_one_sum(line: &str) -> &str {
    match line.split('=').next() {
        Some("num_class") => "num_class=1",
        Some("num_tree_per_iteration") => "num_tree_per_iteration=1",
        Some("objective") => "objective=regression",
        _ => line,
    }
}
