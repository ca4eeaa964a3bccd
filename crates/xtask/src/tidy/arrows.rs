//! Which crate may depend on which: layers, and third-party crates that stay in one place.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Violation;

/// Number of rules that [`check`] checks.
pub(super) const RULES: usize = 3;

/// Our crates by layer: an arrow goes to a lower one.
const LAYERS: &[(&str, u8)] = &[
    ("market-model", 0),
    ("feature-kernel", 1),
    ("lob-engine", 1),
    ("feature-infer", 2),
    ("feature-runtime", 2),
    ("market-io", 2),
    ("feature-extract", 3),
    ("feature-hftbacktest", 3),
    ("feature-live", 4),
    ("feature-parity", 4),
    ("feature-cli", 5),
    ("feature-py", 6),
];

/// Crates that only tests may depend on.
const TEST_ONLY: &[&str] = &["testkit"];

/// Crates that may depend on anything, and that nothing depends on.
const TOOLS: &[&str] = &["xtask"];

/// Third-party crates that stay in the crates named.
const FENCED: &[(&str, &[&str])] = &[
    ("pyo3", &["feature-py"]),
    ("numpy", &["feature-py"]),
    // The parity gate reads the tables that a job hands out.
    ("arrow-array", &["market-io", "feature-extract", "feature-py", "feature-parity"]),
    ("arrow-buffer", &["market-io", "feature-extract", "feature-py"]),
    ("arrow-csv", &["market-io", "feature-extract", "feature-py"]),
    ("arrow-data", &["market-io", "feature-extract", "feature-py"]),
    ("arrow-ipc", &["market-io", "feature-extract", "feature-py"]),
    ("arrow-schema", &["market-io", "feature-extract", "feature-py"]),
    ("parquet", &["market-io", "feature-extract", "feature-py"]),
    ("hyper", &["feature-live"]),
    ("tokio", &["feature-live"]),
    ("tokio-rustls", &["feature-live"]),
    ("tokio-tungstenite", &["feature-live"]),
    ("hftbacktest", &["feature-hftbacktest"]),
];

/// What the kernel must not depend on, and why.
const NOT_IN_KERNEL: &[(&str, &str)] = &[
    ("serde_json", "the kernel reads no JSON"),
    ("chrono", "the kernel has no clock"),
    ("time", "the kernel has no clock"),
    ("rand", "the kernel is deterministic"),
    ("rayon", "the kernel is single-threaded"),
];

/// `cargo metadata` of the workspace, without dependencies of dependencies.
pub(super) fn metadata(root: &Path) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Checks the arrows of the workspace.
pub(super) fn check(metadata: &Value) -> Result<Vec<Violation>> {
    let packages = metadata["packages"].as_array().context("metadata has packages")?;
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has a name")?;
        let manifest = format!("{name}/Cargo.toml");
        if layer(name).is_none() && !TOOLS.contains(&name) && !TEST_ONLY.contains(&name) {
            let message = format!("`{name}` has no layer; give it one in tidy/arrows.rs");
            found.push(Violation::new(&manifest, "layers", message));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().context("a dependency has a name")?;
            let for_tests = dependency["kind"] == "dev";
            let arrows = [layering(name, on, for_tests), fence(name, on), kernel(name, on)];
            found.extend(
                arrows
                    .into_iter()
                    .flatten()
                    .map(|(rule, message)| Violation::new(&manifest, rule, message)),
            );
        }
    }
    Ok(found)
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

fn layering(name: &str, on: &str, for_tests: bool) -> Option<(&'static str, String)> {
    if TOOLS.contains(&on) {
        return Some(("layers", format!("`{name}` depends on the tool `{on}`")));
    }
    if TEST_ONLY.contains(&on) && !for_tests && !TOOLS.contains(&name) {
        return Some(("layers", format!("`{on}` may only be a dev-dependency of `{name}`")));
    }
    match (layer(name), layer(on)) {
        (Some(from), Some(to)) if to >= from && name != on => {
            Some(("layers", format!("`{name}` (layer {from}) depends on `{on}` (layer {to})")))
        }
        _ => None,
    }
}

fn fence(name: &str, on: &str) -> Option<(&'static str, String)> {
    let (_, homes) = FENCED.iter().find(|(fenced, _)| *fenced == on)?;
    let outside = !homes.contains(&name) && !TOOLS.contains(&name);
    outside.then(|| ("fences", format!("`{on}` stays in {}, not in `{name}`", homes.join(", "))))
}

fn kernel(name: &str, on: &str) -> Option<(&'static str, String)> {
    let (_, reason) = NOT_IN_KERNEL.iter().find(|(banned, _)| *banned == on)?;
    (name == "feature-kernel").then(|| ("kernel", format!("`{on}`: {reason}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn planted(name: &str, on: &str, kind: Option<&str>) -> Vec<Violation> {
        let dependency = json!({ "name": on, "kind": kind });
        let package = json!({ "name": name, "dependencies": [dependency] });
        check(&json!({ "packages": [package] })).unwrap()
    }

    #[test]
    fn planted_arrows_are_found() {
        for (name, on, rule) in [
            ("feature-kernel", "lob-engine", "layers"),
            ("market-io", "feature-runtime", "layers"),
            ("market-model", "feature-kernel", "layers"),
            ("feature-runtime", "testkit", "layers"),
            ("feature-cli", "xtask", "layers"),
            ("feature-strange", "serde", "layers"),
            ("feature-extract", "pyo3", "fences"),
            ("feature-runtime", "parquet", "fences"),
            ("feature-extract", "tokio", "fences"),
            ("feature-parity", "hftbacktest", "fences"),
            ("feature-kernel", "serde_json", "kernel"),
        ] {
            let found = planted(name, on, None);
            assert!(found.iter().any(|v| v.rule == rule), "{name} -> {on}: {found:?}");
        }
    }

    #[test]
    fn good_arrows_pass() {
        for (name, on, kind) in [
            ("feature-cli", "feature-parity", None),
            ("feature-runtime", "feature-kernel", None),
            ("feature-runtime", "testkit", Some("dev")),
            ("market-io", "parquet", None),
            ("xtask", "testkit", None),
            ("testkit", "market-model", None),
        ] {
            assert_eq!(planted(name, on, kind), [], "{name} -> {on}");
        }
    }
}
