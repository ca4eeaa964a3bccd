//! Trees of XGBoost, from the JSON that it saves: comparisons and sums in binary32, as there.

use feature_kernel::numeric::det_ln;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Forest, check_names};
use crate::error::Error;
use crate::file::{check_length, field};
use crate::link::Link;

/// Path of what is read of the trees.
const MODEL: &str = "text: learner.gradient_booster.model";

/// A regression, a binary classifier, or a classifier of several classes.
#[derive(Debug)]
pub(super) struct XgBoost {
    link: Link,
    /// Where the sums begin, one each.
    margins: Vec<f32>,
    /// Sum and root of each tree, in the order in which XGBoost adds them.
    roots: Vec<(usize, u32)>,
    /// Of all trees, one after the other.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Split { column: u32, threshold: f32, below: u32, above: u32, missing: u32 },
    Leaf(f32),
}

/// What decides whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    learner: LearnerHead,
}

#[derive(Deserialize)]
struct LearnerHead {
    gradient_booster: Named,
    objective: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Document {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    num_class: String,
}

#[derive(Deserialize)]
struct Booster {
    model: Trees,
}

#[derive(Deserialize)]
struct Trees {
    gbtree_model_param: Count,
    tree_info: Vec<usize>,
    trees: Vec<Tree>,
}

#[derive(Deserialize)]
struct Count {
    num_trees: String,
}

/// One tree, an entry per node; a leaf has its value among the conditions and no children.
#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    split_conditions: Vec<f32>,
    split_type: Vec<u8>,
    default_left: Vec<u8>,
    tree_param: TreeParameters,
}

#[derive(Deserialize)]
struct TreeParameters {
    size_leaf_vector: String,
}

impl XgBoost {
    pub(super) fn parse(text: &str, features: &[String]) -> Result<Self, Error> {
        let LearnerHead { gradient_booster, objective } = json::<Head>(text)?.learner;
        if gradient_booster.name != "gbtree" {
            let found = format!("`{}`", gradient_booster.name.escape_default());
            return Err(field("text: learner.gradient_booster.name", "`gbtree`", found));
        }
        let link = link(&objective.name)?;
        let learner = json::<Document>(text)?.learner;
        check_names(features, &learner.feature_names)?;
        let trees = learner.gradient_booster.model;
        let stated = &trees.gbtree_model_param.num_trees;
        if *stated != trees.trees.len().to_string() {
            let place = format!("{MODEL}.trees");
            return Err(field(&place, format!("{stated} trees"), trees.trees.len()));
        }
        check_length(&format!("{MODEL}.tree_info"), trees.trees.len(), trees.tree_info.len())?;
        let margins = margins(&learner.learner_model_param, link, trees.trees.len())?;
        let mut read =
            Self { link, margins, roots: Vec::with_capacity(trees.trees.len()), nodes: Vec::new() };
        for (index, (tree, sum)) in trees.trees.iter().zip(trees.tree_info).enumerate() {
            if sum >= read.margins.len() {
                let place = format!("{MODEL}.tree_info[{index}]");
                return Err(field(&place, format!("below {}", read.margins.len()), sum));
            }
            read.roots.push((sum, index_of(read.nodes.len())));
            tree.check(&format!("{MODEL}.trees[{index}]"), features.len())?;
            read.add(tree);
        }
        Ok(read)
    }

    fn add(&mut self, tree: &Tree) {
        let first = index_of(self.nodes.len());
        for index in 0..tree.left_children.len() {
            let condition = tree.split_conditions[index];
            let node = match tree.children(index) {
                None => Node::Leaf(condition),
                Some([below, above]) => Node::Split {
                    column: tree.split_indices[index],
                    threshold: condition,
                    below: first + below,
                    above: first + above,
                    missing: first + if tree.default_left[index] == 0 { above } else { below },
                },
            };
            self.nodes.push(node);
        }
    }

    /// Value of the leaf that a row reaches.
    #[inline]
    fn leaf(&self, root: u32, inputs: &[f64]) -> f32 {
        let mut at = root;
        loop {
            match self.nodes[at as usize] {
                Node::Leaf(value) => return value,
                Node::Split { column, threshold, below, above, missing } => {
                    let x = inputs[column as usize] as f32;
                    let found = if x < threshold { below } else { above };
                    at = if x.is_nan() { missing } else { found };
                }
            }
        }
    }
}

impl Forest for XgBoost {
    fn link(&self) -> Link {
        self.link
    }

    fn sums(&self) -> usize {
        self.margins.len()
    }

    /// The sums are XGBoost's; its probabilities are binary32, ours are not.
    fn tolerance(&self) -> f64 {
        if self.link == Link::Identity { 0.0 } else { 1e-6 }
    }

    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        // XGBoost has no score where a number does not fit either.
        if inputs.iter().any(|x| (*x as f32).is_infinite()) {
            return false;
        }
        for (score, margin) in scores.iter_mut().zip(&self.margins) {
            *score = f64::from(*margin);
        }
        for &(sum, root) in &self.roots {
            // A sum is a binary32 number at all times, so that nothing is lost on the way.
            scores[sum] = f64::from(scores[sum] as f32 + self.leaf(root, inputs));
        }
        let is_finite = scores.iter().all(|score| score.is_finite());
        if is_finite {
            self.link.apply(scores);
        }
        is_finite
    }
}

impl Tree {
    /// Whether walks from the root end in a leaf, over columns that are there.
    fn check(&self, place: &str, columns: usize) -> Result<(), Error> {
        let width = &self.tree_param.size_leaf_vector;
        if !matches!(width.as_str(), "0" | "1") {
            return Err(field(&format!("{place}.tree_param.size_leaf_vector"), "0 or 1", width));
        }
        let nodes = self.left_children.len();
        for (name, found) in [
            ("right_children", self.right_children.len()),
            ("split_indices", self.split_indices.len()),
            ("split_conditions", self.split_conditions.len()),
            ("split_type", self.split_type.len()),
            ("default_left", self.default_left.len()),
        ] {
            check_length(&format!("{place}.{name}"), nodes, found)?;
        }
        if nodes == 0 {
            return Err(field(place, "1 node or more", "none"));
        }
        // One parent each and none for the root: there is no way round in a circle.
        let mut has_parent = vec![false; nodes];
        has_parent[0] = true;
        for index in 0..nodes {
            let Some(children) = self.children(index) else { continue };
            for child in children {
                match has_parent.get_mut(child as usize) {
                    Some(has_parent) if !*has_parent => *has_parent = true,
                    _ => {
                        let place = format!("{place}: a child of node {index}");
                        let expected = format!("a node of its own, 1 to {}", nodes - 1);
                        return Err(field(&place, expected, child.cast_signed()));
                    }
                }
            }
            if self.split_type[index] != 0 {
                let place = format!("{place}.split_type[{index}]");
                let expected = "0: columns are numbers, not categories";
                return Err(field(&place, expected, self.split_type[index]));
            }
            if self.split_indices[index] as usize >= columns {
                let place = format!("{place}.split_indices[{index}]");
                return Err(field(&place, format!("below {columns}"), self.split_indices[index]));
            }
        }
        Ok(())
    }

    /// Both children of a split; none of a leaf.
    fn children(&self, index: usize) -> Option<[u32; 2]> {
        let children = [self.left_children[index], self.right_children[index]];
        (children != [-1, -1]).then(|| children.map(i32::cast_unsigned))
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| field("text", "a model that XGBoost saved", error))
}

fn index_of(node: usize) -> u32 {
    u32::try_from(node).expect("Invariant: a text of 2^32 nodes does not fit in memory")
}

fn link(objective: &str) -> Result<Link, Error> {
    match objective {
        "reg:squarederror" => Ok(Link::Identity),
        "binary:logistic" => Ok(Link::Logistic),
        "multi:softprob" => Ok(Link::Softmax),
        other => Err(field(
            "text: learner.objective.name",
            "`reg:squarederror`, `binary:logistic` or `multi:softprob`",
            format!("`{}`", other.escape_default()),
        )),
    }
}

/// Where the sums begin. Up to version 3.0 there is one base score for all of them, since 3.1 a list; that of
/// a binary classifier is a probability in both.
fn margins(parameters: &Parameters, link: Link, trees: usize) -> Result<Vec<f32>, Error> {
    let place = "text: learner.learner_model_param";
    let stated = parameters.num_class.parse().ok().map(|classes: usize| classes.max(1));
    let is_softmax = link == Link::Softmax;
    let allowed = if is_softmax { 2..=trees } else { 1..=1 };
    let Some(sums) = stated.filter(|sums| allowed.contains(sums)) else {
        let most = format!("2 to {trees}, the number of trees");
        let expected = if is_softmax { &most } else { "0 or 1" };
        return Err(field(&format!("{place}.num_class"), expected, &parameters.num_class));
    };
    let text = parameters.base_score.as_str();
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(text);
    let place = format!("{place}.base_score");
    let is_usable = |x: &f32| x.is_finite() && (link != Link::Logistic || (*x > 0.0 && *x < 1.0));
    let numbers: Option<Vec<f32>> =
        list.split(',').map(|number| number.parse().ok().filter(is_usable)).collect();
    let expected = match link {
        Link::Identity => "a finite number".to_owned(),
        Link::Logistic => "a probability".to_owned(),
        Link::Softmax => format!("1 or {sums} finite numbers"),
    };
    match numbers.as_deref() {
        Some([one]) => Ok(vec![if link == Link::Logistic { logit(*one) } else { *one }; sums]),
        Some(numbers) if numbers.len() == sums => Ok(numbers.to_vec()),
        _ => Err(field(&place, expected, text.escape_default())),
    }
}

fn logit(probability: f32) -> f32 {
    -(det_ln(f64::from(1.0 / probability - 1.0)) as f32)
}
